import { useEffect, useRef } from "preact/hooks"
import uPlot from "uplot"
import { type ChartData, type Mark, type Series, shadeOf } from "./series.ts"
import { Tooltip } from "./tooltip.ts"

export interface PlotProps extends ChartData {
  /** Whether the labels of the value axis can be fractions. Default: `isRate`. */
  hasFractions?: boolean
  /** Called with the first and last day of the selection after the user has dragged over the chart. */
  onZoom?: (from: string, to: string) => void
  /** Called with the index of a date that is clicked, or tapped while its tooltip is visible. */
  onSelect?: (index: number) => void
  /** Index of the date to show the tooltip for; undefined for the date under the pointer. */
  selected?: number | undefined
  /** Height in px. */
  height: number
}

/** Dash patterns in px for the second and later lines. */
const dashes = [
  [8, 4],
  [3, 3],
  [12, 3, 3, 3],
  [6, 2],
  [2, 5],
]

/** Returns the dash pattern of a line. The first line is solid. */
export function dashOf(index: number): number[] {
  return (index > 0 ? dashes[(index - 1) % dashes.length] : undefined) ?? []
}

/** A chart drawn with uPlot. It is hidden from screen readers, which read the table instead. */
export function Plot(props: PlotProps) {
  const box = useRef<HTMLDivElement>(null)
  const latest = useRef(props)
  latest.current = props
  const drawn = useRef<uPlot>(undefined)
  const { dates, series, marks = [], kind, height, granularity, started, isRunning } = props
  const key = JSON.stringify([dates, series, marks, kind, height, granularity, started, isRunning])
  useEffect(() => {
    const element = box.current
    if (!element) return
    let chart = draw(element, latest)
    drawn.current = chart
    // Redraws immediately, because printing uses light colors and does not wait for the next frame.
    const redraw = () => {
      chart.destroy()
      chart = draw(element, latest)
      drawn.current = chart
    }
    const mediaQueries = ["(prefers-color-scheme: dark)", "print"].map((query) => matchMedia(query))
    for (const query of mediaQueries) query.addEventListener("change", redraw)
    const themeObserver = new MutationObserver(redraw)
    themeObserver.observe(document.documentElement, { attributeFilter: ["data-theme"] })
    const sizeObserver = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight } = element
      const isResized = width !== chart.width || clientHeight !== chart.height
      if (width > 0 && clientHeight > 0 && isResized) chart.setSize({ width, height: clientHeight })
    })
    sizeObserver.observe(element)
    return () => {
      for (const query of mediaQueries) query.removeEventListener("change", redraw)
      themeObserver.disconnect()
      sizeObserver.disconnect()
      chart.destroy()
    }
  }, [key])
  const { selected } = props
  useEffect(() => {
    const left = selected === undefined ? -1 : (drawn.current?.valToPos(selected, "x") ?? -1)
    drawn.current?.setCursor({ left, top: left < 0 ? -1 : 0 })
  }, [selected])
  return <div ref={box} class="chart-canvas" style={{ "--height": `${height}px` }} aria-hidden="true" />
}

/** Dash pattern in px for a line segment that ends at an incomplete value. */
const runningDash = [2, 4]

/** Maximum number of bars that have gaps between their stacked parts. More bars would be too narrow for gaps. */
const maxSeparated = 100
/** Gap between an axis and its labels, and space reserved for the labels of each axis, in px. */
const axisGap = 6
const leftAxis = 52
const bottomAxis = 28

/** Grid steps for counts, which have no fractions. */
const integerSteps = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7,
  5e7, 1e8,
]
const fractionSteps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]

