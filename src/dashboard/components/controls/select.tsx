import { Icon } from "./icons.tsx"

export interface SelectOption {
  value: string
  label: string
}

interface SelectGroup {
  label: string
  options: readonly SelectOption[]
}

interface SelectProps {
  value: string
  options: readonly (SelectOption | SelectGroup)[]
  onChange: (value: string) => void
  /** Accessible name, if no label contains the select. */
  label?: string
}

/**
 * Selects one option of a list. Uses the browser's own select in the style of the combobox: phones show their native
 * list, and keys and screen readers work as on every other page.
 */
export function Select({ value, options, onChange, label }: SelectProps) {
  return (
    <span class="select">
      <select
        aria-label={label}
        value={value}
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
      >
        {options.map((entry) =>
          "options" in entry ? (
            <optgroup key={entry.label} label={entry.label}>
              {entry.options.map(renderOption)}
            </optgroup>
          ) : (
            renderOption(entry)
          ),
        )}
      </select>
      <Icon name="down" />
    </span>
  )
}

function renderOption({ value, label }: SelectOption) {
  return (
    <option key={value} value={value}>
      {label}
    </option>
  )
}
