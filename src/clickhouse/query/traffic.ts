import type { TrafficGroup, TrafficQuery, TrafficResult } from "../../query/query.ts"
import { bounceSeconds, maxPageSeconds } from "../../query/reports/bounce.ts"
import { sessionLookBack } from "../../query/reports/page-sessions.ts"
import { isSessionFilter } from "../../query/reports/traffic-scan.ts"
import { bucketAt, bucketsOf } from "../../query/structures/time-zone.ts"
import { nearestRank, type ReportContext } from "./report.ts"
import { utf16Order } from "./scan.ts"
import { unmarkSurrogates } from "./statement.ts"

type ViewRow = [start: number, by: (string | null)[], views: number, visitors: number, sessions: number]
type SessionRow = [start: number, sessions: number, bounces: number, medianDuration: number | null]

/** Counts page views, visitors and sessions. */
export async function traffic(
  { scope, by, granularity }: TrafficQuery,
  { scan: newScan, run }: ReportContext,
): Promise<TrafficResult> {
  const scan = newScan()
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
  const sessionFilters = scope.filters.filter(isSessionFilter)
  const viewCondition = scan.all(scope.filters.filter((filter) => !isSessionFilter(filter)))
  const fieldValues = `[${(by?.fields ?? []).map((field) => scan.text(field)).join(", ")}]::Array(Nullable(String))`
  const sessionCondition = scan.all(sessionFilters)
  const timeOnPage = scan.number("property.time_on_page")
  const all = scan.rows({ ...scope, from: scope.from - sessionLookBack, filters: [] })
  // For each view, finds the first view (`opening`) and the last view (`closing`) of its session. A view without a
  // session is treated as a session with one view. Views in the same ms are sorted as in traffic-scan.ts.
  const views = `
    select *, first_value((${fieldValues}, ${sessionCondition}, at)) over session as opening, last_value(tuple(${fieldValues})) over session as closing
    from ${all}
    where kind = 'page_view'
    window session as (
      partition by if(isNull(session_id), concat('-', toString(id)), concat('+', session_id))
      order by at, ${scan.rid}, ${utf16Order("toString(name)")}, crawler, id
      rows between unbounded preceding and unbounded following)`
  const from = scan.bind("Int64", scope.from)
  const matching = `select * from (${views}) where at >= ${from} and ${viewCondition} and opening.2`
  const values = { each: fieldValues, first: "opening.1", last: "closing.1" }[by?.view ?? "each"]
  const bucketOf = (time: string) => (granularity ? scan.bucketOf(time, buckets) : "toInt64(0)")
  const groups = new Map<string, TrafficGroup>()
  const groupOf = (start: number, key: (string | null)[]): TrafficGroup => {
    const id = JSON.stringify([start, key])
    const group = groups.get(id) ?? {
      by: key.map((text) => (text === null ? null : unmarkSurrogates(text))),
      bucket: granularity ? bucketAt(buckets, start) : 0,
      views: 0,
      visitors: 0,
      sessions: 0,
      bounces: 0,
      medianDuration: null,
    }
    groups.set(id, group)
    return group
  }
  const viewRows = await run<ViewRow>(
    scan,
    `select ${bucketOf("at")} as bucket, ${values} as key, count(), uniqExact(anonymous_id), uniqExact(session_id)
    from (${matching})
    group by bucket, key`,
  )
  for (const [start, key, count, visitors, sessions] of viewRows)
    Object.assign(groupOf(start, key), { views: count, visitors, ...(by && { sessions }) })
  if (by) return { buckets, groups: [...groups.values()] }
  const facts = `
    select session_id,
      round(sumKahanIf(least(greatest(ifNull(${timeOnPage}, 0), 0), ${maxPageSeconds}), kind = 'page_exit'), 6) as seconds,
      countIf(kind = 'page_view') = 1 and countIf(kind not in ('page_view', 'page_exit')) = 0 and seconds < ${bounceSeconds} as isBounce
    from ${all}
    where isNotNull(session_id)
    group by session_id`
  const placed = `
    select session_id, any(${bucketOf(`greatest(opening.3, ${from})`)}) as bucket
    from (${matching})
    where isNotNull(session_id)
    group by session_id`
  const durations = "arraySort(groupArrayIf(seconds, seconds > 0))"
  const sessionRows = await run<SessionRow>(
    scan,
    `select bucket, count(), countIf(isBounce), ${nearestRank(durations, 50)}
    from (${placed}) as placed any left join (${facts}) as facts on placed.session_id = facts.session_id
    group by bucket`,
  )
  for (const [start, sessions, bounces, medianDuration] of sessionRows)
    Object.assign(groupOf(start, []), { sessions, bounces, medianDuration })
  return { buckets, groups: [...groups.values()] }
}
