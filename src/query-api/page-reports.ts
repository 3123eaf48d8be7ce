import { eventKinds } from "../event-kinds.ts"
import { iso } from "../iso.ts"
import type { Dimension, Property } from "../query/fields.ts"
import type { Filter, Scope } from "../query/query.ts"
import { comparedReport } from "./compared-rows.ts"
import { eventRows } from "./events.ts"
import { present, withFilters } from "./groups.ts"
import type { QuerySpec, QueryType, Row, RunQuery, TypeResult } from "./query-spec.ts"
import { percent, roundTo } from "./rows.ts"

export const value: Property = "property.value"
export const reportedVitals = ["LCP", "FCP", "CLS", "INP", "TTFB"] as const

/** Defines a query type that reports the median of each web vital for each value of a field. */
export function vitalsBy(description: string, field: Dimension): QueryType {
  const columns = reportedVitals.map((metric) => `p50_${metric.toLowerCase()}`)
  const report = comparedReport({
    label: "name",
    empty: { visitors: 0, ...Object.fromEntries(columns.map((column) => [column, null])), samples: 0 },
    *rows(all, run) {
      const scope = withFilters(all, [present(field)])
      const { groups } = yield* run({ kind: "groups", scope, by: [field], measures: ["users", "events"] })
      const medians = yield* run({
        kind: "groups",
        scope,
        by: [field, "event_name"],
        measures: [{ what: "p50", of: value }],
      })
      const byKey = new Map(
        medians.groups.map((group) => [JSON.stringify(group.by), group.values[0] ?? null]),
      )
      return groups.map(
        ({ by: [name = null], values: [users = 0, samples = 0] }): Row => ({
          name,
          visitors: users,
          ...Object.fromEntries(
            reportedVitals.map((metric, index) => [
              columns[index],
              byKey.get(JSON.stringify([name, metric])) ?? null,
            ]),
          ),
          samples,
        }),
      )
    },
  })
  return {
    description,
    kinds: ["web_vital"],
    order: { by: "samples", order: "desc", others: ["name", "visitors", ...columns] },
    ...report,
  }
}

export const above = (field: Property, min: number): Filter => ({ field, op: "gt", value: min })

/** Counts the matching events or sessions for each page. */
function* countByPage(
  scope: Scope,
  filters: readonly Filter[],
  run: RunQuery,
  measure: "events" | "sessions" = "events",
): Generator<void, Map<string, number>> {
  const { groups } = yield* run({
    kind: "groups",
    scope: withFilters(scope, [present("path"), ...filters]),
    by: ["path"],
    measures: [measure],
  })
  return new Map(groups.map(({ by: [page], values: [count] }) => [String(page), count ?? 0]))
}

/**
 * Returns the most frequent value of a property for each page. If several values are equally frequent, returns the
 * first in UTF-16 order.
 */
function* topByPage(
  scope: Scope,
  property: Property,
  filters: readonly Filter[],
  run: RunQuery,
): Generator<void, Map<string, string>> {
  const { groups } = yield* run({
    kind: "groups",
    scope: withFilters(scope, [present("path"), present(property), ...filters]),
    by: ["path", property],
    measures: ["events"],
  })
  const top = new Map<string, { text: string; events: number }>()
  for (const {
    by: [page, text],
    values: [events],
  } of groups) {
    const candidate = { text: String(text), events: events ?? 0 }
    const before = top.get(String(page))
    const isMore =
      !before ||
      candidate.events > before.events ||
      (candidate.events === before.events && candidate.text < before.text)
    if (isMore) top.set(String(page), candidate)
  }
  return new Map([...top].map(([page, { text }]) => [page, text]))
}

export const frustration = comparedReport({
  label: "name",
  empty: {
    page_views: 0,
    visitors: 0,
    rage_click_rate: 0,
    dead_click_rate: 0,
    error_rate: 0,
    top_rage_click_target: null,
    top_dead_click_target: null,
  },
  *rows(scope, run) {
    const views = yield* pagesOf(scope, run)
    const [rage, dead, errors] = [
      yield* countByPage(scope, [above("property.rage_click_count", 0)], run),
      yield* countByPage(scope, [above("property.dead_click_count", 0)], run),
      yield* countByPage(scope, [above("property.error_count", 0)], run),
    ]
    const rageTargets = yield* topByPage(scope, "property.rage_click_target", [], run)
    const deadTargets = yield* topByPage(scope, "property.dead_click_target", [], run)
    return views.map(
      ({ name, events, users }): Row => ({
        name,
        page_views: events,
        visitors: users,
        rage_click_rate: percent(rage.get(name) ?? 0, events),
        dead_click_rate: percent(dead.get(name) ?? 0, events),
        error_rate: percent(errors.get(name) ?? 0, events),
        top_rage_click_target: rageTargets.get(name) ?? null,
        top_dead_click_target: deadTargets.get(name) ?? null,
      }),
    )
  },
})

