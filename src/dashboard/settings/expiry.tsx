import { useState } from "preact/hooks"
import { useApp } from "../state/app.ts"
import { plusDays } from "../state/range.ts"

/** Days to choose from. */
const spans = [
  { days: 30, label: "in 30 days" },
  { days: 90, label: "in 90 days" },
  { days: 365, label: "in a year" },
] as const

interface ExpiryProps {
  /** ISO 8601; null: never. */
  expiresAt: string | null
  onChange: (expiresAt: string | null) => void
}

/** When something stops working. */
export function Expiry({ expiresAt, onChange }: ExpiryProps) {
  const { view } = useApp()
  const { today } = view.value
  const [choice, setChoice] = useState(expiresAt === null ? "never" : "day")
  const choose = (next: string) => {
    setChoice(next)
    if (next === "never") onChange(null)
    else if (next !== "day") onChange(endOf(plusDays(today, Number(next))))
    else onChange(expiresAt ?? endOf(plusDays(today, 30)))
  }
  return (
    <div class="settings-retain">
      <label class="field">
        Stops working
        <select value={choice} onChange={(event) => choose(event.currentTarget.value)}>
          <option value="never">never</option>
          {spans.map(({ days, label }) => (
            <option key={days} value={String(days)}>
              {label}
            </option>
          ))}
          <option value="day">at the end of a day</option>
        </select>
      </label>
      {choice === "day" && (
        <label class="field">
          Day
          <input
            type="date"
            required
            min={today}
            value={expiresAt?.slice(0, 10) ?? ""}
            onInput={({ currentTarget: { value } }) => value !== "" && onChange(endOf(value))}
          />
        </label>
      )}
    </div>
  )
}

/** In UTC, as the day is written. */
function endOf(day: string): string {
  return `${day}T23:59:59Z`
}
