/**
 * The queries of `bench query`, equivalent for all engines. In SQL, `:from` and `:to` stand for the range (Unix ms,
 * `:to` exclusive). SQLite stores names, visitors and sessions as numbers and properties as JSON. The other engines
 * have a column for each property.
 */
export interface BenchmarkQuery {
  name: string
  /** Maximum factor by which the time may grow if there are ten times as many events. */
  growth?: number
  sqlite: string
  duckdb: string
  clickhouse: string
  /**
   * `parameter` is the parameter of `POST /v1/query`. The other fields are fields of the body, such as `filters` or
   * `limit`.
   */
  request: { parameter: Record<string, unknown> } & Record<string, unknown>
  /** Converts a row of databuddy to the columns of the SQL; undefined if the SQL returns no such row. */
  row: (row: Row) => Cell[] | undefined
}

export type Row = Record<string, unknown>
export type Cell = string | number

/** Counts are merged from the partial aggregates of each interval. Distinct visitors are counted from all events. */
const countsGrowth = 1.5
const uniquesGrowth = 5

const day = 86_400_000
const hour = 3_600_000
/** The event and the person that some of the queries select. */
const event = "event_7"
const person = "user-4242"
const inRange = "website = 1 and ts >= :from and ts < :to"

function trend(width: number, granularity: string): Omit<BenchmarkQuery, "name"> {
  const select = `count(*) from events where ${inRange} group by 1 order by 1`
  return {
    sqlite: `select ts / ${width} * ${width}, ${select}`,
    duckdb: `select ts // ${width} * ${width}, ${select}`,
    clickhouse: `select intDiv(ts, ${width}) * ${width}, ${select}`,
    request: { parameter: { name: "events", granularity, measures: ["events"] } },
    row: (row) => (row.events === 0 ? undefined : [instant(row.date), Number(row.events)]),
  }
}

function topPages(
  request: object,
  filters: Record<"sqlite" | "columns", string>,
): Omit<BenchmarkQuery, "name"> {
  const end = "group by 1 order by 2 desc, 1 limit 10"
  const columns = `select page, count(*) from events where ${inRange} and name = '${event}' ${filters.columns} ${end}`
  return {
    sqlite: `
      select properties ->> '$.page', count(*) from events indexed by events_name
      where ${inRange} and name = ${numberOf(event)} ${filters.sqlite} ${end}`,
    duckdb: columns,
    clickhouse: columns,
    request: { parameter: { name: "custom_events_property_top_values", top: 10 }, ...request },
    row: (row) => [String(row.property_value), Number(row.count)],
  }
}

const ofEvent = { field: "event_name", op: "eq", value: event }
const ofPage = { field: "property_key", op: "eq", value: "page" }
const ofPro = { field: "property.plan", op: "eq", value: "pro" }

const funnelSteps = ["event_1", "event_2", "event_3"]
const funnelWindow = day

/**
 * Counts the best attempt of each visitor. If several first steps precede a second one, the latest leaves the most
 * time, so only its time is carried along, as in ClickHouse's windowFunnel.
 */
function funnel(names: Cell[]): string {
  const [one, two, three] = names
  return `
    with
      first as (
        select visitor, name, ts, max(case when name = ${one} then ts end) over attempt as begun
        from events
        where ${inRange} and name in (${names})
        window attempt as (partition by visitor order by ts rows unbounded preceding)
      ),
      second as (
        select
          visitor, name, ts, begun,
          max(case when name = ${two} and ts - begun <= ${funnelWindow} then begun end) over attempt as going
        from first
        window attempt as (partition by visitor order by ts rows unbounded preceding)
      ),
      best as (
        select
          visitor,
          max(
            case
              when name = ${three} and ts - going <= ${funnelWindow} then 3
              when name = ${two} and ts - begun <= ${funnelWindow} then 2
              when name = ${one} then 1
            end
          ) as level
        from second
        group by visitor
      ),
      steps as (select 1 as step union all select 2 union all select 3)
    select step, count(*) from steps join best on level >= step group by step order by step`
}

