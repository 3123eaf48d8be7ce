import { useEffect, useId, useRef, useState } from "preact/hooks"
import { Icon } from "./icons.tsx"
import { useFormat } from "./use-format.ts"

/** Number of options to list at once. Typing narrows the list. */
const maxOptions = 50

interface ComboboxProps {
  /** ID of the input, for its label. */
  id: string
  /** Accessible name of the list. */
  label: string
  /** '' if nothing is selected. */
  value: string
  options: readonly string[]
  /** Label of the option that clears the selection; undefined if a selection is required. */
  none?: string | undefined
  /** Shown while nothing is selected. */
  placeholder: string
  onChange: (value: string) => void
}

/** Selects one of many options. Typing part of a name filters the options. */
export function Combobox({ id, label, value, options, none, placeholder, onChange }: ComboboxProps) {
  /** The typed text; undefined while the list is closed. */
  const [text, setText] = useState<string>()
  /** Index of the highlighted option; undefined for the selected option. */
  const [highlighted, setHighlighted] = useState<number>()
  const format = useFormat()
  const list = useRef<HTMLDivElement>(null)
  const listId = useId()
  const isOpen = text !== undefined
  const part = (text ?? "").toLowerCase()
  const matches = isOpen ? options.filter((option) => option.toLowerCase().includes(part)) : []
  const entries = [...(none !== undefined && part === "" ? [""] : []), ...matches.slice(0, maxOptions)]
  const current = Math.max(0, Math.min(highlighted ?? entries.indexOf(value), entries.length - 1))
  useEffect(() => {
    list.current?.children[current]?.scrollIntoView({ block: "nearest" })
  }, [current, isOpen])
  const isListed = isOpen && entries.length > 0
  const open = () => {
    setText("")
    setHighlighted(undefined)
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
      setHighlighted(
        Math.max(0, Math.min(entries.length - 1, current + (event.key === "ArrowDown" ? 1 : -1))),
      )
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
          setHighlighted(0)
        }}
        onKeyDown={onKey}
        onBlur={() => choose(options.find((option) => option === text))}
      />
      <Icon name="down" />
      {isOpen && (
        // biome-ignore lint/a11y/noStaticElementInteractions: a click in the list must not move the focus out of the input
        <div class="combobox-panel" onMouseDown={(event) => event.preventDefault()}>
          {isListed && (
            <div ref={list} id={listId} class="menu" role="listbox" aria-label={label}>
              {entries.map((entry, index) => (
                // biome-ignore lint/a11y/useKeyWithClickEvents: the input handles the keys
                // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the combobox input
                <div
                  key={entry}
                  id={`${listId}-${index}`}
                  role="option"
                  aria-selected={index === current}
                  onClick={() => choose(entry)}
                >
                  <span class={entry === value ? "combobox-name selected" : "combobox-name"}>
                    {entry === "" ? none : entry}
                  </span>
                  {entry === value && <Icon name="check" />}
                </div>
              ))}
            </div>
          )}
          {matches.length === 0 && part !== "" && <p>No matches</p>}
          {matches.length > maxOptions && (
            <p>{format.count(matches.length - maxOptions)} more. Type to narrow the list.</p>
          )}
        </div>
      )}
    </div>
  )
}
