import { useAnnotations } from "../../state/annotations.ts"
import { useApp } from "../../state/app.ts"
import { vitalText } from "../../state/event-text.ts"
import { comparisonOption } from "../../state/query-cache.ts"
import { useQuery } from "../../state/use-query.ts"
import { Change } from "../charts/stat.tsx"
import { Link } from "../controls/link.tsx"
import { useFormat } from "../controls/use-format.ts"
import { Loaded, Panel } from "./panel.tsx"
import "./movers.css"

/** Smaller relative changes in a web vital are not called better or worse. */
const minVitalChange = 0.1
/** Standard deviations that independent errors exceed by chance in one of twenty cases. */
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

/** A number that is better when it is lower. */
interface Finding {
  name: string
  page: "errors" | "vitals"
  now: number
  before: number
  isClear: boolean
  show: (value: number) => string
}

/**
 * Whether errors and web vitals are better or worse since an annotation, such as a release. Shown if the range starts
 * on the annotation's date, as it does after "Compare before and after".
 */
export function BeforeAfter() {
  const { router, session, view } = useApp()
  const format = useFormat()
  const { compare, range } = view.value
  const annotation = useAnnotations().find(({ date }) => date === range.from)
  const isShown = compare && annotation && session.canOpen("errors") && session.canOpen("vitals")
  const query = useQuery(
    isShown
      ? [
          { name: "vitals_overview", id: "vitals", ...comparisonOption(compare) },
          {
            name: "events",
            id: "errors",
            kinds: ["error"],
            measures: ["events"],
            ...comparisonOption(compare),
          },
        ]
      : undefined,
  )
  if (!isShown) return null
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
      // More frames per second are better, and pages report them rarely.
      if (name === "FPS" || now === null || before === null || before === undefined) return []
      const isClear = Math.abs(now - before) >= minVitalChange * before
      return [{ name, page: "vitals", now, before, isClear, show: (value) => vitalText(name, value) }]
    }),
  ]
  return (
    <Panel title="Better or worse?" hint={`Since ${format.shortDay(annotation.date)}: ${annotation.text}`}>
      <Loaded query={query} id="vitals" height={96}>
        {() => {
          const all = findings()
          const groups = [
            { title: "Worse", items: all.filter(({ now, before, isClear }) => isClear && now > before) },
            { title: "Better", items: all.filter(({ now, before, isClear }) => isClear && now < before) },
            { title: "No clear change", items: all.filter(({ isClear }) => !isClear) },
          ]
          if (all.length === 0) return <p class="muted">No errors or web vitals to compare.</p>
          return groups
            .filter(({ items }) => items.length > 0)
            .map(({ title, items }) => (
              <section key={title} aria-label={title}>
                <h3 class="movers-title">{title}</h3>
                <ul class="findings">
                  {items.map(({ name, page, now, before, show }) => (
                    <li key={name}>
                      <Link href={router.pageHref(page, page === "vitals" ? { metric: name } : {})}>
                        {name}
                      </Link>{" "}
                      {show(before)} → {show(now)}{" "}
                      <Change value={now} previous={before} better="lower" show={show} format={format} />
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
