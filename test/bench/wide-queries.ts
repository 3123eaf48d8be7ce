import type { Cell, Row } from "./benchmark-queries.ts"

/**
 * A query of `bench wide`, equivalent for databuddy and DuckDB. `variant` counts from 0, for queries that filter by a
 * different value each time. In SQL, `:from` and `:to` stand for the range (Unix ms, `:to` exclusive).
 */
export interface WideQuery {
  name: string
  /** Maximum ms of the first execution with warm files. If undefined, the maximum is DuckDB's time. */
  target: number | undefined
  sql: (variant: number) => string
  /** `parameter` is the parameter of `POST /v1/query`. The other fields are fields of the body. */
  request: (variant: number) => { parameter: Record<string, unknown> } & Record<string, unknown>
  /** Converts a row of databuddy to the columns of the SQL; undefined if the SQL returns no such row. */
  row: (row: Row) => Cell[] | undefined
}

const day = 86_400_000
const inRange = "website = 1 and ts >= :from and ts < :to"
const unfiltered = 150
const person = 200
const behaviour = 300
/** ms */
const hourWindow = 3_600_000
const steps = ["event_1", "event_2", "event_3"]
/** Maximum rows of a breakdown: enough for all of them. */
const limit = 10_000

const numbers = (row: Row, ...columns: string[]) => columns.map((column) => Number(row[column]))
const instant = (value: unknown) => Date.parse(`${String(value).replace(" ", "T").replace(/Z?$/, "")}Z`)
const eq = (field: string, value: unknown) => ({ field, op: "eq", value })

