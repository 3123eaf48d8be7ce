import { type Annotation, comparisonLabel, comparisonParams } from "../../state/annotations.ts"
import { useApp } from "../../state/app.ts"
import { isolate } from "../../state/bidi.ts"
import { vitalText } from "../../state/event-text.ts"
import { comparisonOption } from "../../state/query-cache.ts"
import { useQuery } from "../../state/use-query.ts"
import { Change, type Direction } from "../charts/stat.tsx"
import { Link } from "../controls/link.tsx"
import { useFormat } from "../controls/use-format.ts"
import { Loaded, Panel } from "./panel.tsx"
import "./movers.css"

/** A web vital must change by at least this fraction of its previous value to count as better or worse. */
const minVitalChange = 0.1
/** If errors are independent, a random change exceeds this number of standard deviations in one of twenty cases. */
const minDeviations = 2

interface VitalRow {
  metric_name: string
  p75: number | null
  previous?: { p75: number | null } | null
}

interface ErrorRow {
  events: number
  previous?: { events: number } | null
}

/** Lower is better for all findings. */
const better: Direction = "lower"

interface Finding {
  name: string
  page: "errors" | "vitals"
  now: number
  before: number
  isClear: boolean
  show: (value: number) => string
}

interface FindingsProps {
  /** The annotations on the first day of the range. */
  first: readonly Annotation[]
  /** Annotations on later days of the range. */
  later: readonly Annotation[]
}

/** Shows whether errors and web vitals have improved or worsened since an annotation. */
export function Findings({ first, later }: FindingsProps) {
  const { router, view } = useApp()
  const format = useFormat()
  const { compare, range } = view.value
  const query = useQuery([
    { name: "vitals_overview", id: "vitals", ...comparisonOption(compare) },
    { name: "events", id: "errors", kinds: ["error"], measures: ["events"], ...comparisonOption(compare) },
  ])
  const findings = (): Finding[] => [
    ...query.rows<ErrorRow>("errors").flatMap(({ events: now, previous }): Finding[] => {
      const before = previous?.events ?? 0
      const isClear = Math.abs(now - before) > minDeviations * Math.sqrt(now + before)
      return now + before === 0
        ? []
        : [{ name: "Errors", page: "errors", now, before, isClear, show: (value) => format.count(value) }]
    }),
    ...query.rows<VitalRow>("vitals").flatMap(({ metric_name: name, p75: now, previous }): Finding[] => {
      const before = previous?.p75
      // FPS is the only vital where higher is better, and pages rarely report it.
      if (name === "FPS" || now === null || before === null || before === undefined) return []
      const isClear = Math.abs(now - before) >= minVitalChange * before
      return [{ name, page: "vitals", now, before, isClear, show: (value) => vitalText(name, value) }]
    }),
  ]
  return (
    <Panel
      title="Better or worse?"
      hint={
        <>
          Since {format.shortDay(range.from)}: {first.map(({ text }) => isolate(text)).join(", ")}
          {later.length > 0 && <Later annotations={later} />}
        </>
      }
    >
      <Loaded query={query} id="vitals" height={96}>
        {() => {
          const all = findings()
          const groups = [
            {
              title: "Worse",
              items: all.filter(({ now, before, isClear }) => isClear && now > before),
              better,
            },
            {
              title: "Better",
              items: all.filter(({ now, before, isClear }) => isClear && now < before),
              better,
            },
            // Uncolored, because a color would mark the change as better or worse.
            { title: "No clear change", items: all.filter(({ isClear }) => !isClear), better: undefined },
          ]
          if (all.length === 0) return <p class="muted">No errors or web vitals to compare.</p>
          return groups
            .filter(({ items }) => items.length > 0)
            .map(({ title, items, better }) => (
              <section key={title} aria-label={title}>
                <h3 class="movers-title">{title}</h3>
                <ul class="findings">
                  {items.map(({ name, page, now, before, show }) => (
                    <li key={name}>
                      <Link href={router.pageHref(page, page === "vitals" ? { metric: name } : {})}>
                        {name}
                      </Link>{" "}
                      {show(before)} → {show(now)}{" "}
                      <Change value={now} previous={before} better={better} show={show} format={format} />
                    </li>
                  ))}
                </ul>
              </section>
            ))
        }}
      </Loaded>
    </Panel>
  )
}

/** Maximum number of later annotations to list. */
const maxLater = 5

/** Lists later annotations, because the events that they mark might also have caused the changes. */
function Later({ annotations }: { annotations: readonly Annotation[] }) {
  const { router, view } = useApp()
  const format = useFormat()
  const more = annotations.length - maxLater
  return (
    <span class="findings-later">
      Also since then:
      {annotations.slice(0, maxLater).map(({ id, date, text }) => {
        const params = comparisonParams(date, view.value.today)
        return (
          <span key={id}>
            {format.shortDay(date)}: {isolate(text)}{" "}
            {params && (
              <Link href={router.hrefWith(params)} label={`${comparisonLabel} ${isolate(text)}`}>
                {comparisonLabel}
              </Link>
            )}
          </span>
        )
      })}
      {more > 0 && <span>and {format.count(more)} more</span>}
    </span>
  )
}