function draw(element: HTMLElement, latest: { current: PlotProps }) {
  const {
    dates,
    series,
    kind,
    height,
    granularity,
    format,
    value,
    marks = [],
    onZoom,
    isRate = false,
    hasFractions = isRate,
    started,
    isRunning = false,
  } = latest.current
  const style = getComputedStyle(element)
  const color = (name: string) => colorOf(element, name)
  const isBars = kind === "bars"
  const shade = (index: number) => color(`--${shadeOf(series[index] ?? {}, index)}`)
  const stacked = isBars
    ? stack(series.filter((line) => !line.isPrevious))
    : series.filter((line) => !line.isPrevious).map(({ values }) => values.slice(0, started))
  const hasGaps = stacked.some((values) => values.includes(undefined))
  // A line's last segment is dotted if it ends at an incomplete value, because a solid one would look like a decrease.
  const running = isRunning && !isBars ? started - 1 : Number.POSITIVE_INFINITY
  const previous = series.filter((line) => line.isPrevious).map(({ values }) => values)
  const xs = dates.map((_, index) => index)
  // The largest sum is drawn first; each smaller one then covers part of it.
  const order = stacked.map((_, index) => index).reverse()
  const font = `12px ${style.fontFamily}`
  const axis: uPlot.Axis = {
    font,
    stroke: color("--muted"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
    gap: axisGap,
  }
  const bars = uPlot.paths.bars?.({ size: [0.82, 64], radius: stacked.length === 1 ? 0.12 : 0 })
  const options: uPlot.Options = {
    width: element.clientWidth || 600,
    // A style sheet can override the height, as on boards.
    height: element.clientHeight || height,
    padding: [10, 8, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: onZoom !== undefined, y: false, setScale: false },
      bind: {
        mouseleave: (_chart, _target, leave) => (event) => {
          if (!tip.isTouch) leave(event)
          return null
        },
      },
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
        incrs: hasFractions ? [...fractionSteps, ...integerSteps] : integerSteps,
        values: (_, splits) =>
          splits.map((split) =>
            isRate ? format.percent(split) : hasFractions ? value(split) : format.short(split),
          ),
      },
    ],
    series: [
      {},
      ...order.map(
        (index): uPlot.Series => ({
          stroke: isBars ? color("--panel") : shade(index),
          width: isBars ? (stacked.length > 1 && dates.length <= maxSeparated ? 0.6 : 0) : 2,
          ...(isBars ? { fill: shade(index), ...(bars ? { paths: bars } : {}) } : {}),
          ...(isBars ? {} : { dash: dashOf(index) }),
          points: { show: !isBars && (dates.length <= 2 || hasGaps) },
        }),
      ),
      ...(Number.isFinite(running)
        ? order.map(
            (index): uPlot.Series => ({
              stroke: shade(index),
              width: 2,
              dash: runningDash,
              points: { show: false },
            }),
          )
        : []),
      // The line of the previous period crosses the bars, so it has an outline in the background color.
      ...previous.flatMap((): uPlot.Series[] => [
        { stroke: color("--panel"), width: 3, alpha: 0.8, points: { show: false } },
        { stroke: color("--previous"), width: 1.5, dash: [4, 4], points: { show: dates.length <= 1 } },
      ]),
    ],
    hooks: {
      setCursor: [(chart) => tip.show(chart)],
      destroy: [() => tip.detach()],
      drawSeries: [
        (chart, index) => {
          if (isBars && isRunning && index === order.length) drawStripes(chart, started - 1, color("--panel"))
        },
      ],
      draw: [(chart) => drawMarks(chart, marks, color("--accent"), color("--panel"))],
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
  const data: uPlot.AlignedData = [
    xs,
    // The value of an empty bar is null instead of 0, because the border of the bar would cut through the axis.
    ...order.map((index) =>
      dates.map((_, at) =>
        isBars
          ? stacked[index]?.[at] || null
          : at < running || running === 0
            ? (stacked[index]?.[at] ?? null)
            : null,
      ),
    ),
    ...(Number.isFinite(running)
      ? order.map((index) =>
          dates.map((_, at) =>
            at === running || at === running - 1 ? (stacked[index]?.[at] ?? null) : null,
          ),
        )
      : []),
    // null interrupts the line. With undefined, the line would connect the neighboring points.
    ...previous
      .map((values) => dates.map((_, at) => values[at] ?? null))
      .flatMap((values) => [values, values]),
  ]
  const tip = new Tooltip(latest)
  const chart = new uPlot(options, data, element)
  /** Index of the date that was clicked or tapped last; -1 for none. */
  let tapped = -1
  chart.over.addEventListener("click", ({ offsetX }) => {
    const index = Math.max(0, Math.min(dates.length - 1, Math.round(chart.posToVal(offsetX, "x"))))
    if (!tip.isTouch || tapped === index) latest.current.onSelect?.(index)
    tapped = index
  })
  tip.attach(chart)
  return chart
}

/** Returns the color that a CSS variable resolves to, because a canvas cannot use CSS variables. */
function colorOf(element: HTMLElement, name: string): string {
  element.style.color = `var(${name})`
  const { color } = getComputedStyle(element)
  element.style.color = ""
  return color
}

function stack(series: readonly Series[]): (number | undefined)[][] {
  const sums: number[][] = []
  for (const { values } of series) {
    const below = sums.at(-1)
    sums.push(values.map((value = 0, index) => value + (below?.[index] ?? 0)))
  }
  return sums
}

/** px per date label on the axis. */
const tickWidth = 84
/** Minimum number of px between the center of the last label and the end of the axis. */
const edgeWidth = 26

/**
 * Returns the indexes of as many dates as there is room to label. An hourly chart with more than two midnights labels
 * only midnights.
 */
function ticks(dates: readonly string[], granularity: string, width: number): number[] {
  const room = Math.max(1, Math.floor((width - leftAxis) / tickWidth))
  const all = dates.map((_, index) => index)
  const midnights = all.filter((index) => dates[index]?.slice(11, 16) === "00:00")
  const candidates = granularity === "hourly" && midnights.length > 2 ? midnights : all
  const step = Math.ceil(candidates.length / room)
  // A label at the very end would be cut off.
  const last = dates.length - 0.5 - (dates.length * edgeWidth) / Math.max(1, width - leftAxis)
  return candidates.filter((index, at) => at % step === 0 && index <= last)
}

/** px between the stripes in the bar of an incomplete period. */
const stripeGap = 6

/** Draws stripes in the background color over the bars of one date. */
function drawStripes({ ctx, bbox, valToPos }: uPlot, at: number, ground: string): void {
  const [left, right] = [valToPos(at - 0.5, "x", true), valToPos(at + 0.5, "x", true)]
  const { top, height } = bbox
  ctx.save()
  ctx.beginPath()
  ctx.rect(left, top, right - left, height)
  ctx.clip()
  ctx.strokeStyle = ground
  ctx.lineWidth = 2 * devicePixelRatio
  ctx.beginPath()
  for (let x = left - height; x < right; x += stripeGap * devicePixelRatio) {
    ctx.moveTo(x, top + height)
    ctx.lineTo(x + height, top)
  }
  ctx.stroke()
  ctx.restore()
}

function drawMarks(
  { ctx, bbox, valToPos }: uPlot,
  marks: readonly Mark[],
  color: string,
  ground: string,
): void {
  ctx.save()
  ctx.fillStyle = color
  for (const { at } of marks) {
    const x = Math.round(valToPos(at, "x", true))
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    // Marks have an outline, because a bar can have the same color.
    ctx.setLineDash([])
    ctx.strokeStyle = ground
    ctx.lineWidth = 3 * devicePixelRatio
    ctx.stroke()
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio])
    ctx.strokeStyle = color
    ctx.lineWidth = devicePixelRatio
    ctx.stroke()
    ctx.beginPath()
    ctx.arc(x, bbox.top, 3 * devicePixelRatio, 0, 2 * Math.PI)
    ctx.fill()
  }
  ctx.restore()
}
