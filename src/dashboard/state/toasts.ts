import { signal } from "@preact/signals"

/** How long a message is shown, in ms. This is long enough to read it twice. */
const displayMs = 6_000

export interface Toast {
  id: number
  text: string
  kind: "done" | "failed"
}

/** Short messages that confirm an action or report that it failed. */
export class Toasts {
  readonly list = signal<readonly Toast[]>([])
  #next = 1

  show(text: string, kind: Toast["kind"] = "done"): void {
    const id = this.#next++
    this.list.value = [...this.list.value, { id, text, kind }]
    setTimeout(() => this.remove(id), displayMs)
  }

  remove(id: number): void {
    this.list.value = this.list.value.filter((toast) => toast.id !== id)
  }
}
