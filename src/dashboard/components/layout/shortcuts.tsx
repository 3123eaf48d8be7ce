import { useEffect } from "preact/hooks"
import { type App, useApp } from "../../state/app.ts"
import { presets, rangeParams, shiftRange } from "../../state/range.ts"
import { Dialog } from "../controls/dialog.tsx"
import { CommandPalette } from "./command-palette.tsx"

/** Shortcuts that work on every page of a website. For range shortcuts, see `presets`. */
const keys: { key: string; text: string; run: (app: App) => void }[] = [
  { key: "/", text: "Search or filter on this page", run: () => press("/") },
  { key: ",", text: "Previous period", run: (app) => shift(app, -1) },
  { key: ".", text: "Next period", run: (app) => shift(app, 1) },
  { key: "c", text: "Toggle comparison", run: compare },
  { key: "x", text: "Clear filters", run: ({ router }) => router.setParams({ f: undefined }) },
]

/** Focuses the page's search field. If the page has none, opens the filter editor. */
function press(key: string): void {
  const elements = [...document.querySelectorAll<HTMLElement>(`[data-key="${key}"]`)]
  const element = elements.find((candidate) => candidate instanceof HTMLInputElement) ?? elements[0]
  if (element instanceof HTMLButtonElement) element.click()
  else element?.focus()
}

function shift({ router, view }: App, by: 1 | -1): void {
  const next = shiftRange(view.value.range, by, view.value.today)
  if (next) router.setParams(rangeParams(next))
}

function compare({ router, view }: App): void {
  router.setParams({ compare: view.value.compare ? "off" : undefined })
}

export type ShortcutDialog = "keys" | "palette"

interface ShortcutsProps {
  shown: ShortcutDialog | undefined
  onShow: (dialog: ShortcutDialog | undefined) => void
}

/** Handles keyboard shortcuts. Shows the list of shortcuts, or the command palette. */
export function Shortcuts({ shown, onShow }: ShortcutsProps) {
  const app = useApp()
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const { key } = event
      if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "k") {
        event.preventDefault()
        onShow("palette")
        return
      }
      if (!app.preferences.shortcuts.value || event.ctrlKey || event.metaKey || event.altKey) return
      if (isTyping(event.target) || document.querySelector("dialog[open]")) return
      // Keys typed while a page loads are ignored, because they are probably meant for the page's search field.
      if (!document.querySelector("#main h1")) return
      if (app.router.location.value.base === "") {
        if (key === "?") onShow("keys")
        return
      }
      const range = presets.find((preset) => preset.key === key)
      const command = keys.find((entry) => entry.key === key)
      if (key === "?") onShow("keys")
      else if (range) app.router.setParams(rangeParams({ preset: range.preset }))
      else if (command) command.run(app)
      else return
      event.preventDefault()
    }
    document.addEventListener("keydown", onKey)
    return () => document.removeEventListener("keydown", onKey)
  }, [app])
  if (shown === "palette")
    return <CommandPalette onClose={() => onShow(undefined)} onKeys={() => onShow("keys")} />
  if (shown === "keys") return <KeyList onClose={() => onShow(undefined)} />
  return null
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  )
}

function KeyList({ onClose }: { onClose: () => void }) {
  const { shortcuts } = useApp().preferences
  const rows = [
    ["Ctrl K", "Search pages, websites, events, properties and people"],
    ["?", "Show this list"],
    ...keys.map(({ key, text }) => [key, text]),
    ...presets.flatMap(({ key, label }) => (key ? [[key, label]] : [])),
  ]
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose} closeLabel="Close">
      <dl class="keys">
        {rows.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={shortcuts.value}
          onChange={() => (shortcuts.value = !shortcuts.value)}
        />
        Enable single-key shortcuts (Ctrl K always works)
      </label>
    </Dialog>
  )
}
