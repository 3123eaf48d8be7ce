import { useState } from "preact/hooks"

const presets = [
  { window: "1h", label: "1 hour" },
  { window: "1d", label: "1 day" },
  { window: "7d", label: "7 days" },
  { window: "30d", label: "30 days" },
] as const

/** What is meant where the address says nothing, as the API has it. */
export const standardWindow = "7d"

const unitsOfTime = [
  { unit: "s", label: "seconds", s: 1 },
  { unit: "m", label: "minutes", s: 60 },
  { unit: "h", label: "hours", s: 3_600 },
  { unit: "d", label: "days", s: 86_400 },
  { unit: "w", label: "weeks", s: 604_800 },
] as const

/** The API's. */
const mostSeconds = 366 * 86_400

/** `90m` in its parts; undefined: it is no time that a funnel can have. */
function partsOf(window: string | null): { count: number; unit: string } | undefined {
  const [, digits, unit = ""] = /^([1-9]\d{0,8})([smhdw])$/.exec(window ?? "") ?? []
  const count = Number(digits)
  const seconds = unitsOfTime.find((one) => one.unit === unit)?.s
  return seconds !== undefined && count * seconds <= mostSeconds ? { count, unit } : undefined
}

export function readWindow(params: URLSearchParams): string {
  const asked = params.get("window")
  return asked !== null && partsOf(asked) ? asked : standardWindow
}

/** In words: 7 days. */
export function windowText(window: string): string {
  const preset = presets.find((one) => one.window === window)
  if (preset) return preset.label
  const { count, unit } = partsOf(window) ?? { count: 0, unit: "" }
  const label = unitsOfTime.find((one) => one.unit === unit)?.label ?? ""
  return `${count} ${count === 1 ? label.slice(0, -1) : label}`
}

interface WindowPickerProps {
  window: string
  onChange: (window: string) => void
}

/** How long people have from the first step to the last. */
export function WindowPicker({ window, onChange }: WindowPickerProps) {
  const isPreset = presets.some((one) => one.window === window)
  const [isOwn, setOwn] = useState(!isPreset)
  const { count, unit } = partsOf(window) ?? { count: 1, unit: "d" }
  const [typed, setTyped] = useState(String(count))
  const set = (digits: string, inUnit: string) => {
    setTyped(digits)
    if (partsOf(`${digits}${inUnit}`)) onChange(`${digits}${inUnit}`)
  }
  const isBad = isOwn && !partsOf(`${typed}${unit}`)
  return (
    <>
      <label class="inline-field">
        Within
        <select
          value={isOwn ? "own" : window}
          onChange={(event) => {
            const chosen = event.currentTarget.value
            setOwn(chosen === "own")
            if (chosen === "own") setTyped(String(count))
            else onChange(chosen)
          }}
        >
          {presets.map((one) => (
            <option key={one.window} value={one.window}>
              {one.label}
            </option>
          ))}
          <option value="own">another time</option>
        </select>
      </label>
      {isOwn && (
        <span class="inline-field">
          <input
            type="number"
            aria-label="Length of the time"
            min={1}
            step={1}
            value={typed}
            aria-invalid={isBad}
            onInput={(event) => set(event.currentTarget.value, unit)}
          />
          <select
            aria-label="Unit of the time"
            value={unit}
            onChange={(event) => set(typed, event.currentTarget.value)}
          >
            {unitsOfTime.map((one) => (
              <option key={one.unit} value={one.unit}>
                {one.label}
              </option>
            ))}
          </select>
        </span>
      )}
      {isBad && (
        <span class="form-error" role="alert">
          Give a whole number of at most 366 days.
        </span>
      )}
    </>
  )
}
