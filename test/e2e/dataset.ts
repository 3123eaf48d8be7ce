// Run with `bun run test:dataset`. Imports 20,000 flights within the United States (January to March 2001, from the
// Bureau of Transportation Statistics, as contained in the package vega-datasets). For every query type, compares the
// results of /v1/query with those of plain SQL over the rows. The package is downloaded with npm, or read from a
// folder: `bun run test:dataset <folder of the package>`.
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { PageTypeName } from "../../src/query-api/page-types.ts"
import type { TypeName } from "../../src/query-api/query-types.ts"
import { openReader, startServer, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"

const packageName = "vega-datasets@3.2.1"

type Row = Record<string, unknown>

interface Flight {
  /** 2001/01/01 00:47 */
  date: string
  /** In minutes, negative if the flight was early. */
  delay: number
  distance: number
  origin: string
  destination: string
}

/**
 * Returns the event of a flight. Its visitor is the airport of departure, its session is a day of that airport, and its
 * path is the destination. Late flights over long distances have a profile.
 */
function eventOf({ date, delay, distance, origin, destination }: Flight): object {
  const day = date.slice(0, 10).replaceAll("/", "-")
  return {
    type: "event",
    website_id: "flights",
    name: delay >= 15 ? "late" : delay < 0 ? "early" : "on_time",
    timestamp: Date.parse(`${day}T${date.slice(11)}:00Z`),
    anonymous_id: origin,
    session_id: `${origin} ${day}`,
    profile_id: delay >= 15 && distance > 1_000 ? `airport of ${origin}` : null,
    path: `/${destination}`,
    source: distance > 2_000 ? "long" : null,
    properties: { delay, distance, route: `${origin}-${destination}`, leg: { isShort: distance < 300 } },
  }
}

interface Comparison {
  /** Fields of the query, and fields of its parameter other than the name. */
  query?: Row
  parameter?: Row
  /** Selects the expected rows. Columns of the response that it does not select are not compared. */
  sql: string
  /** Converts the rows of the response, for shapes that SQL cannot return. */
  rows?: (rows: Row[]) => Row[]
  /** True if the type guarantees the order of the rows. */
  isOrdered?: true
}

const range = { startDate: "2001-01-01", endDate: "2001-03-31", limit: 10_000 }
/** The time of New York, which was 5 hours behind UTC throughout these three months. */
const eastern = { timeZone: "America/New_York" }
const easternDate = "date(time, '-5 hours')"

/** A table `values_` with a row for each property of an event. `number` is null if the value is not a number. */
const values = `values_ as (
  select e.id, e.name, each.key, each.type,
    case when each.type in ('true', 'false') then each.type else cast(each.value as text) end as text,
    case when each.type in ('integer', 'real') then each.value end as number
  from e, json_each(e.properties) as each
)`

const quantile = (share: number, ranked: string, partition: string) =>
  `max(case when ${ranked} = (${share} * ${partition} + 99) / 100 then number end)`

/** The data set has no page views. Their query types are covered by test/integration/page-types.test.ts. */
const comparisons: Record<Exclude<TypeName, PageTypeName>, Comparison[]> = {
  custom_events: [
    {
      sql: `select name, count(*) as total_events, count(distinct anonymous_id) as unique_users, count(distinct session_id) as unique_sessions,
        max(time) as last_occurrence, min(time) as first_occurrence, count(*) as events_with_properties,
        100.0 * count(*) / (select count(*) from e) as percentage from e group by name`,
    },
    {
      parameter: { by: ["property.leg.isShort", "source"] },
      query: { filters: [{ field: "property.delay", op: "gte", value: 15 }] },
      sql: `select name, json(case properties ->> '$.leg.isShort' when 1 then 'true' else 'false' end) as "property.leg.isShort", source,
        count(*) as total_events, count(distinct anonymous_id) as unique_users, count(distinct session_id) as unique_sessions
        from e where properties ->> 'delay' >= 15 group by 1, 2, 3`,
    },
  ],
  custom_event_properties: [
    {
      query: {
        filters: [
          { field: "event_name", op: "eq", value: "late" },
          { field: "path", op: "starts_with", value: "/S" },
        ],
      },
      sql: `select name, key as property_key, text as property_value, count(*) as count
        from values_ join e using (id, name) where name = 'late' and path like '/S%' group by 1, 2, 3`,
    },
  ],
  custom_events_by_path: [
    {
      sql: `select path as name, count(*) as total_events, count(distinct name) as unique_event_types,
        count(distinct anonymous_id) as unique_users from e group by path`,
    },
  ],
  custom_events_trends: [
    {
      query: eastern,
      sql: `select ${easternDate} as date, count(*) as total_events, count(distinct name) as unique_event_types,
        count(distinct anonymous_id) as unique_users, count(distinct session_id) as unique_sessions, count(distinct path) as unique_pages
        from e where ${easternDate} between '2001-01-01' and '2001-03-31' group by 1`,
    },
    {
      parameter: { granularity: "hourly" },
      rows: (rows) => rows.filter(({ total_events }) => total_events !== 0),
      query: { startDate: "2001-02-03", endDate: "2001-02-03" },
      sql: `select strftime('%Y-%m-%dT%H:00:00+00:00', time) as date, count(*) as total_events, count(distinct path) as unique_pages
        from e where date(time) = '2001-02-03' group by 1`,
    },
  ],
  custom_events_trends_by_event: [
    {
      parameter: { granularity: "weekly" },
      sql: `select date(time, 'weekday 0', '-6 days') as date, name as event_name, count(*) as total_events from e group by 1, 2`,
    },
  ],
  custom_events_summary: [
    {
      sql: `select count(*) as total_events, count(distinct name) as unique_event_types, count(distinct anonymous_id) as unique_users,
        count(distinct session_id) as unique_sessions, count(distinct path) as unique_pages from e`,
    },
    {
      query: { startDate: "2001-03-01", filters: [{ field: "path", op: "in", value: ["/SFO", "/LAX"] }] },
      parameter: { compare: "previous_period" },
      rows: (rows) => rows.map((row) => ({ ...row, before: (row.previous as Row).total_events })),
      sql: `select sum(time >= '2001-03-01') as total_events, sum(time < '2001-03-01') as before from e
        where path in ('/SFO', '/LAX') and time >= '2001-01-29'`,
    },
  ],
  custom_events_recent: [
    {
      query: { limit: 500 },
      isOrdered: true,
      sql: `select name as event_name, path, source, anonymous_id, session_id, profile_id, time as timestamp, json(properties) as properties
        from e order by timestamp desc, id desc limit 500`,
    },
  ],
  custom_events_property_cardinality: [
    {
      sql: `select name as event_name, key as property_key, count(distinct text) as unique_values, count(*) as occurrences
        from values_ group by 1, 2`,
    },
  ],
  custom_events_property_classification: [
    {
      sql: `select name as event_name, key as property_key, count(distinct text) as cardinality, count(*) as total_count, 1.0 as coverage_ratio,
        max(length(text)) as max_length, count(*) = count(number) as is_numeric, 0 as is_boolean, 0 as is_url_like,
        (select avg(length(text)) from (select distinct text from values_ as same where same.name = values_.name and same.key = values_.key)) as avg_length
        from values_ group by 1, 2`,
    },
  ],
  custom_events_property_top_values: [
    {
      parameter: { top: 7 },
      sql: `select * from (
        select name as event_name, key as property_key, text as property_value, count(*) as count,
          sum(count(*)) over (partition by name, key) as total, 100.0 * count(*) / sum(count(*)) over (partition by name, key) as percentage,
          row_number() over (partition by name, key order by count(*) desc, text) as rank
        from values_ group by 1, 2, 3) where rank <= 7`,
    },
  ],
  custom_events_property_distribution: [
    {
      parameter: { top: 500 },
      sql: `select * from (
        select name as event_name, key as property_key, text as property_value, count(*) as count,
          sum(count(*)) over (partition by name, key) as total, count(*) over (partition by name, key) as cardinality
        from values_ group by 1, 2, 3) where cardinality <= 500`,
    },
  ],
  custom_events_property_numbers: [
    {
      sql: `select name as event_name, key as property_key, count(*) as count, min(number) as min, max(number) as max, avg(number) as avg,
        sum(number) as sum, ${quantile(50, "place", "size")} as p50, ${quantile(95, "place", "size")} as p95
        from (select *, row_number() over (partition by name, key order by number) as place, count(*) over (partition by name, key) as size
          from values_ where number is not null) group by 1, 2`,
    },
    {
      // Databuddy chooses the bounds, but the counts between them must be exact.
      query: {
        filters: [
          { field: "event_name", op: "eq", value: "late" },
          { field: "property_key", op: "eq", value: "delay" },
        ],
      },
      rows: (rows) =>
        ((rows[0]?.bins ?? []) as { from: number; count: number }[]).map(({ from, count }) => ({
          from,
          count,
        })),
      sql: "",
    },
  ],
  custom_events_discovery: [
    {
      rows: (rows) => rows.map(({ totals, top_values, ...row }) => ({ ...row, ...(totals as Row) })),
      sql: `select values_.name as event_name, key as property_key, count(distinct text) as unique_values,
        (select count(*) from e where e.name = values_.name) as total_events,
        (select count(distinct anonymous_id) from e where e.name = values_.name) as unique_users,
        (select count(distinct session_id) from e where e.name = values_.name) as unique_sessions,
        (select max(time) from e where e.name = values_.name) as last_occurrence
        from values_ group by 1, 2`,
    },
  ],
  events: [
    {
      parameter: {
        by: ["source", "path"],
        measures: [
          "events",
          "users",
          "sessions",
          "profiles",
          "sum:property.distance",
          "avg:property.delay",
          "max:property.delay",
        ],
        granularity: "monthly",
      },
      query: {
        filters: [
          { field: "property.delay", op: "gt", value: 0 },
          { field: "property.route", op: "contains", value: "O-" },
        ],
      },
      rows: (rows) => rows.filter(({ events }) => events !== 0),
      sql: `select date(time, 'start of month') as date, source, path, count(*) as events, count(distinct anonymous_id) as users,
        count(distinct session_id) as sessions, count(distinct profile_id) as profiles, sum(properties ->> 'distance') as "sum:property.distance",
        avg(properties ->> 'delay') as "avg:property.delay", max(properties ->> 'delay') as "max:property.delay"
        from e where properties ->> 'delay' > 0 and properties ->> 'route' like '%O-%' group by 1, 2, 3`,
    },
  ],
  funnel: [
    {
      parameter: { steps: ["early", "late"], window: "6h" },
      sql: `${attempts("anonymous_id", 6)}`,
    },
    {
      parameter: { steps: ["early", "late"], window: "2h", unit: "session" },
      sql: `${attempts("session_id", 2)}`,
    },
    {
      // The third step must also be within the window, which starts at the first.
      parameter: { steps: ["late", "on_time", "early"], window: "1h" },
      rows: (rows) => rows.map(({ step, people }) => ({ step, people })),
      sql: `select 1 as step, count(distinct anonymous_id) as people from e where name = 'late'
        union all select 2, count(distinct a.anonymous_id) from e as a join e as b on b.anonymous_id = a.anonymous_id
          and (b.timestamp, b.id) > (a.timestamp, a.id) and b.timestamp <= a.timestamp + 3600000 where a.name = 'late' and b.name = 'on_time'
        union all select 3, count(distinct a.anonymous_id) from e as a join e as b on b.anonymous_id = a.anonymous_id
          and (b.timestamp, b.id) > (a.timestamp, a.id) and b.timestamp <= a.timestamp + 3600000
          join e as c on c.anonymous_id = b.anonymous_id and (c.timestamp, c.id) > (b.timestamp, b.id) and c.timestamp <= a.timestamp + 3600000
          where a.name = 'late' and b.name = 'on_time' and c.name = 'early'`,
    },
  ],
  retention: [
    {
      parameter: { steps: ["late", "early"], granularity: "weekly" },
      rows: (rows) =>
        rows
          .filter(({ returned }) => returned !== 0)
          .map(({ date, people, period, returned }) => ({ date, people, period, returned })),
      sql: `, w as (select *, (unixepoch(date(time, 'weekday 0', '-6 days')) / 604800) as week from e),
        cohorts as (select anonymous_id, min(week) as week from w where name = 'late' group by 1)
        select date((cohorts.week * 604800) + (select unixepoch(date(min(time), 'weekday 0', '-6 days')) % 604800 from e), 'unixepoch') as date,
          (select count(*) from cohorts as same where same.week = cohorts.week) as people, w.week - cohorts.week as period,
          count(distinct w.anonymous_id) as returned
        from cohorts join w on w.anonymous_id = cohorts.anonymous_id and w.week >= cohorts.week and w.name = 'early' group by 1, 2, 3`,
    },
  ],
  paths: [
    {
      parameter: { steps: ["late"], before: 2, after: 2 },
      sql: `, placed as (select session_id, name, row_number() over (partition by session_id order by timestamp, id) as place from e),
        firsts as (select session_id, min(place) as place from placed where name = 'late' group by 1),
        offsets(step) as (values (-2), (-1), (1), (2)),
        found as (select step, firsts.session_id, placed.name,
            (select max(place) from placed as all_ where all_.session_id = firsts.session_id) as size, firsts.place + step as at
          from firsts, offsets left join placed on placed.session_id = firsts.session_id and placed.place = firsts.place + step)
        select step as place, name as event_name, null as page, count(*) as sessions, 100.0 * count(*) / (select count(*) from firsts) as percentage
        from found where at between 0 and size + 1 group by 1, 2`,
    },
  ],
  goals: [
    {
      parameter: {
        steps: ["late", { name: "early", filters: [{ field: "source", op: "eq", value: "long" }] }],
        unit: "session",
      },
      sql: `select goal, count(*) as completions, count(distinct session_id) as converted, (select count(distinct session_id) from e) as total,
        100.0 * count(distinct session_id) / (select count(distinct session_id) from e) as conversion_rate
        from (select name as goal, * from e where name = 'late' or (name = 'early' and source = 'long')) group by 1`,
    },
    {
      parameter: { steps: ["late"], granularity: "monthly" },
      sql: `select 'late' as goal, date(time, 'start of month') as date, sum(name = 'late') as completions,
        count(distinct case when name = 'late' then anonymous_id end) as converted, count(distinct anonymous_id) as total from e group by 2`,
    },
  ],
  movers: [
    {
      query: { startDate: "2001-03-01", filters: [{ field: "path", op: "in", value: ["/SFO", "/LAX"] }] },
      rows: (rows) =>
        rows
          .filter(({ field }) => field === "event_name")
          .map((row) => ({ ...row, before: (row.previous as Row).events })),
      sql: `, march as (select *, time >= '2001-03-01' as now from e where path in ('/SFO', '/LAX') and time >= '2001-01-29')
        select name as value, sum(now) as events, sum(not now) as before, sum(now) - sum(not now) as difference,
        100.0 * (sum(now) - sum(not now)) / (select sum(now) - sum(not now) from march) as percentage,
        100.0 * sum(not now) / (select sum(not now) from march) as expected_percentage
        from march group by name having difference <> 0`,
    },
  ],
  sessions: [
    {
      query: { startDate: "2001-02-01", endDate: "2001-02-28" },
      sql: `, feb as (select * from e where date(time) between '2001-02-01' and '2001-02-28')
        select session_id, anonymous_id, count(*) as events, min(time) as started_at, max(time) as ended_at,
        max(timestamp) - min(timestamp) as duration_ms,
        (select name from feb as one where one.session_id = feb.session_id order by timestamp, id limit 1) as first_event,
        (select name from feb as one where one.session_id = feb.session_id order by timestamp desc, id desc limit 1) as last_event,
        (select profile_id from feb as one where one.session_id = feb.session_id and profile_id is not null order by timestamp desc, id desc limit 1) as profile_id
        from feb group by session_id`,
    },
  ],
  people: [
    {
      sql: `select anonymous_id, max(profile_id) as profile_id, count(*) as events, count(distinct session_id) as sessions,
        min(time) as first_seen, max(time) as last_seen from e group by 1`,
    },
    {
      parameter: { search: "S" },
      sql: `select anonymous_id, count(*) as events from e where anonymous_id glob '*S*' group by 1`,
    },
  ],
  person: [
    {
      parameter: { anonymousId: "ORD" },
      isOrdered: true,
      sql: `select name as event_name, path, time as timestamp from e where anonymous_id = 'ORD' order by timestamp desc, id desc`,
    },
  ],
}

/**
 * Returns SQL for a funnel of two steps. For each unit, it finds the first late flight that has an early flight at most
 * `hours` before it, and the time since the latest such early flight.
 */
function attempts(unit: string, hours: number): string {
  return `, gaps as (
      select b.${unit} as unit, b.timestamp - max(a.timestamp) as gap, row_number() over (partition by b.${unit} order by b.timestamp, b.id) as nth
      from e as b join e as a on a.${unit} = b.${unit} and (a.timestamp, a.id) < (b.timestamp, b.id) and a.timestamp >= b.timestamp - ${hours * 3_600_000}
      where a.name = 'early' and b.name = 'late' group by b.id),
    reached as (select gap, row_number() over (order by gap) as place, count(*) over () as size from gaps where nth = 1)
    select 1 as step, 'early' as event_name, count(distinct ${unit}) as people, null as median_ms from e where name = 'early'
    union all select 2, 'late', count(*), max(case when place = (size + 1) / 2 then gap end) from reached`
}

/** Allows for rates and shares rounded to two decimals, and for sums of doubles, which depend on the order. */
function isSame(got: unknown, expected: unknown): boolean {
  if (typeof got === "boolean") return Number(got) === expected
  if (typeof got === "object" && got !== null) return JSON.stringify(got) === expected
  if (typeof got !== "number" || typeof expected !== "number") return got === expected
  return Math.abs(got - expected) <= (Number.isInteger(expected) ? 0 : 0.005 + 1e-9 * Math.abs(expected))
}

function difference(got: Row[], expected: Row[], isOrdered: boolean): string | undefined {
  if (expected.length === 0) return "SQL returned no rows, so nothing was compared"
  const columns = Object.keys(expected[0] ?? {})
  const missing = columns.find((column) => !got.some((row) => column in row))
  if (missing) return `the response has no column ${missing}: ${JSON.stringify(got[0])}`
  // Rows are sorted by the columns that are not rounded: text and integers.
  const exact = columns.filter((column) =>
    expected.every((row) => typeof row[column] !== "number" || Number.isInteger(row[column])),
  )
  const keyOf = (row: Row) => JSON.stringify(exact.map((column) => plain(row[column])))
  const inOrder = (rows: Row[]) =>
    isOrdered
      ? rows
      : rows
          .map((row) => ({ row, key: keyOf(row) }))
          .sort((a, b) => (a.key < b.key ? -1 : 1))
          .map(({ row }) => row)
  const [ours, theirs] = [inOrder(got), inOrder(expected)]
  if (ours.length !== theirs.length) {
    const index = theirs.findIndex((row, at) => !ours[at] || keyOf(ours[at]) !== keyOf(row))
    return `${ours.length} rows, but SQL returned ${theirs.length}; the first difference: ${JSON.stringify(ours[index])}\n  SQL: ${JSON.stringify(theirs[index])}`
  }
  for (const [index, row] of theirs.entries()) {
    const column = columns.find((name) => !isSame(ours[index]?.[name], row[name]))
    if (column) return `${JSON.stringify(ours[index])}\n  SQL: ${JSON.stringify(row)}`
  }
  return undefined
}

function plain(value: unknown): unknown {
  if (typeof value === "boolean") return Number(value)
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value
}

const say = (line: string) => process.stdout.write(`${line}\n`)

using folder = temporaryFolder()
const server = await startServer({ db: folder.file("flights.db") })
let compared = 0
let failed = 0
try {
  const flights = (await Bun.file(await flightsFile()).json()) as Flight[]
  await databuddy("website", "create", "flights.example.com", "--id", "flights", "--db", server.db)
  const lines = folder.file("flights.ndjson")
  writeFileSync(lines, flights.map((flight) => `${JSON.stringify(eventOf(flight))}\n`).join(""))
  await databuddy("import", lines, "--db", server.db)
  const db = openReader(server.db)
  for (const [name, list] of Object.entries(comparisons)) {
    for (const { query = {}, parameter = {}, rows, sql, isOrdered = false } of list) {
      const answer = await fetch(`${server.url}/v1/query?website_id=flights`, {
        method: "POST",
        headers: { authorization: `Bearer ${server.key}`, "content-type": "application/json" },
        body: JSON.stringify({ parameters: [{ name, ...parameter }], ...range, ...query }),
      })
      const body = (await answer.json()) as { data?: { success: boolean; data: Row[]; error?: string }[] }
      const [entry] = body.data ?? []
      const asked = `${name} ${JSON.stringify({ ...parameter, ...query })}`
      compared++
      if (!entry?.success) {
        failed++
        say(`FAILED ${asked}: ${JSON.stringify(body)}`)
        continue
      }
      const got = rows ? rows(entry.data) : entry.data
      const expected = sql === "" ? bins(db, got) : (db.prepare(whole(sql)).all() as Row[])
      const found = difference(got, expected, isOrdered)
      if (found) failed++
      say(found ? `FAILED ${asked}: ${found}` : `ok     ${asked}: ${expected.length} rows`)
    }
  }
  db.close()
} finally {
  await server.kill()
}
say(`${compared - failed} of ${compared} results over 20,000 flights equal those of plain SQL`)
process.exit(failed > 0 ? 1 : 0)

/** Adds the table `e` of events and the table `values_` of property values to a query. */
function whole(sql: string): string {
  const common = `with e as materialized (select * from events where website_id = 'flights' and not crawler), ${values}`
  return `${common} ${sql}`
}

/** Returns the number of delays between each bound of the response and the next. */
function bins(db: ReturnType<typeof openReader>, got: Row[]): Row[] {
  const delays = db
    .prepare(whole("select number from values_ where name = 'late' and key = 'delay'"))
    .pluck()
    .all() as number[]
  return got.map(({ from }, index) => ({
    from,
    count: delays.filter((delay) => delay >= Number(from) && delay < Number(got[index + 1]?.from ?? Infinity))
      .length,
  }))
}

async function databuddy(...args: string[]): Promise<void> {
  const child = Bun.spawn([binary, ...args], { stdout: "ignore", stderr: "inherit" })
  if ((await child.exited) !== 0) throw new Error(`databuddy ${args[0]} ended with ${child.exitCode}`)
}

async function flightsFile(): Promise<string> {
  const given = process.argv[2]
  if (given !== undefined) return join(given, "data/flights-20k.json")
  const place = folder.file("package")
  mkdirSync(place)
  const fetched = Bun.spawnSync(
    ["sh", "-c", `npm pack --silent ${packageName} && tar xzf *.tgz package/data/flights-20k.json`],
    {
      cwd: place,
    },
  )
  if (!fetched.success) throw new Error(`npm could not fetch ${packageName}: ${fetched.stderr}`)
  return join(place, "package/data/flights-20k.json")
}
