import { useEffect, useRef } from "preact/hooks"
import uPlot from "uplot"
import type { Format } from "../../state/format.ts"

export interface Series {
  name: string
  /** Of each date; fewer where there are none for the last ones. */
  values: number[]
  isBefore?: never
}

/** A line of dashes over the bars: the period before, which may lack some of the dates. */
export interface SeriesBefore {
  name: string
  values: (number | undefined)[]
  isBefore: true
}

export interface Mark {
  /** The date's index. */
  at: number
  text: string
}

export interface PlotProps {
  /** Dates as the API gives them. */
  dates: readonly string[]
  granularity: string
  series: readonly (Series | SeriesBefore)[]
  kind: "bars" | "lines"
  format: Format
  /** How a value is written. */
  value: (value: number) => string
  /** Values are in percent. */
  isRate?: boolean
  marks?: readonly Mark[]
  /** How many of the dates have begun: no line is drawn to the others. */
  begun: number
  /** Chooses a stretch by dragging: the first date and the last. */
  onZoom?: (from: string, to: string) => void
  /** px */
  height: number
}

/** Shades of the accent that are told apart by their lightness; the style sheet has as many. */
export const shades = 6

/** px of line and gap of all lines after the first, which are told apart by them. */
export const dashes = [
  [8, 4],
  [3, 3],
  [12, 3, 3, 3],
  [6, 2],
  [2, 5],
]

/** The drawing of a chart; whoever cannot see it has the table. */
export function Plot(props: PlotProps) {
  const box = useRef<HTMLDivElement>(null)
  const latest = useRef(props)
  latest.current = props
  const { dates, series, marks = [], kind, height, granularity, begun } = props
  const what = JSON.stringify([dates, series, marks, kind, height, granularity, begun])
  useEffect(() => {
    const element = box.current
    if (!element) return
    let chart = draw(element, latest)
    // At once: paper, which is white whatever the screen is, does not wait for the next frame.
    const anew = () => {
      chart.destroy()
      chart = draw(element, latest)
    }
    const looks = ["(prefers-color-scheme: dark)", "print"].map((query) => matchMedia(query))
    for (const look of looks) look.addEventListener("change", anew)
    const attribute = new MutationObserver(anew)
    attribute.observe(document.documentElement, { attributeFilter: ["data-theme"] })
    const resized = new ResizeObserver(() => {
      const width = element.clientWidth
      if (width > 0 && width !== chart.width) chart.setSize({ width, height })
    })
    resized.observe(element)
    return () => {
      for (const look of looks) look.removeEventListener("change", anew)
      attribute.disconnect()
      resized.disconnect()
      chart.destroy()
    }
  }, [what])
  return <div ref={box} class="chart-canvas" style={{ height: `${height}px` }} aria-hidden="true" />
}

/** Bars that are wide enough for a line between their parts. */
const mostApart = 100
/** Pixels between an axis and its numbers, and of the numbers' own place. */
const axisGap = 6
const leftAxis = 52
const bottomAxis = 28

/** Distances between the lines of the grid. A whole number of events is the least there is to tell apart. */
const whole = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7,
  5e7, 1e8,
]
const fractions = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]

function draw(element: HTMLElement, latest: { current: PlotProps }) {
  const {
    dates,
    series,
    kind,
    height,
    granularity,
    format,
    marks = [],
    onZoom,
    isRate,
    begun,
  } = latest.current
  const style = getComputedStyle(element)
  const colour = (name: string) => colourOf(element, name)
  const isBars = kind === "bars"
  const stacked = isBars
    ? stack(series.filter((one) => !one.isBefore))
    : series.filter((one) => !one.isBefore).map(({ values }) => values.slice(0, begun))
  const before = series.filter((one) => one.isBefore).map(({ values }) => values)
  const xs = dates.map((_, index) => index)
  // The tallest is drawn first, so that each stands in front of the sum that it is part of.
  const order = stacked.map((_, index) => index).reverse()
  const font = `12px ${style.fontFamily}`
  const axis: uPlot.Axis = {
    font,
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    gap: axisGap,
  }
  const bars = uPlot.paths.bars?.({ size: [0.82, 64], radius: stacked.length === 1 ? 0.12 : 0 })
  const options: uPlot.Options = {
    width: element.clientWidth || 600,
    height,
    padding: [10, 8, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: onZoom !== undefined, y: false, setScale: false },
    },
    scales: {
      x: { time: false, range: () => [-0.5, Math.max(0.5, dates.length - 0.5)] },
      y: { range: (_, _min, max) => [0, max > 0 ? max * 1.05 : 1] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: bottomAxis,
        splits: () => ticks(dates, granularity, element.clientWidth),
        values: (_, splits) => splits.map((index) => format.tick(dates[index] ?? "", granularity)),
      },
      {
        ...axis,
        size: leftAxis,
        space: 42,
        incrs: isRate ? [...fractions, ...whole] : whole,
        values: (_, splits) => splits.map((value) => (isRate ? format.percent(value) : format.short(value))),
      },
    ],
    series: [
      {},
      ...order.map(
        (index): uPlot.Series => ({
          stroke: isBars ? colour("--panel") : colour(`--shade-${index % shades}`),
          width: isBars ? (stacked.length > 1 && dates.length <= mostApart ? 0.6 : 0) : 2,
          ...(isBars ? { fill: colour(`--shade-${index % shades}`), ...(bars ? { paths: bars } : {}) } : {}),
          ...(!isBars && index > 0
            ? {
                dash: dashes[(index - 1) % dashes.length] as number[],
              }
            : {}),
          points: { show: !isBars && dates.length <= 2 },
        }),
      ),
      // On a ground of its own, as it runs over the bars.
      ...before.flatMap((): uPlot.Series[] => [
        { stroke: colour("--panel"), width: 3, alpha: 0.8, points: { show: false } },
        { stroke: colour("--before"), width: 1.5, dash: [4, 4], points: { show: dates.length <= 1 } },
      ]),
    ],
    hooks: {
      setCursor: [(chart) => tip.show(chart)],
      draw: [(chart) => drawMarks(chart, marks, colour("--accent"), colour("--panel"))],
      setSelect: [
        (chart) => {
          const { left, width } = chart.select
          if (width < 8) return
          const at = (x: number) =>
            Math.max(0, Math.min(dates.length - 1, Math.round(chart.posToVal(x, "x"))))
          chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false)
          const [from, to] = [dates[at(left)], dates[at(left + width)]]
          if (from !== undefined && to !== undefined)
            latest.current.onZoom?.(from.slice(0, 10), to.slice(0, 10))
        },
      ],
    },
  }
  const data = [
    xs,
    // The border of a bar of nothing would cut through the axis.
    ...order.map((index) =>
      dates.map((_, at) => (isBars ? stacked[index]?.[at] || null : stacked[index]?.[at])),
    ),
    // null and not undefined, over which a line would go on.
    ...before.map((values) => dates.map((_, at) => values[at] ?? null)).flatMap((values) => [values, values]),
  ] as uPlot.AlignedData
  const tip = new Tip(latest)
  const chart = new uPlot(options, data, element)
  chart.over.append(tip.element)
  return chart
}

