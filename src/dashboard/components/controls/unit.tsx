import type { Format } from "../../state/format.ts"

/** Who is followed. */
export const units = [
  { value: "visitor", one: "visitor", many: "visitors" },
  { value: "session", one: "session", many: "sessions" },
  { value: "profile", one: "profile", many: "profiles" },
] as const

export type Unit = (typeof units)[number]
export type UnitName = Unit["value"]

const [visitors] = units

export function readUnit(params: URLSearchParams): Unit {
  return units.find(({ value }) => value === params.get("unit")) ?? visitors
}

/** As it stands in the address: undefined for the one that is meant where nothing is said. */
export function unitParam(unit: UnitName): string | undefined {
  return unit === visitors.value ? undefined : unit
}

/** 1 visitor, 1,204 visitors */
export function counted(count: number, { one, many }: Unit, format: Format): string {
  return `${format.count(count)} ${count === 1 ? one : many}`
}

/** Visitors, as a title begins. */
export function titled({ many }: Unit): string {
  return many.charAt(0).toUpperCase() + many.slice(1)
}

interface UnitPickerProps {
  unit: Unit
  onChange: (unit: UnitName) => void
  /** Those to choose from; left out: all. */
  of?: readonly Unit[]
}

export function UnitPicker({ unit, onChange, of = units }: UnitPickerProps) {
  return (
    <label class="inline-field">
      Count
      <select value={unit.value} onChange={(event) => onChange(event.currentTarget.value as UnitName)}>
        {of.map(({ value, many }) => (
          <option key={value} value={value}>
            {many}
          </option>
        ))}
      </select>
    </label>
  )
}