function* pagesOf(
  scope: Scope,
  run: RunQuery,
): Generator<void, { name: string; events: number; users: number }[]> {
  const { groups } = yield* run({
    kind: "groups",
    scope: withFilters(scope, [present("path")]),
    by: ["path"],
    measures: ["events", "users"],
  })
  return groups.map(({ by: [name], values: [events, users] }) => ({
    name: String(name),
    events: events ?? 0,
    users: users ?? 0,
  }))
}

export const engagementQuality = comparedReport({
  label: "name",
  empty: {
    page_views: 0,
    avg_time_on_page: null,
    avg_active_time: null,
    attention_ratio: 0,
    avg_scroll_depth: null,
    avg_interactions: null,
    median_time_to_first_interaction: null,
  },
  *rows(scope, run) {
    const averages = ["time_on_page", "active_time", "max_scroll_depth", "interaction_count"] as const
    const { groups } = yield* run({
      kind: "groups",
      scope: withFilters(scope, [present("path")]),
      by: ["path"],
      measures: [
        "events",
        ...averages.map((key) => ({ what: "avg" as const, of: `property.${key}` as const })),
        { what: "sum", of: "property.time_on_page" },
        { what: "sum", of: "property.active_time" },
      ],
    })
    // A time of 0 means that the visitor did not interact with the page.
    const first = yield* run({
      kind: "groups",
      scope: withFilters(scope, [present("path"), above("property.time_to_first_interaction", 0)]),
      by: ["path"],
      measures: [{ what: "p50", of: "property.time_to_first_interaction" }],
    })
    const firsts = new Map(first.groups.map(({ by: [page], values: [ms] }) => [page, ms ?? null]))
    return groups.map(({ by: [name = null], values }): Row => {
      const [views = 0, time = null, active = null, scroll = null, interactions = null, allTime, allActive] =
        values
      return {
        name,
        page_views: views,
        avg_time_on_page: twoDecimals(time),
        avg_active_time: twoDecimals(active),
        attention_ratio: percent(allActive ?? 0, allTime ?? 0),
        avg_scroll_depth: twoDecimals(scroll),
        avg_interactions: twoDecimals(interactions),
        median_time_to_first_interaction: firsts.get(name) ?? null,
      }
    })
  },
})

function twoDecimals(value: number | null): number | null {
  return value === null ? null : roundTo(value, 2)
}

/** Ranges of the scroll depth, in percent. Only the last range includes its upper bound, 100. */
const depthRanges = [
  [0, 25],
  [25, 50],
  [50, 75],
  [75, 101],
] as const

export const scrollDepths = comparedReport({
  label: "depth_range",
  empty: { visitors: 0, sessions: 0 },
  share: "percentage",
  *rows(scope, run) {
    const ranges: { name: string; views: number; users: number; sessions: number }[] = []
    for (const [from, to] of depthRanges) {
      const filters = [
        { field: "property.max_scroll_depth", op: "gte", value: from },
        { field: "property.max_scroll_depth", op: "lt", value: to },
      ] as const
      const { groups } = yield* run({
        kind: "groups",
        scope: withFilters(scope, filters),
        by: [],
        measures: ["events", "users", "sessions"],
      })
      const [views, users, sessions] = groups[0]?.values ?? []
      const name = `${from}-${Math.min(to, 100)}%`
      ranges.push({ name, views: views ?? 0, users: users ?? 0, sessions: sessions ?? 0 })
    }
    const total = ranges.reduce((sum, { views }) => sum + views, 0)
    return ranges.map(({ name, views, users, sessions }) => ({
      depth_range: name,
      visitors: users,
      sessions,
      percentage: percent(views, total),
    }))
  },
})

/**
 * Counts sessions, not events, because a page that is hidden and shown again can report the use of a form and the
 * form's submission in separate events.
 */
