import { useState } from "preact/hooks"
import { comparisonLabel, comparisonParams, marksOf, useAnnotations } from "../../state/annotations.ts"
import { useApp } from "../../state/app.ts"
import {
  addDays,
  type Granularity,
  granularities,
  lastDayOf,
  type Range,
  rangeParams,
} from "../../state/range.ts"
import { useGranularity, useProgress } from "../controls/granularity.tsx"
import { useFormat } from "../controls/use-format.ts"
import { usePeopleHref } from "../people/people-link.tsx"
import type { ChartPeople } from "../people/selection.ts"
import { AnnotationForm } from "../saved/annotation-form.tsx"
import { Chart, type ChartProps } from "./chart.tsx"
import type { DateAction } from "./date-menu.tsx"

interface RangeChartProps
  extends Omit<
    ChartProps,
    "granularity" | "format" | "marks" | "onZoom" | "started" | "isRunning" | "actionsOf"
  > {
  /** If undefined, the date menus do not link to people. */
  people?: ChartPeople | undefined
  /** The previous period. `from` is its start in ISO 8601. */
  previous?: { from: string } | undefined
}

/**
 * A chart of the current range with its annotations. The user can drag over the chart to zoom in, or click a date to
 * open its menu.
 */
export function RangeChart({ people, previous, ...props }: RangeChartProps) {
  const { router, view, session, annotations: saved } = useApp()
  const granularity = useGranularity()
  const format = useFormat()
  const annotations = useAnnotations()
  const [annotatedDay, setAnnotatedDay] = useState<string>()
  const peopleHref = usePeopleHref()
  const { range, website, today } = view.value
  const { started, isRunning } = useProgress(props.dates)
  const hrefOf = (shown: Pick<Range, "from" | "to" | "hour">) =>
    router.hrefWith({ ...rangeParams(shown), by: undefined })
  const marks = marksOf(annotations, props.dates, range.to).map((mark) => {
    const params = comparisonParams(mark.date, today)
    return { ...mark, comparison: params && router.hrefWith(params) }
  })
  const actionsOf = (index: number): DateAction[] => {
    const date = props.dates[index] ?? ""
    const days = zoomRange(range, date.slice(0, 10), date.slice(0, 10), granularity)
    const shown = granularity === "hourly" ? { ...days, hour: date } : days
    const one = granularities.find(({ value }) => value === granularity)?.one ?? ""
    const isNarrower =
      granularity === "hourly" ? range.hour === undefined : days.from > range.from || days.to < range.to
    const marked = new Map(
      marks.flatMap(({ at, ...mark }) => (at === index ? [[mark.date, mark.comparison]] : [])),
    )
    const actions: (DateAction | false | undefined)[] = [
      ...[...marked].map(
        ([day, href]) =>
          href !== undefined && {
            label: marked.size > 1 ? `${comparisonLabel}: ${format.shortDay(day)}` : comparisonLabel,
            href,
          },
      ),
      isNarrower && { label: `Show this ${one}`, href: hrefOf(shown) },
      people &&
        index < started &&
        peopleHref && { label: `Show people for this ${one}`, href: peopleHref({ ...people, range: shown }) },
      session.isOwner && { label: "Add annotation…", run: () => setAnnotatedDay(days.from) },
    ]
    return actions.flatMap((action) => action || [])
  }
  return (
    <>
      <Chart
        {...props}
        granularity={granularity}
        previousDates={
          // Only daily buckets line up one to one with the buckets of the previous period.
          previous && granularity === "daily"
            ? props.dates.map((_, index) => addDays(format.dayOf(previous.from), index))
            : undefined
        }
        format={format}
        started={started}
        isRunning={isRunning}
        marks={marks}
        onZoom={(from, to) => router.navigate(hrefOf(zoomRange(range, from, to, granularity)))}
        actionsOf={actionsOf}
      />
      {annotatedDay !== undefined && (
        <AnnotationForm
          website={website}
          websiteName={session.nameOf(website)}
          date={annotatedDay}
          onClose={() => {
            setAnnotatedDay(undefined)
            saved.version.value++
          }}
        />
      )}
    </>
  )
}

/** Returns the range from the start of the first bucket to the end of the last one, clipped to the current range. */
function zoomRange(range: Range, first: string, last: string, granularity: Granularity) {
  const end = lastDayOf(last, granularity)
  const isLater = first > range.from
  const isEarlier = end < range.to
  // A range of one hour has a single bucket, so zooming does not change the hour.
  return { from: isLater ? first : range.from, to: isEarlier ? end : range.to, hour: range.hour }
}
