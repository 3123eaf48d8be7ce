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
  /** Accessible name, if the select is not inside a label. */
  label?: string
}

/**
 * A drop-down list, styled like the combobox. It is the browser's native select, so phones show their own list, and
 * keyboards and screen readers work as usual.
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
