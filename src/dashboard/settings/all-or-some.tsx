import type { ComponentChildren } from "preact"
import { useId } from "preact/hooks"

interface AllOrSomeProps<Item extends string> {
  legend: string
  /** Label of the choice "all". */
  all: string
  /** Label of the choice "some". */
  some: string
  options: readonly { value: Item; label: ComponentChildren }[]
  class?: string
  /** null for all. */
  selected: readonly Item[] | null
  onChange: (selected: Item[] | null) => void
}

/** Selects all items, including future ones, or a subset. */
export function AllOrSome<Item extends string>({
  legend,
  all,
  some,
  options,
  class: className = "",
  selected,
  onChange,
}: AllOrSomeProps<Item>) {
  const name = useId()
  return (
    <fieldset class="choices">
      <legend>{legend}</legend>
      <label class="check">
        <input type="radio" name={name} checked={selected === null} onChange={() => onChange(null)} />
        {all}
      </label>
      <label class="check">
        <input type="radio" name={name} checked={selected !== null} onChange={() => onChange([])} />
        {some}
      </label>
      {selected !== null && (
        <div class="settings-websites">
          {options.map(({ value, label }) => (
            <label key={value} class={`check ${className}`}>
              <input
                type="checkbox"
                checked={selected.includes(value)}
                onChange={({ currentTarget }) =>
                  onChange(
                    currentTarget.checked ? [...selected, value] : selected.filter((one) => one !== value),
                  )
                }
              />
              <span>{label}</span>
            </label>
          ))}
        </div>
      )}
    </fieldset>
  )
}
