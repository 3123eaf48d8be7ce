import { useState } from "preact/hooks"
import { Select } from "../components/controls/select.tsx"

const presets = [
  { window: "1h", label: "1 hour" },
  { window: "1d", label: "1 day" },
  { window: "7d", label: "7 days" },
  { window: "30d", label: "30 days" },
] as const

/** The default window, as in the API. */
export const defaultWindow = "7d"

const timeUnits = [
  { unit: "s", label: "seconds", s: 1 },
  { unit: "m", label: "minutes", s: 60 },
  { unit: "h", label: "hours", s: 3_600 },
  { unit: "d", label: "days", s: 86_400 },
  { unit: "w", label: "weeks", s: 604_800 },
] as const

/** The API's limit for the conversion window. */
const maxSeconds = 366 * 86_400

/** Parses a conversion window such as `90m`. Returns undefined if it is invalid. */
function parseWindow(window: string | null): { count: number; unit: string } | undefined {
  const [, digits, unit = ""] = /^([1-9]\d{0,8})([smhdw])$/.exec(window ?? "") ?? []
  const count = Number(digits)
  const seconds = timeUnits.find((timeUnit) => timeUnit.unit === unit)?.s
  return seconds !== undefined && count * seconds <= maxSeconds ? { count, unit } : undefined
}

/** Returns the conversion window in the URL, or the default if there is no valid one. */
export function readWindow(params: URLSearchParams): string {
  const param = params.get("window")
  return param !== null && parseWindow(param) ? param : defaultWindow
}

/** Describes a conversion window: `7d` becomes “7 days”. */
export function windowText(window: string): string {
  const preset = presets.find((preset) => preset.window === window)
  if (preset) return preset.label
  const { count, unit } = parseWindow(window) ?? { count: 0, unit: "" }
  const label = timeUnits.find((timeUnit) => timeUnit.unit === unit)?.label ?? ""
  return `${count} ${count === 1 ? label.slice(0, -1) : label}`
}

interface WindowPickerProps {
  window: string
  onChange: (window: string) => void
}

/** Selects the conversion window: the maximum time from the first step to the last. */
export function WindowPicker({ window, onChange }: WindowPickerProps) {
  const isPreset = presets.some((preset) => preset.window === window)
  const [isCustom, setCustom] = useState(!isPreset)
  const { count, unit } = parseWindow(window) ?? { count: 1, unit: "d" }
  const [typed, setTyped] = useState(String(count))
  const set = (digits: string, newUnit: string) => {
    setTyped(digits)
    if (parseWindow(`${digits}${newUnit}`)) onChange(`${digits}${newUnit}`)
  }
  const isInvalid = isCustom && !parseWindow(`${typed}${unit}`)
  return (
    <>
      <label class="inline-field">
        Within
        <Select
          value={isCustom ? "custom" : window}
          options={[
            ...presets.map((preset) => ({ value: preset.window, label: preset.label })),
            { value: "custom", label: "Custom…" },
          ]}
          onChange={(value) => {
            setCustom(value === "custom")
            if (value === "custom") setTyped(String(count))
            else onChange(value)
          }}
        />
      </label>
      {isCustom && (
        <span class="inline-field">
          <input
            type="number"
            aria-label="Conversion window length"
            min={1}
            step={1}
            value={typed}
            aria-invalid={isInvalid}
            onInput={(event) => set(event.currentTarget.value, unit)}
          />
          <Select
            label="Conversion window unit"
            value={unit}
            options={timeUnits.map((timeUnit) => ({ value: timeUnit.unit, label: timeUnit.label }))}
            onChange={(selected) => set(typed, selected)}
          />
        </span>
      )}
      {isInvalid && (
        <span class="form-error" role="alert">
          Enter a whole number, up to 366 days.
        </span>
      )}
    </>
  )
}
