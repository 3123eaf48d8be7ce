import { signal } from "@preact/signals"

/** ms that a message stays: long enough to read twice. */
const staysFor = 6_000

export interface Toast {
  id: number
  text: string
  kind: "done" | "failed"
}

/** Short messages about what was just done. */
export class Toasts {
  readonly list = signal<readonly Toast[]>([])
  #next = 1

  show(text: string, kind: Toast["kind"] = "done"): void {
    const id = this.#next++
    this.list.value = [...this.list.value, { id, text, kind }]
    setTimeout(() => this.remove(id), staysFor)
  }

  remove(id: number): void {
    this.list.value = this.list.value.filter((one) => one.id !== id)
  }
}
