import { effect, signal } from "@preact/signals"

export type Theme = "system" | "light" | "dark"

/** What a person chose for this browser. */
export class Preferences {
  readonly theme = signal<Theme>("system")
  /** Single keys do something. Some people speak to their computer, and set them off by it. */
  readonly shortcuts = signal(true)
  /** The website that was looked at last. */
  readonly website = signal<string | undefined>(undefined)

  constructor(storage: Storage | undefined, root: HTMLElement) {
    const theme = storage?.getItem("theme")
    if (theme === "light" || theme === "dark") this.theme.value = theme
    this.shortcuts.value = storage?.getItem("shortcuts") !== "off"
    this.website.value = storage?.getItem("website") ?? undefined
    effect(() => {
      if (this.theme.value === "system") delete root.dataset.theme
      else root.dataset.theme = this.theme.value
      storage?.setItem("theme", this.theme.value)
    })
    effect(() => storage?.setItem("shortcuts", this.shortcuts.value ? "on" : "off"))
    effect(() => {
      if (this.website.value !== undefined) storage?.setItem("website", this.website.value)
    })
  }
}
