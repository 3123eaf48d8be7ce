import { statSync } from "node:fs"
import { dayMs } from "../../src/columns/batch.ts"
import { rowsPerPass, Sealer, sealAll, sealRows } from "../../src/columns/sealer.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { closeDatabase } from "../../src/store/db/open.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { standardEvents } from "../bench/dataset.ts"
import { median } from "../bench/statistics.ts"
import { trafficRows } from "../bench/traffic-dataset.ts"
import { openTestDatabase, type Server, startServer, type TemporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"
import { eventRow, oddEvents } from "../support/event.ts"
import { ask, type Entry, expectSame, parametersOf, type Tools } from "./clickhouse-query-server.ts"

// Loads a file of any size into the cluster and fetches it back into an empty file. Query results, counts, hashes and
// the export must not change.

/** Rows per transaction. Event IDs are random, so each transaction changes many pages of their index. */
const rowsPerCommit = 20_000
/** Maximum number of events for comparing exports. Larger exports take long, and the hashes cover the same columns. */
const maxExported = 1_000_000
/** Number of query types whose times are printed. */
const listedTypes = 8
const parameters = parametersOf({
  steps: ["event_1", "event_2"],
  visitor: "user-17",
  property: "property.plan",
})
/** Queries over many events take longer than the default limits of `serve`. */
const patientQueries = ["--clickhouse-query-time", "3600", "--clickhouse-query-memory", String(2 ** 34)]

/** Moves a file with `count` events to the database at `url`, and back. */
export async function testMove(
  url: string,
  folder: TemporaryFolder,
  count: number,
  { databuddy, report }: Pick<Tools, "databuddy" | "report">,
): Promise<void> {
  const [db, restored] = [folder.file("move.db"), folder.file("restored.db")]
  const succeed = (...args: string[]) => {
    const { exitCode, stdout, stderr } = databuddy(args)
    if (exitCode !== 0) throw new Error(`${args.join(" ")}: ${stderr}${stdout}`)
    return stdout
  }
  const onFile = (command: string, file: string) =>
    JSON.parse(succeed("clickhouse", command, "--clickhouse", url, "--db", file, "--json"))
  const answersOf = async (file: string, ...args: string[]) => {
    const scope = ["--scope", "read:data", "--name", "move"]
    const { key } = JSON.parse(succeed("key", "create", ...scope, "--db", file, "--json")) as { key: string }
    const server = await startServer({ db: file, args: ["--rate-limit", "0", ...args] })
    try {
      return await askOneByOne(server, key)
    } finally {
      await server.stop()
    }
  }
  let stored = 0
  await report("a file is filled", async () => {
    stored = fill(db, count)
    return `${stored} events of all kinds, ${perEvent(statSync(db).size, stored)} bytes per event`
  })
  await report("the file is loaded into the cluster, and counts and hashes agree", async () => {
    succeed("clickhouse", "migrate", "--clickhouse", url)
    const { events, ms, compared } = onFile("load", db)
    if (events !== stored || compared.events !== stored || compared.differences.length > 0)
      throw new Error(JSON.stringify({ events, compared }))
    return rateOf(events, ms)
  })
  let entries: readonly Entry[] = []
  await report("all query types run in SQLite", async () => {
    const answers = await answersOf(db)
    entries = answers.entries
    expectSame(entries, entries, /^(?!clickhouse)/)
    return `${entries.length} types, ${rowsOf(entries)} rows; ${timesOf(answers)}`
  })
  await report("all query types return the same results from the cluster", async () => {
    const answers = await answersOf(db, "--clickhouse", url, ...patientQueries)
    expectSame(answers.entries, entries, /^clickhouse$/)
    return timesOf(answers)
  })
  await report("all events are fetched into an empty file, and counts and hashes agree", async () => {
    const { fetched, rejected, ms, compared } = onFile("fetch", restored)
    if (fetched.added !== stored || fetched.renumbered > 0 || rejected > 0)
      throw new Error(JSON.stringify({ fetched, rejected }))
    if (compared.events !== stored || compared.differences.length > 0)
      throw new Error(JSON.stringify(compared))
    return `${rateOf(fetched.added, ms)}, ${perEvent(statSync(restored).size, stored)} bytes per event`
  })
  if (count <= maxExported) {
    await report("the new file has no damage, and both files have the same export", async () => {
      succeed("check", "--db", restored)
      const [here, there] = [await exportOf(db), await exportOf(restored)]
      if (here.hash !== there.hash) throw new Error("the exports differ")
      return `${here.bytes} bytes`
    })
  }
  await report("all query types return the same results from the new file", async () => {
    const answers = await answersOf(restored)
    expectSame(answers.entries, entries, /^(?!clickhouse)/)
    return timesOf(answers)
  })
}

/** The result of each query type and the time it took. */
interface Answers {
  entries: Entry[]
  /** In ms, in the order of the parameters. */
  times: number[]
}

/** Sends each query type in its own request, because a request with all of them could exceed the client's timeout. */
async function askOneByOne({ url }: Server, key: string): Promise<Answers> {
  const answers: Answers = { entries: [], times: [] }
  for (const parameter of parameters) {
    const begin = performance.now()
    answers.entries.push(...(await ask(url, key, [parameter])))
    answers.times.push(performance.now() - begin)
  }
  return answers
}

/** Returns the total time and the slowest types. Each type has run only once, so no result was cached. */
function timesOf({ times }: Answers): string {
  const slowest = times
    .map((ms, index) => ({ ms, name: parameters[index]?.name }))
    .sort((one, other) => other.ms - one.ms)
    .slice(0, listedTypes)
    .map(({ ms, name }) => `${name} ${(ms / 1_000).toFixed(1)} s`)
  const total = times.reduce((sum, ms) => sum + ms, 0)
  return `${(total / 1_000).toFixed(0)} s, median ${median(times).toFixed(0)} ms; ${slowest.join(", ")}`
}

/** Fills a file with about `count` events in order of receipt, and seals them. Returns the number of events stored. */
function fill(path: string, count: number): number {
  const end = Math.floor(Date.now() / dayMs) * dayMs
  const db = openTestDatabase(path)
  const settings = { allowedOrigins: [], anonymize: "off" as const }
  const [shop, site] = (["shop", "site"] as const).map(
    (name) => createWebsite(db, name, { domain: `${name}.example`, name, ...settings }, end).rid,
  ) as [number, number]
  const inserter = new EventInserter(db, new DailyHash(db, (bytes) => crypto.getRandomValues(bytes)))
  const sealer = new Sealer(db)
  const insert = db.transaction((rows: readonly EventRow[]) => inserter.insert(rows))
  let stored = insert.immediate([...oddEvents(), ...oddEvents({ websiteRid: shop })])
  let batch: EventRow[] = []
  const flush = () => {
    stored += insert.immediate(batch)
    batch = []
    sealRows(db, sealer, rowsPerPass * 2)
  }
  for (const row of allKinds(count, shop, site, end)) {
    batch.push(row)
    if (batch.length === rowsPerCommit) flush()
  }
  flush()
  sealAll(db, Math.floor(Date.now() / dayMs), () => {}, sealer)
  closeDatabase(db)
  return stored
}

/** Yields custom events, page views, page exits and other kinds, a quarter each. Only page views have event IDs. */
function* allKinds(count: number, shop: number, site: number, end: number): Generator<EventRow> {
  const quarter = Math.floor(count / 4)
  const custom = standardEvents(quarter, end)
  let views = 0
  for (const row of trafficRows(quarter, true, site, end)) {
    if (row.kind !== "page_view") {
      yield { ...row, eventId: null }
      continue
    }
    yield row
    views++
    yield otherKind(row, views)
    const { value: event } = custom.next()
    if (!event) continue
    const { name, timestamp, properties, anonymousId, sessionId } = event
    yield eventRow({
      websiteRid: views % 10 === 0 ? 0 : shop,
      name,
      ts: timestamp,
      receivedAt: timestamp + 5,
      anonymousId,
      sessionId,
      profileId: views % 20 === 0 ? `profile ${views % 5_000}` : null,
      keys: JSON.stringify(Object.keys(properties)),
      properties: JSON.stringify(Object.values(properties)).slice(1, -1),
    })
  }
}

const vitals = ["TTFB", "FCP", "LCP", "INP", "CLS"] as const

/**
 * Returns an event of another kind that belongs to a page view. Its numbers are integers, because sums of fractions can
 * differ in the last digit.
 */
function otherKind(view: EventRow, index: number): EventRow {
  const row = (changes: Partial<EventRow>, properties: Record<string, unknown>): EventRow => ({
    ...view,
    acquisition: null,
    eventId: null,
    ts: view.ts + 1_000,
    receivedAt: view.receivedAt + 1_000,
    keys: JSON.stringify(Object.keys(properties)),
    properties: JSON.stringify(Object.values(properties)).slice(1, -1),
    ...changes,
  })
  const of = Math.floor(index / 8)
  switch (index % 8) {
    case 0:
    case 1:
    case 2:
      return row(
        { kind: "web_vital", name: vitals[of % vitals.length] ?? "LCP" },
        { value: (of * 7_919) % 4_000 },
      )
    case 3:
    case 4:
      return row(
        { kind: "engagement", name: "engagement" },
        {
          page_index: of % 4,
          time_on_page: 1 + (of % 300),
          active_time: of % 200,
          max_scroll_depth: of % 101,
          interaction_count: of % 9,
          error_count: of % 3,
          ...(of % 10 === 0 && { rage_click_count: 2, rage_click_target: `button.b${of % 7}` }),
          ...(of % 12 === 0 && { dead_click_count: 1, dead_click_target: `div.d${of % 5}` }),
          ...(of % 6 === 0 && {
            form_field_count: 4,
            form_submit_count: of % 2,
            last_form_field: `field ${of % 4}`,
          }),
        },
      )
    case 5:
    case 6: {
      const domain = `partner${of % 90}.example`
      return row(
        { kind: "outgoing_link", name: "outgoing_link" },
        { href: `https://${domain}/${of % 11}`, text: `Partner ${of % 90}`, domain },
      )
    }
    default:
      if (of % 8 === 0)
        return row({ kind: "ai_visit", name: "ai_visit", crawler: 1, viaKey: 1 }, { agent: `Bot ${of % 6}` })
      return row(
        { kind: "error", name: "error" },
        {
          message: `TypeError: property ${of % 60} of undefined`,
          error_type: of % 3 === 0 ? "RangeError" : "TypeError",
          filename: "https://site.example/app.js",
          lineno: of % 500,
          colno: of % 80,
          stack: `TypeError\n  at f${of % 60}`,
        },
      )
  }
}

/** Returns the hash and size of a file's export, which is read as a stream because it can be too long for a string. */
async function exportOf(path: string): Promise<{ hash: string; bytes: number }> {
  const child = Bun.spawn([binary, "export", "--db", path], { env: environment(), stderr: "inherit" })
  const hasher = new Bun.CryptoHasher("sha256")
  let bytes = 0
  for await (const chunk of child.stdout) {
    hasher.update(chunk)
    bytes += chunk.length
  }
  if ((await child.exited) !== 0) throw new Error(`the export of ${path} failed`)
  return { hash: hasher.digest("hex"), bytes }
}

function rowsOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { data }) => sum + data.length, 0)
}

function rateOf(events: number, ms: number): string {
  return `${events} events, ${Math.round((events * 1_000) / ms)} per second`
}

function perEvent(bytes: number, events: number): number {
  return Math.round(bytes / events)
}