/** A canvas knows no variables, and none that depends on the theme: the browser works it out for an element. */
function colourOf(element: HTMLElement, name: string): string {
  element.style.color = `var(${name})`
  const { color } = getComputedStyle(element)
  element.style.color = ""
  return color
}

function stack(series: readonly Series[]): number[][] {
  const sums: number[][] = []
  for (const { values } of series) {
    const below = sums.at(-1)
    sums.push(values.map((value, index) => value + (below?.[index] ?? 0)))
  }
  return sums
}

/** px that a date on the axis takes. */
const tickWidth = 84
/** px that there have to be between the middle of a date and the end of the axis. */
const edge = 26

/** As many dates as there is room for; of hours the midnights, where there are several. */
function ticks(dates: readonly string[], granularity: string, width: number): number[] {
  const room = Math.max(1, Math.floor((width - leftAxis) / tickWidth))
  const all = dates.map((_, index) => index)
  const midnights = all.filter((index) => dates[index]?.slice(11, 16) === "00:00")
  const candidates = granularity === "hourly" && midnights.length > 2 ? midnights : all
  const step = Math.ceil(candidates.length / room)
  // One at the very end would be cut off.
  const last = dates.length - 0.5 - (dates.length * edge) / Math.max(1, width - leftAxis)
  return candidates.filter((index, at) => at % step === 0 && index <= last)
}

function drawMarks(
  { ctx, bbox, valToPos }: uPlot,
  marks: readonly Mark[],
  colour: string,
  ground: string,
): void {
  ctx.save()
  ctx.fillStyle = colour
  for (const { at } of marks) {
    const x = Math.round(valToPos(at, "x", true))
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    // A bar may have the same colour.
    ctx.setLineDash([])
    ctx.strokeStyle = ground
    ctx.lineWidth = 3 * devicePixelRatio
    ctx.stroke()
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio])
    ctx.strokeStyle = colour
    ctx.lineWidth = devicePixelRatio
    ctx.stroke()
    ctx.beginPath()
    ctx.arc(x, bbox.top, 3 * devicePixelRatio, 0, 2 * Math.PI)
    ctx.fill()
  }
  ctx.restore()
}

/** What the chart says of the date below the pointer. */
class Tip {
  readonly element = document.createElement("div")

  constructor(private readonly latest: { current: PlotProps }) {
    this.element.className = "chart-tip"
    this.element.hidden = true
  }

  show(chart: uPlot): void {
    const { idx, left = -1 } = chart.cursor
    const { dates, series, granularity, format, value, marks = [] } = this.latest.current
    const date = idx === null || idx === undefined ? undefined : dates[idx]
    this.element.hidden = date === undefined || left < 0
    if (date === undefined || idx === null || idx === undefined) return
    const title = document.createElement("strong")
    title.textContent = format.bucket(date, granularity)
    const lines = series.map((one, index) => {
      const line = document.createElement("div")
      line.className = one.isBefore ? "before" : `shade-${index % shades}`
      const name = document.createElement("span")
      name.textContent = one.name
      const number = document.createElement("b")
      const shown = one.values[idx]
      number.textContent = shown === undefined ? "–" : value(shown)
      line.append(name, number)
      return line
    })
    const notes = marks
      .filter(({ at }) => at === idx)
      .map(({ text }) => {
        const line = document.createElement("em")
        line.textContent = text
        return line
      })
    this.element.replaceChildren(title, ...lines, ...notes)
    const isRight = left > chart.over.clientWidth / 2
    this.element.style.left = isRight ? "" : `${left + 14}px`
    this.element.style.right = isRight ? `${chart.over.clientWidth - left + 14}px` : ""
  }
}
