import { useEffect, useId, useRef, useState } from "preact/hooks"
import { Icon } from "./icons.tsx"
import { useFormat } from "./use-format.ts"

/** Options that are shown at a time: what is further down is found by typing more. */
const shownOptions = 50

interface ComboboxProps {
  /** Of the field, for its label. */
  id: string
  /** Of the list. */
  label: string
  /** '': nothing is chosen. */
  value: string
  options: readonly string[]
  /** What to choose nothing is called; undefined: something has to be chosen. */
  none?: string | undefined
  /** What stands where nothing is chosen. */
  placeholder: string
  onChange: (value: string) => void
}

/** Chooses one of many by a part of its name: a list of thousands is no use without. */
export function Combobox({ id, label, value, options, none, placeholder, onChange }: ComboboxProps) {
  /** What was typed; undefined: the list is closed. */
  const [text, setText] = useState<string>()
  /** The entry that Enter would take; undefined: the one that is chosen. */
  const [at, setAt] = useState<number>()
  const format = useFormat()
  const list = useRef<HTMLDivElement>(null)
  const listId = useId()
  const isOpen = text !== undefined
  const part = (text ?? "").toLowerCase()
  const found = isOpen ? options.filter((one) => one.toLowerCase().includes(part)) : []
  const entries = [...(none !== undefined && part === "" ? [""] : []), ...found.slice(0, shownOptions)]
  const current = Math.max(0, Math.min(at ?? entries.indexOf(value), entries.length - 1))
  useEffect(() => {
    list.current?.children[current]?.scrollIntoView({ block: "nearest" })
  }, [current, isOpen])
  const isListed = isOpen && entries.length > 0
  const open = () => {
    setText("")
    setAt(undefined)
  }
  const close = () => setText(undefined)
  const choose = (entry: string | undefined) => {
    close()
    if (entry !== undefined && entry !== value) onChange(entry)
  }
  const onKey = (event: KeyboardEvent) => {
    const isArrow = event.key === "ArrowDown" || event.key === "ArrowUp"
    if (isArrow && !isOpen) open()
    else if (!isOpen) return
    else if (isArrow)
      setAt(Math.max(0, Math.min(entries.length - 1, current + (event.key === "ArrowDown" ? 1 : -1))))
    else if (event.key === "Enter") choose(entries[current])
    else if (event.key === "Escape") close()
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  return (
    <div class="combobox">
      <input
        id={id}
        type="text"
        role="combobox"
        aria-autocomplete="list"
        aria-expanded={isOpen}
        aria-controls={isListed ? listId : undefined}
        aria-activedescendant={isListed ? `${listId}-${current}` : undefined}
        autocomplete="off"
        spellcheck={false}
        title={value || undefined}
        placeholder={value || placeholder}
        value={text ?? value}
        onFocus={(event) => event.currentTarget.select()}
        onClick={() => {
          if (!isOpen) open()
        }}
        onInput={(event) => {
          setText(event.currentTarget.value)
          setAt(0)
        }}
        onKeyDown={onKey}
        onBlur={() => choose(options.find((one) => one === text))}
      />
      <Icon name="down" />
      {isOpen && (
        // biome-ignore lint/a11y/noStaticElementInteractions: a press in the list leaves the focus in the field
        <div class="combobox-panel" onMouseDown={(event) => event.preventDefault()}>
          {isListed && (
            <div ref={list} id={listId} class="menu" role="listbox" aria-label={label}>
              {entries.map((entry, index) => (
                // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keys
                // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus, as a combobox does
                <div
                  key={entry}
                  id={`${listId}-${index}`}
                  role="option"
                  aria-selected={index === current}
                  onClick={() => choose(entry)}
                >
                  <span class={entry === value ? "combobox-name chosen" : "combobox-name"}>
                    {entry === "" ? none : entry}
                  </span>
                  {entry === value && <Icon name="check" />}
                </div>
              ))}
            </div>
          )}
          {found.length === 0 && part !== "" && <p>Nothing has this in its name.</p>}
          {found.length > shownOptions && (
            <p>{format.count(found.length - shownOptions)} more: type a part of the name.</p>
          )}
        </div>
      )}
    </div>
  )
}
