import { useEffect, useRef, useState } from "preact/hooks"
import { Icon } from "./icons.tsx"

/** ms without a key after which is searched: shorter than anybody waits, longer than between two keys. */
const waitsFor = 250

interface SearchFieldProps {
  /** What is searched, in words. */
  label: string
  value: string
  /** Called when nobody types any more. */
  onSearch: (text: string) => void
  /** The key of the page that leads here. */
  pageKey?: string
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
    }, waitsFor)
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