export const formAbandonment = comparedReport({
  label: "name",
  empty: { form_starts: 0, form_submits: 0, abandonment_rate: 0, top_abandoned_field: null },
  *rows(scope, run) {
    const started = [above("property.form_field_count", 0)]
    const notSubmitted: Filter[] = [...started, { field: "property.form_submit_count", op: "lte", value: 0 }]
    const starts = yield* countByPage(scope, started, run, "sessions")
    const submits = yield* countByPage(scope, [above("property.form_submit_count", 0)], run, "sessions")
    const fields = yield* topByPage(scope, "property.last_form_field", notSubmitted, run)
    return [...new Set([...starts.keys(), ...submits.keys()])].map((name): Row => {
      const submitted = submits.get(name) ?? 0
      // A form can be submitted without any field being used, for example when a password manager fills it in.
      const all = Math.max(starts.get(name) ?? 0, submitted)
      return {
        name,
        form_starts: all,
        form_submits: submitted,
        abandonment_rate: percent(all - submitted, all),
        top_abandoned_field: fields.get(name) ?? null,
      }
    })
  },
})

export const outboundDomains = comparedReport({
  label: "domain",
  empty: { total_clicks: 0, unique_users: 0, unique_links: 0 },
  share: "percentage",
  *rows(all, run) {
    const scope = withFilters(all, [present("property.domain")])
    const { groups } = yield* run({
      kind: "groups",
      scope,
      by: ["property.domain"],
      measures: ["events", "users"],
    })
    const links = yield* run({
      kind: "groups",
      scope,
      by: ["property.domain", "property.href"],
      measures: ["events"],
    })
    const linksOf = new Map<string | null, number>()
    for (const {
      by: [domain = null],
    } of links.groups)
      linksOf.set(domain, (linksOf.get(domain) ?? 0) + 1)
    const total = groups.reduce((sum, { values: [clicks] }) => sum + (clicks ?? 0), 0)
    return groups.map(
      ({ by: [domain = null], values: [clicks, users] }): Row => ({
        domain,
        total_clicks: clicks,
        unique_users: users,
        unique_links: linksOf.get(domain) ?? 0,
        percentage: percent(clicks ?? 0, total),
      }),
    )
  },
})

export function* recentErrors(spec: QuerySpec, run: RunQuery): Generator<void, TypeResult> {
  const { rows, ...paging } = yield* eventRows(spec, run, spec.scope)
  return {
    ...paging,
    rows: rows.map((row) => {
      // The type assertion is safe because `eventRows` has parsed the properties, and only objects are stored.
      const properties = row.properties as Row
      return {
        message: properties.message ?? null,
        stack: properties.stack ?? null,
        path: row.path,
        anonymous_id: row.anonymous_id,
        session_id: row.session_id,
        timestamp: row.timestamp,
        filename: properties.filename ?? null,
        lineno: properties.lineno ?? null,
        colno: properties.colno ?? null,
        error_type: properties.error_type ?? null,
        browser: row.browser_name ?? null,
        os: row.os_name ?? null,
        device: row.device_type ?? null,
        country: row.country ?? null,
      }
    }),
  }
}

export function* velocity({ scope }: QuerySpec, run: RunQuery): Generator<void, TypeResult> {
  const granularity = "minute"
  const views = yield* run({
    kind: "groups",
    scope: { ...scope, kinds: ["page_view"] },
    by: [],
    granularity,
    measures: ["events"],
  })
  const all = yield* run({ kind: "groups", scope, by: [], granularity, measures: ["events", "users"] })
  const valuesAt = (groups: typeof all.groups, bucket: number) =>
    groups.find((group) => group.bucket === bucket)?.values ?? []
  const rows = all.buckets.map(({ from }, bucket): Row => {
    const [events = 0, users = 0] = valuesAt(all.groups, bucket)
    return { minute: iso(from), pageviews: valuesAt(views.groups, bucket)[0] ?? 0, events, visitors: users }
  })
  return { rows }
}

/** Adds a column with the number of events of all kinds. */
export const totalEvents = {
  columns: ["total_events"],
  *rows({ scope }: QuerySpec, run: RunQuery): Generator<void, Row> {
    const { groups } = yield* run({
      kind: "groups",
      scope: { ...scope, kinds: eventKinds },
      by: [],
      measures: ["events"],
    })
    return { total_events: groups[0]?.values[0] ?? 0 }
  },
}
