import type uPlot from "uplot"
import { changeText } from "./change.ts"
import { type ChartData, dateName, shadeOf } from "./series.ts"

/** px between the pointer and the tooltip. */
const gap = 14

/** A line of the tooltip. It has a color key only if `className` is set. */
interface TooltipRow {
  name: string
  text: string
  className?: string
}

/** The tooltip for the date under the pointer, or for the date that was tapped. */
export class Tooltip {
  readonly #element = document.createElement("div")
  readonly #listeners = new AbortController()
  #isTouch = false

  constructor(private readonly latest: { current: ChartData }) {
    this.#element.className = "chart-tip"
    this.#element.hidden = true
  }

  /** Adds the tooltip to a chart. A tap shows it, and a tap elsewhere hides it. */
  attach(chart: uPlot): void {
    chart.over.append(this.#element)
    const { signal } = this.#listeners
    chart.over.addEventListener(
      "click",
      ({ offsetX, offsetY }) => chart.setCursor({ left: offsetX, top: offsetY }),
      { signal },
    )
    document.addEventListener(
      "pointerdown",
      ({ target, pointerType }) => {
        this.#isTouch = pointerType === "touch"
        if (!(target instanceof Node && chart.over.contains(target))) chart.setCursor({ left: -1, top: -1 })
      },
      { signal },
    )
  }

  /** Whether the last pointer was a finger. If so, the tooltip stays when the finger is lifted. */
  get isTouch(): boolean {
    return this.#isTouch
  }

  /** Removes the tooltip's listeners. */
  detach(): void {
    this.#listeners.abort()
  }

  show(chart: uPlot): void {
    const { idx, left = -1 } = chart.cursor
    const { dates, marks = [] } = this.latest.current
    const date = idx === null || idx === undefined ? undefined : dates[idx]
    this.#element.hidden = date === undefined || left < 0
    if (date === undefined || idx === null || idx === undefined) return
    const title = document.createElement("strong")
    title.textContent = dateName(this.latest.current, idx)
    const lines = rowsAt(this.latest.current, idx).map(({ name, text, className = "" }) => {
      const line = document.createElement("div")
      line.className = className
      const label = document.createElement("span")
      label.textContent = name
      const number = document.createElement("b")
      number.textContent = text
      line.append(label, number)
      return line
    })
    const notes = marks
      .filter(({ at }) => at === idx)
      .map(({ text }) => {
        const line = document.createElement("em")
        line.textContent = text
        return line
      })
    this.#element.replaceChildren(title, ...lines, ...notes)
    this.#place(chart.over, left)
  }

  /** Places the tooltip next to the pointer at `x` (px), within the chart. On a phone, it can cover the axis. */
  #place(over: HTMLElement, x: number): void {
    const { style } = this.#element
    // Measured at the left edge, where the tooltip has room and does not wrap.
    style.left = "0"
    const width = this.#element.offsetWidth
    const end = over.clientWidth - width
    const place = x + gap <= end ? x + gap : Math.max(-over.offsetLeft, x - gap - width)
    style.left = `${Math.min(place, end)}px`
  }
}

/**
 * Returns the name of the previous period. If the weekdays differ, the name is followed by the date, because traffic
 * depends on the weekday.
 */
function previousName(name: string, { dates, previousDates, format }: ChartData, at: number): string {
  const [date, previous] = [dates[at], previousDates?.[at]]
  if (date === undefined || previous === undefined) return name
  const weekday = (day: string) => new Date(day).getUTCDay()
  return weekday(date) === weekday(previous) ? name : `${name}, ${format.bucket(previous, "daily")}`
}

/**
 * Returns the rows for a date. For stacked bars, these are the total, the previous period and the change, followed by
 * the parts from top to bottom.
 */
function rowsAt(data: ChartData, at: number): TooltipRow[] {
  const { series, kind, started, format, value, isRate = false } = data
  const write = (shown: number | undefined) => (shown === undefined ? "–" : value(shown))
  const current = series.flatMap((line, index) =>
    line.isPrevious ? [] : [{ name: line.name, value: line.values[at], className: shadeOf(line, index) }],
  )
  const previous = series.flatMap(({ name, values, isPrevious }) =>
    isPrevious ? [{ name: previousName(name, data, at), value: values[at], className: "previous" }] : [],
  )
  const rows = (items: typeof current) =>
    items.map(({ value, ...item }): TooltipRow => ({ ...item, text: write(value) }))
  const isStack = kind === "bars" && current.length > 1
  const total = isStack ? current.reduce((sum, { value = 0 }) => sum + value, 0) : current[0]?.value
  // A chart with several lines has no total, and it would be unclear which line a change refers to.
  if (!isStack && current.length > 1) return rows([...current, ...previous])
  const before = previous[0]?.value
  const hasChange = total !== undefined && before !== undefined && at < started
  return [
    ...(isStack ? [{ name: "Total", text: write(total) }] : rows(current)),
    ...rows(previous),
    ...(hasChange ? [{ name: "Change", text: changeText(total, before, format, isRate) }] : []),
    ...(isStack ? rows(current.toReversed()) : []),
  ]
}