export const wideQueries: readonly WideQuery[] = [
  {
    name: "summary with visitors and sessions",
    target: unfiltered,
    sql: () =>
      `select count(*), count(distinct name), count(distinct visitor), count(distinct session) from events where ${inRange}`,
    request: () => ({ parameter: { name: "custom_events_summary" } }),
    row: (row) => numbers(row, "total_events", "unique_event_types", "unique_users", "unique_sessions"),
  },
  {
    name: "trend by day, counts",
    target: unfiltered,
    sql: () => `select ts // ${day} * ${day}, count(*) from events where ${inRange} group by 1 order by 1`,
    request: () => ({ parameter: { name: "events", granularity: "daily", measures: ["events"] } }),
    row: (row) => (row.events === 0 ? undefined : [dateOf(row.date), Number(row.events)]),
  },
  {
    name: "trend by day, visitors and sessions",
    target: unfiltered,
    sql: () =>
      `select ts // ${day} * ${day}, count(*), count(distinct visitor), count(distinct session)
       from events where ${inRange} group by 1 order by 1`,
    request: () => ({ parameter: { name: "custom_events_trends", granularity: "daily" } }),
    row: (row) =>
      row.total_events === 0
        ? undefined
        : [dateOf(row.date), ...numbers(row, "total_events", "unique_users", "unique_sessions")],
  },
  {
    name: "top events, visitors and sessions",
    target: unfiltered,
    sql: () =>
      `select name, count(*), count(distinct visitor), count(distinct session)
       from events where ${inRange} group by 1 order by 2 desc, 1`,
    request: () => ({ parameter: { name: "custom_events" } }),
    row: (row) => [String(row.name), ...numbers(row, "total_events", "unique_users", "unique_sessions")],
  },
  {
    name: "top pages, visitors",
    target: undefined,
    sql: () =>
      `select page, count(*), count(distinct visitor) from events where ${inRange} group by 1 order by 2 desc, 1`,
    request: () => ({
      parameter: { name: "events", by: ["property.page"], measures: ["events", "users"] },
      limit,
    }),
    row: (row) => [String(row["property.page"]), ...numbers(row, "events", "users")],
  },
  {
    name: "two properties, visitors",
    target: undefined,
    sql: () =>
      `select button, plan, count(*), count(distinct visitor) from events where ${inRange}
       group by 1, 2 order by 3 desc, 1, 2`,
    request: () => ({
      parameter: { name: "events", by: ["property.button", "property.plan"], measures: ["events", "users"] },
      limit,
    }),
    row: (row) => [
      String(row["property.button"]),
      String(row["property.plan"]),
      ...numbers(row, "events", "users"),
    ],
  },
  {
    name: "one page, by name, visitors",
    target: undefined,
    sql: (variant) =>
      `select name, count(*), count(distinct visitor) from events
       where ${inRange} and page = '/page/${77 + variant}' group by 1 order by 2 desc, 1`,
    request: (variant) => ({
      parameter: { name: "events", by: ["event_name"], measures: ["events", "users"] },
      filters: [eq("property.page", `/page/${77 + variant}`)],
    }),
    row: (row) => [String(row.event_name), ...numbers(row, "events", "users")],
  },
  {
    name: "a page contains a text, visitors",
    target: undefined,
    sql: (variant) =>
      `select count(*), count(distinct visitor) from events where ${inRange} and contains(page, '${12 + variant}')`,
    request: (variant) => ({
      parameter: { name: "events", measures: ["events", "users"] },
      filters: [{ field: "property.page", op: "contains", value: String(12 + variant) }],
    }),
    row: (row) => numbers(row, "events", "users"),
  },
  {
    name: "p95 and mean of an amount, by name",
    target: undefined,
    // The nearest rank, as in databuddy. The mean is rounded to cents, because the order of a sum affects its last
    // digits.
    sql: () =>
      `select name, quantile_disc(amount, 0.95), round(avg(amount) * 100)::bigint from events
       where ${inRange} group by 1 order by 1`,
    request: () => ({
      parameter: {
        name: "events",
        by: ["event_name"],
        measures: ["p95:property.amount", "avg:property.amount"],
      },
      sortBy: "event_name",
      sortOrder: "asc",
    }),
    row: (row) => [
      String(row.event_name),
      Number(row["p95:property.amount"]),
      Math.round(Number(row["avg:property.amount"]) * 100),
    ],
  },
  {
    name: "people, searched",
    target: person,
    sql: (variant) =>
      `select visitor, count(*), max(ts) from events
       where ${inRange} and contains(visitor, '${4242 + variant}') group by 1 order by 3 desc, 1 limit 50`,
    request: (variant) => ({ parameter: { name: "people", search: String(4242 + variant), limit: 50 } }),
    row: (row) => [String(row.anonymous_id), Number(row.events), dateOf(row.last_seen)],
  },
  {
    name: "one person's timeline",
    target: person,
    sql: (variant) =>
      `select name, ts from events where ${inRange} and visitor = 'user-${4242 + variant}' order by ts desc limit 50`,
    request: (variant) => ({
      parameter: { name: "person", anonymousId: `user-${4242 + variant}`, limit: 50 },
    }),
    row: (row) => [String(row.event_name), dateOf(row.timestamp)],
  },
  {
    name: "funnel of three steps within an hour",
    target: behaviour,
    sql: () => `
      with
        first as (
          select visitor, name, ts, max(case when name = '${steps[0]}' then ts end) over attempt as begun
          from events where ${inRange} and name in (${steps.map((name) => `'${name}'`)})
          window attempt as (partition by visitor order by ts rows unbounded preceding)
        ),
        second as (
          select
            visitor, name, ts, begun,
            max(case when name = '${steps[1]}' and ts - begun <= ${hourWindow} then begun end) over attempt as going
          from first
          window attempt as (partition by visitor order by ts rows unbounded preceding)
        ),
        best as (
          select
            visitor,
            max(
              case
                when name = '${steps[2]}' and ts - going <= ${hourWindow} then 3
                when name = '${steps[1]}' and ts - begun <= ${hourWindow} then 2
                when name = '${steps[0]}' then 1
              end
            ) as level
          from second group by visitor
        )
      select step, count(*) from (select unnest([1, 2, 3]) as step) join best on level >= step group by step order by step`,
    request: () => ({ parameter: { name: "funnel", window: "1h", steps } }),
    row: (row) => (row.people === 0 ? undefined : numbers(row, "step", "people")),
  },
  {
    name: "weekly retention",
    target: behaviour,
    sql: () => `
      with
        weeks as (select distinct visitor, (ts // ${day} + 3) // 7 as week from events where ${inRange}),
        firsts as (select visitor, min(week) as first from weeks group by visitor)
      select first, week - first as later, count(*)
      from weeks join firsts on firsts.visitor = weeks.visitor
      group by 1, 2 order by 1, 2`,
    request: () => ({ parameter: { name: "retention", granularity: "weekly" } }),
    row: (row) =>
      row.returned === 0
        ? undefined
        : [(dateOf(row.date) / day + 3) / 7, Number(row.period), Number(row.returned)],
  },
]

/** Converts a date in UTC to Unix ms. Returns numbers unchanged. */
function dateOf(value: unknown): number {
  return typeof value === "number" ? value : instant(value)
}
