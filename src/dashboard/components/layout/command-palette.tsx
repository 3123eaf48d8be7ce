import { useId, useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { presets, rangeParams } from "../../state/range.ts"
import { Dialog } from "../controls/dialog.tsx"
import { useEventNames } from "../controls/event-picker.tsx"
import { pagesFor } from "../controls/pages.ts"

/** Entries that are shown at a time: what is further down is found by typing more. */
const shownEntries = 12

interface Entry {
  text: string
  kind: string
  run: () => void
}

/** Goes anywhere by typing a part of its name. */
export function CommandPalette({ onClose, onKeys }: { onClose: () => void; onKeys: () => void }) {
  const app = useApp()
  const { names } = useEventNames()
  const [text, setText] = useState("")
  const [at, setAt] = useState(0)
  const id = useId()
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const found = entriesOf(app, names, onKeys)
    .filter((entry) => words.every((word) => `${entry.kind} ${entry.text}`.toLowerCase().includes(word)))
    .slice(0, shownEntries)
  const current = Math.min(at, found.length - 1)
  const run = (entry: Entry | undefined) => {
    if (!entry) return
    onClose()
    entry.run()
  }
  return (
    <Dialog title="Go to" onClose={onClose} class="palette">
      <input
        data-autofocus
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found[current] ? `${id}-${current}` : undefined}
        aria-label="A page, website, event or range"
        placeholder="A page, website, event or range"
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value)
          setAt(0)
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setAt(Math.min(current + 1, found.length - 1))
          else if (event.key === "ArrowUp") setAt(Math.max(current - 1, 0))
          else if (event.key === "Enter") run(found[current])
          else return
          event.preventDefault()
        }}
      />
      <div id={id} class="menu palette-list" role="listbox" aria-label="Found">
        {found.map((entry, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keys
          // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus, as a combobox does
          <div
            key={`${entry.kind} ${entry.text}`}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === current}
            onClick={() => run(entry)}
          >
            <span>{entry.text}</span>
            <span class="muted">{entry.kind}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p class="muted">Nothing has this in its name.</p>}
    </Dialog>
  )
}

function entriesOf(app: ReturnType<typeof useApp>, names: readonly string[], onKeys: () => void): Entry[] {
  const { place, session } = app
  const go = (path: string) => () => place.go(path)
  const sites = session.me.value?.share ? [] : session.sites.value
  return [
    ...pagesFor(session).map(({ page, label, path }) => ({
      text: label,
      kind: "Page",
      run: go(path ?? place.to(page)),
    })),
    ...sites.map(({ id, name }) => ({ text: name, kind: "Website", run: go(place.ofWebsite(id)) })),
    ...(session.seesAll ? [{ text: "All websites", kind: "Website", run: go(place.ofWebsite("all")) }] : []),
    ...presets.map(({ preset, label }) => ({
      text: label,
      kind: "Range",
      run: () => place.set(rangeParams({ preset, from: "", to: "" })),
    })),
    ...names.map((name) => ({ text: name, kind: "Event", run: go(place.to("event", { name })) })),
    { text: "Keys", kind: "Help", run: onKeys },
  ]
}
