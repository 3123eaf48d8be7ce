import { useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { addDays, endOfDay } from "../../state/range.ts"
import { Select } from "./select.tsx"

/** The lifetimes offered for API keys and share links. */
const lifetimes = [
  { days: 7, label: "In 7 days" },
  { days: 30, label: "In 30 days" },
  { days: 90, label: "In 90 days" },
  { days: 365, label: "In 1 year" },
] as const

interface ExpiryProps {
  /** ISO 8601; null for never. */
  expiresAt: string | null
  /** The initially selected lifetime in days. Default: `expiresAt`, or never. */
  initialDays?: number
  onChange: (expiresAt: string | null) => void
}

/** Selects when an API key or share link expires. */
export function Expiry({ expiresAt, initialDays, onChange }: ExpiryProps) {
  const { view } = useApp()
  const { today } = view.value
  const [choice, setChoice] = useState(
    initialDays ? String(initialDays) : expiresAt === null ? "never" : "day",
  )
  const choose = (next: string) => {
    setChoice(next)
    if (next === "never") onChange(null)
    else if (next !== "day") onChange(endOfDay(addDays(today, Number(next))))
    else onChange(expiresAt ?? endOfDay(addDays(today, 30)))
  }
  return (
    <div class="settings-retain">
      <label class="field">
        Expires
        <Select
          value={choice}
          options={[
            { value: "never", label: "Never" },
            ...lifetimes.map(({ days, label }) => ({ value: String(days), label })),
            { value: "day", label: "On a date" },
          ]}
          onChange={choose}
        />
      </label>
      {choice === "day" && (
        <label class="field">
          Date
          <input
            type="date"
            required
            min={today}
            value={expiresAt?.slice(0, 10) ?? ""}
            onInput={({ currentTarget: { value } }) => value !== "" && onChange(endOfDay(value))}
          />
        </label>
      )}
    </div>
  )
}
