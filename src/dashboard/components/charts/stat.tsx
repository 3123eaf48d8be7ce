import type { Format } from "../../state/format.ts"
import { Sparkline } from "./sparkline.tsx"

interface StatProps {
  label: string
  value: number
  /** Undefined: not compared. */
  before?: number | undefined
  values?: readonly number[]
  /** The last of the values still grows. */
  isRunning?: boolean
  format: Format
  /** It is in percent, and what changed are points of it. */
  isRate?: boolean
  /** How it is written, where it is neither a count nor in percent. */
  show?: (value: number) => string
}

/** A number, how it changed, and its course. */
export function Stat({
  label,
  value,
  before,
  values,
  isRunning = false,
  format,
  isRate = false,
  show,
}: StatProps) {
  const shown = show ?? writer(format, isRate)
  return (
    <div class="stat">
      <dt>{label}</dt>
      <dd>
        <span class="stat-value">{shown(value)}</span>
        {before !== undefined && (
          <Change value={value} before={before} format={format} isRate={isRate} show={shown} />
        )}
        {values && <Sparkline values={values} isRunning={isRunning} />}
      </dd>
    </div>
  )
}

interface ChangeProps {
  value: number
  before: number
  format: Format
  /** Both are in percent: the change is in points, which a percentage of a percentage is not mistaken for. */
  isRate?: boolean
  show?: (value: number) => string
}

/** The change against the period before, in percent. */
export function Change({ value, before, format, isRate = false, show }: ChangeProps) {
  const was = `before: ${(show ?? writer(format, isRate))(before)}`
  if (before === 0 && !isRate)
    return (
      <span class="change same" title={was}>
        {value === 0 ? "±0%" : "new"}
      </span>
    )
  const change = isRate ? rounded(value - before) : (100 * (value - before)) / before
  const look = change > 0 ? "up" : change < 0 ? "down" : "same"
  const size = Math.abs(change)
  return (
    <span class={`change ${look}`} title={was}>
      {change > 0 ? "▲ " : change < 0 ? "▼ " : "±"}
      {isRate
        ? `${format.number(size)} points`
        : format.percent(size < 10 ? rounded(size) : Math.round(size))}
      <span class="hidden"> {change > 0 ? "more than" : change < 0 ? "less than" : "as"} before</span>
    </span>
  )
}

/** To tenths. */
function rounded(value: number): number {
  return Math.round(value * 10) / 10
}

function writer(format: Format, isRate: boolean): (value: number) => string {
  return (value) => (isRate ? format.rate(value) : format.count(value))
}