/** Days to add so that weeks start on Monday: 1970-01-01 was a Thursday. */
const firstMonday = 3
const epochWeek = (ts: string, divide: string) =>
  divide === "intDiv"
    ? `intDiv(intDiv(${ts}, ${day}) + ${firstMonday}, 7)`
    : `((${ts} ${divide} ${day} + ${firstMonday}) ${divide} 7)`

function retention(divide: string): string {
  return `
    with
      weeks as (select distinct visitor, ${epochWeek("ts", divide)} as week from events where ${inRange}),
      firsts as (select visitor, min(week) as first from weeks group by visitor)
    select first, week - first as later, count(*)
    from weeks join firsts on firsts.visitor = weeks.visitor
    group by 1, 2 order by 1, 2`
}

export const benchmarkQueries: BenchmarkQuery[] = [
  {
    name: "summary: events, names, visitors, sessions",
    growth: uniquesGrowth,
    sqlite: `
      select count(*), count(distinct name), count(distinct visitor), count(distinct session)
      from events where ${inRange}`,
    duckdb: `
      select count(*), count(distinct name), count(distinct visitor), count(distinct session)
      from events where ${inRange}`,
    clickhouse: `
      select count(), uniqExact(name), uniqExact(visitor), uniqExact(session)
      from events where ${inRange}`,
    request: { parameter: { name: "custom_events_summary" } },
    row: (row) =>
      [row.total_events, row.unique_event_types, row.unique_users, row.unique_sessions].map(Number),
  },
  { name: "trend by day, counts", growth: countsGrowth, ...trend(day, "daily") },
  { name: "trend by hour, counts", growth: countsGrowth, ...trend(hour, "hourly") },
  {
    name: "trend by day, visitors and sessions",
    growth: uniquesGrowth,
    sqlite: `
      select ts / ${day} * ${day}, count(*), count(distinct visitor), count(distinct session)
      from events where ${inRange} group by 1 order by 1`,
    duckdb: `
      select ts // ${day} * ${day}, count(*), count(distinct visitor), count(distinct session)
      from events where ${inRange} group by 1 order by 1`,
    clickhouse: `
      select intDiv(ts, ${day}) * ${day}, count(), uniqExact(visitor), uniqExact(session)
      from events where ${inRange} group by 1 order by 1`,
    request: { parameter: { name: "custom_events_trends", granularity: "daily" } },
    row: (row) =>
      row.total_events !== 0
        ? [instant(row.date), ...[row.total_events, row.unique_users, row.unique_sessions].map(Number)]
        : undefined,
  },
  {
    name: "top events, visitors and sessions",
    growth: uniquesGrowth,
    sqlite: `
      select 'event_' || name, count(*), count(distinct visitor), count(distinct session)
      from events indexed by events_name where ${inRange} group by name order by 2 desc, 1`,
    duckdb: `
      select name, count(*), count(distinct visitor), count(distinct session)
      from events where ${inRange} group by 1 order by 2 desc, 1`,
    clickhouse: `
      select name, count(), uniqExact(visitor), uniqExact(session)
      from events where ${inRange} group by 1 order by 2 desc, 1`,
    request: { parameter: { name: "custom_events" } },
    row: (row) => [
      String(row.name),
      ...[row.total_events, row.unique_users, row.unique_sessions].map(Number),
    ],
  },
  {
    name: "top values of a property of one event",
    ...topPages({ filters: [ofEvent, ofPage] }, { sqlite: "", columns: "" }),
  },
  {
    name: "the same, filtered by another property",
    ...topPages(
      { filters: [ofEvent, ofPage, ofPro] },
      { sqlite: "and properties ->> '$.plan' = 'pro'", columns: "and plan = 'pro'" },
    ),
  },
  {
    name: "one property filter over all events, by name",
    sqlite: `
      select 'event_' || name, count(*) from events
      where ${inRange} and properties ->> '$.plan' = 'pro' group by name order by 2 desc, 1`,
    duckdb: `select name, count(*) from events where ${inRange} and plan = 'pro' group by 1 order by 2 desc, 1`,
    clickhouse: `select name, count(*) from events where ${inRange} and plan = 'pro' group by 1 order by 2 desc, 1`,
    request: { parameter: { name: "events", by: ["event_name"], measures: ["events"] }, filters: [ofPro] },
    row: (row) => [String(row.event_name), Number(row.events)],
  },
  {
    name: "funnel of three steps within a day, visitors",
    sqlite: funnel(funnelSteps.map(numberOf)),
    duckdb: funnel(funnelSteps.map((name) => `'${name}'`)),
    clickhouse: `
      select step, count()
      from (
        select
          visitor,
          windowFunnel(${funnelWindow})(toUInt64(ts), ${funnelSteps.map((name) => `name = '${name}'`)}) as level
        from events
        where ${inRange} and name in (${funnelSteps.map((name) => `'${name}'`)})
        group by visitor
      )
      array join range(1, level + 1) as step
      group by step order by step`,
    request: { parameter: { name: "funnel", window: "1d", steps: funnelSteps } },
    row: (row) => (row.people === 0 ? undefined : [row.step, row.people].map(Number)),
  },
  {
    name: "weekly retention, visitors",
    sqlite: retention("/"),
    duckdb: retention("//"),
    clickhouse: `
      select first, week - first as later, count()
      from (
        select arrayMin(weeks) as first, weeks
        from (
          select groupUniqArray(${epochWeek("ts", "intDiv")}) as weeks
          from events where ${inRange} group by visitor
        )
      )
      array join weeks as week
      group by 1, 2 order by 1, 2`,
    request: { parameter: { name: "retention", granularity: "weekly" } },
    row: (row) =>
      row.returned === 0
        ? undefined
        : [(instant(row.date) / day + firstMonday) / 7, Number(row.period), Number(row.returned)],
  },
  {
    name: "last 50 events",
    sqlite: `
      select 'event_' || name, ts, 'user-' || visitor, properties ->> '$.page'
      from events where ${inRange} order by ts desc limit 50`,
    duckdb: `
      select name, ts, visitor, page from events where ${inRange} order by ts desc limit 50`,
    clickhouse: `
      select name, ts, visitor, page from events where ${inRange} order by ts desc limit 50`,
    request: { parameter: { name: "custom_events_recent" }, limit: 50 },
    row: recent,
  },
  {
    name: "one person's timeline",
    sqlite: `
      select 'event_' || name, ts, 'user-' || visitor, properties ->> '$.page'
      from events where ${inRange} and visitor = ${numberOf(person)} order by ts desc`,
    duckdb: `
      select name, ts, visitor, page from events where ${inRange} and visitor = '${person}' order by ts desc`,
    clickhouse: `
      select name, ts, visitor, page from events where ${inRange} and visitor = '${person}' order by ts desc`,
    request: { parameter: { name: "person", anonymousId: person }, limit: 10_000 },
    row: recent,
  },
]

function recent(row: Row): Cell[] {
  const properties = (typeof row.properties === "string" ? JSON.parse(row.properties) : row.properties) as Row
  return [String(row.event_name), instant(row.timestamp), String(row.anonymous_id), String(properties.page)]
}

/** Converts a date in UTC to Unix ms. Returns numbers unchanged. */
function instant(value: unknown): number {
  if (typeof value === "number") return value
  const text = String(value).replace(" ", "T")
  return Date.parse(text.length > 10 && !/Z|[+-]\d\d:?\d\d$/.test(text) ? `${text}Z` : text)
}

/** `event_7` → 7, `user-4242` → 4242: the numbers in SQLite's rows. */
export function numberOf(name: string): number {
  return Number(/\d+$/.exec(name)?.[0])
}
