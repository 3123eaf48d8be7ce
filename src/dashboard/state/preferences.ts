import { effect, signal } from "@preact/signals"

export type Theme = "system" | "light" | "dark"

/** The storage methods used by preferences. */
type PreferenceStorage = Pick<Storage, "getItem" | "setItem">

/**
 * Returns separate storage for a server with --base-path, because other applications on the same host share the
 * browser's storage and might use the same names, such as "theme".
 */
export function storageBelow(basePath: string, storage: PreferenceStorage): PreferenceStorage {
  if (basePath === "") return storage
  return {
    getItem: (name) => storage.getItem(`${basePath}:${name}`),
    setItem: (name, value) => storage.setItem(`${basePath}:${name}`, value),
  }
}

/** Settings stored in this browser. */
export class Preferences {
  readonly theme = signal<Theme>("system")
  /** Whether single-key shortcuts are enabled. Speech input can trigger them by accident (WCAG 2.1.4). */
  readonly shortcuts = signal(true)
  /** The website that was viewed last. */
  readonly website = signal<string | undefined>(undefined)

  /** Whether charts still have to show the zoom hint. False once it has been shown. */
  readonly chartHint = signal(true)

  /** `initialTheme`: used if no theme is stored. */
  constructor(
    storage: PreferenceStorage | undefined,
    root: { dataset: Record<string, string | undefined> },
    initialTheme: Theme = "system",
  ) {
    const theme = storage?.getItem("theme") ?? initialTheme
    if (theme === "light" || theme === "dark") this.theme.value = theme
    this.shortcuts.value = storage?.getItem("shortcuts") !== "off"
    this.chartHint.value = storage?.getItem("chart-hint") !== "off"
    this.website.value = storage?.getItem("website") ?? undefined
    effect(() => {
      if (this.theme.value === "system") delete root.dataset.theme
      else root.dataset.theme = this.theme.value
      storage?.setItem("theme", this.theme.value)
    })
    effect(() => storage?.setItem("shortcuts", this.shortcuts.value ? "on" : "off"))
    effect(() => storage?.setItem("chart-hint", this.chartHint.value ? "on" : "off"))
    effect(() => {
      if (this.website.value !== undefined) storage?.setItem("website", this.website.value)
    })
  }
}
