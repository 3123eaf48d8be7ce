import { useApp } from "../../state/app.ts"
import { marksOf, useNotes } from "../../state/notes.ts"
import { type Granularity, lastDayOf, type Range, rangeParams } from "../../state/range.ts"
import { useGranularity, useProgress } from "../controls/granularity.tsx"
import { useFormat } from "../controls/use-format.ts"
import { Chart, type ChartProps } from "./chart.tsx"

type CourseProps = Omit<ChartProps, "granularity" | "format" | "marks" | "onZoom" | "begun">

/** A chart over the range that is looked at, with the notes on its dates; dragging over it narrows the range. */
export function RangeChart(props: CourseProps) {
  const { place, view } = useApp()
  const granularity = useGranularity()
  const format = useFormat()
  const notes = useNotes()
  const { range } = view.value
  const { begun } = useProgress(props.dates)
  return (
    <Chart
      {...props}
      granularity={granularity}
      format={format}
      begun={begun}
      marks={marksOf(notes, props.dates, range.to)}
      onZoom={(from, to) =>
        place.set({ ...rangeParams(zoomed(range, from, to, granularity)), by: undefined })
      }
    />
  )
}

/** From the day that one step of a chart begins on to the last day of another, no further than the range. */
function zoomed(range: Range, first: string, last: string, granularity: Granularity) {
  const end = lastDayOf(last, granularity)
  const isLater = first > range.from
  const isEarlier = end < range.to
  return { from: isLater ? first : range.from, to: isEarlier ? end : range.to }
}
