import { useEffect, useState } from "preact/hooks"
import { type App, useApp } from "../../state/app.ts"
import { presets, rangeParams, shifted } from "../../state/range.ts"
import { Dialog } from "../controls/dialog.tsx"
import { CommandPalette } from "./command-palette.tsx"

/** Keys that do the same on every page. Those of ranges are in the table of ranges. */
const keys: { key: string; text: string; run: (app: App) => void }[] = [
  { key: "/", text: "Search or filter on this page", run: () => press("/") },
  { key: ",", text: "Previous period", run: (app) => shift(app, -1) },
  { key: ".", text: "Next period", run: (app) => shift(app, 1) },
  { key: "c", text: "Compare with the period before, or not", run: compare },
  { key: "x", text: "Remove all filters", run: ({ place }) => place.set({ f: undefined }) },
]

/** What `/` does is the page's to say: its search field where it has one, or the button for a filter. */
function press(key: string): void {
  const all = [...document.querySelectorAll<HTMLElement>(`[data-key="${key}"]`)]
  const element = all.find((one) => one instanceof HTMLInputElement) ?? all[0]
  if (element instanceof HTMLButtonElement) element.click()
  else element?.focus()
}

function shift({ place, view }: App, by: 1 | -1): void {
  const next = shifted(view.value.range, by, view.value.today)
  if (next) place.set(rangeParams(next))
}

function compare({ place, view }: App): void {
  place.set({ compare: view.value.compare ? "off" : undefined })
}

/** Listens to keys, and shows the list of them and the command palette. */
export function Shortcuts() {
  const app = useApp()
  const [shown, setShown] = useState<"keys" | "palette">()
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const { key } = event
      if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "k") {
        event.preventDefault()
        setShown("palette")
        return
      }
      if (!app.preferences.shortcuts.value || event.ctrlKey || event.metaKey || event.altKey) return
      if (isTyping(event.target) || document.querySelector("dialog[open]")) return
      if (app.place.spot.value.base === "") {
        if (key === "?") setShown("keys")
        return
      }
      const range = presets.find((one) => one.key === key)
      const command = keys.find((one) => one.key === key)
      if (key === "?") setShown("keys")
      else if (range) app.place.set(rangeParams({ preset: range.preset, from: "", to: "" }))
      else if (command) command.run(app)
      else return
      event.preventDefault()
    }
    document.addEventListener("keydown", onKey)
    return () => document.removeEventListener("keydown", onKey)
  }, [app])
  if (shown === "palette")
    return <CommandPalette onClose={() => setShown(undefined)} onKeys={() => setShown("keys")} />
  if (shown === "keys") return <KeyList onClose={() => setShown(undefined)} />
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
    ["Ctrl K", "Go to a page, a website or an event"],
    ["?", "This list"],
    ...keys.map(({ key, text }) => [key, text]),
    ...presets.flatMap(({ key, label }) => (key ? [[key, label]] : [])),
  ]
  return (
    <Dialog title="Keys" onClose={onClose} closing="Close">
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
        Single keys do this (Ctrl K always does)
      </label>
    </Dialog>
  )
}
