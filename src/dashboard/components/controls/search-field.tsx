import { useEffect, useRef, useState } from "preact/hooks"
import { Icon } from "./icons.tsx"

/**
 * ms without a keystroke before a search. This is longer than a typical gap between keystrokes, but too short to
 * notice.
 */
const debounceMs = 250

interface SearchFieldProps {
  /** Accessible name and placeholder. */
  label: string
  value: string
  /** Called when the user pauses typing. */
  onSearch: (text: string) => void
  /** The keyboard shortcut that focuses the field. */
  pageKey?: string
  /** Whether the field gets the focus when its panel or page opens. */
  autofocus?: boolean
}

export function SearchField({ label, value, onSearch, pageKey, autofocus = false }: SearchFieldProps) {
  const [text, setText] = useState(value)
  const searched = useRef(value)
  useEffect(() => {
    if (value === searched.current) return
    searched.current = value
    setText(value)
  }, [value])
  useEffect(() => {
    if (text === searched.current) return
    const timer = setTimeout(() => {
      searched.current = text
      onSearch(text)
    }, debounceMs)
    return () => clearTimeout(timer)
  }, [text])
  return (
    <label class="search">
      <span class="hidden">{label}</span>
      <Icon name="search" />
      <input
        type="search"
        data-key={pageKey}
        data-autofocus={autofocus ? true : undefined}
        placeholder={label}
        maxLength={256}
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </label>
  )
}
