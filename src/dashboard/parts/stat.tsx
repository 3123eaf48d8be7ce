import type { Format } from "../state/format.ts"
import { Sparkline } from "./sparkline.tsx"

interface StatProps {
  label: string
  value: number
  /** Undefined: not compared. */
  before?: number | undefined
  values?: readonly number[]
  format: Format
  show?: (value: number) => string
}

/** A number, how it changed, and its course. */
export function Stat({ label, value, before, values, format, show = (one) => format.count(one) }: StatProps) {
  return (
    <div class="stat">
      <dt>{label}</dt>
      <dd>
        <span class="stat-value">{show(value)}</span>
        {before !== undefined && <Change value={value} before={before} format={format} />}
        {values && <Sparkline values={values} />}
      </dd>
    </div>
  )
}

/** The change against the period before, in percent. */
export function Change({ value, before, format }: { value: number; before: number; format: Format }) {
  const was = `before: ${format.count(before)}`
  if (before === 0)
    return (
      <span class="change same" title={was}>
        {value === 0 ? "±0%" : "new"}
      </span>
    )
  const percent = (100 * (value - before)) / before
  const look = percent > 0 ? "up" : percent < 0 ? "down" : "same"
  const digits = Math.abs(percent) < 10 ? Math.round(percent * 10) / 10 : Math.round(percent)
  return (
    <span class={`change ${look}`} title={was}>
      {percent > 0 ? "▲ " : percent < 0 ? "▼ " : "±"}
      {format.percent(Math.abs(digits))}
      <span class="hidden"> {percent > 0 ? "more" : percent < 0 ? "less" : ""} than before</span>
    </span>
  )
}
