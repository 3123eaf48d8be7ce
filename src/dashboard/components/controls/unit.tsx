import { Select } from "./select.tsx"

/** What funnels and other reports count. */
export const units = [
  { value: "visitor", one: "visitor", many: "visitors" },
  { value: "session", one: "session", many: "sessions" },
  { value: "profile", one: "profile", many: "profiles" },
] as const

export type Unit = (typeof units)[number]
export type UnitName = Unit["value"]

const [visitors] = units

export function parseUnit(params: URLSearchParams): Unit {
  return units.find(({ value }) => value === params.get("unit")) ?? visitors
}

/** The URL parameter of a unit; undefined for the default. */
export function unitParam(unit: UnitName): string | undefined {
  return unit === visitors.value ? undefined : unit
}

/** The capitalized plural, for example “Visitors”. */
export function unitTitle({ many }: Unit): string {
  return many.charAt(0).toUpperCase() + many.slice(1)
}

interface UnitPickerProps {
  unit: Unit
  onChange: (unit: UnitName) => void
  /** The units to offer. Default: all. */
  options?: readonly Unit[]
}

export function UnitPicker({ unit, onChange, options = units }: UnitPickerProps) {
  return (
    <label class="inline-field">
      Count
      <Select
        value={unit.value}
        options={options.map(({ value, many }) => ({ value, label: many }))}
        onChange={(selected) => {
          const chosen = options.find(({ value }) => value === selected)
          if (chosen) onChange(chosen.value)
        }}
      />
    </label>
  )
}
