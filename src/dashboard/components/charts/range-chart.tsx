import { marksOf, useAnnotations } from "../../state/annotations.ts"
import { useApp } from "../../state/app.ts"
import { type Granularity, lastDayOf, type Range, rangeParams } from "../../state/range.ts"
import { useGranularity, useProgress } from "../controls/granularity.tsx"
import { useFormat } from "../controls/use-format.ts"
import { Chart, type ChartProps } from "./chart.tsx"

type RangeChartProps = Omit<ChartProps, "granularity" | "format" | "marks" | "onZoom" | "started">

/** A chart over the current range with its annotations. Dragging over it zooms into the range. */
export function RangeChart(props: RangeChartProps) {
  const { router, view } = useApp()
  const granularity = useGranularity()
  const format = useFormat()
  const annotations = useAnnotations()
  const { range } = view.value
  const { started } = useProgress(props.dates)
  return (
    <Chart
      {...props}
      granularity={granularity}
      format={format}
      started={started}
      marks={marksOf(annotations, props.dates, range.to)}
      onZoom={(from, to) =>
        router.setParams({ ...rangeParams(zoomRange(range, from, to, granularity)), by: undefined })
      }
    />
  )
}

/** The range from the start of the first bucket to the end of the last one, within the current range. */
function zoomRange(range: Range, first: string, last: string, granularity: Granularity) {
  const end = lastDayOf(last, granularity)
  const isLater = first > range.from
  const isEarlier = end < range.to
  return { from: isLater ? first : range.from, to: isEarlier ? end : range.to }
}
