import { createHash } from "node:crypto"
import { formats } from "../../src/export/formats.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { eventually, openReader, type Server, startServer, withDatabase } from "../harness.ts"
import { eventRow, oddEvents } from "../support/event.ts"
import { ask, askAll, type Entry, expectSame, type Tools } from "./clickhouse-query-server.ts"

// `serve --keep-local` with a real cluster: events are removed from the file, and query results do not change.

const day = 86_400_000
const count = Number(process.env.REMOVAL_EVENTS ?? 300_000)
/** Days over which the events are spread; the older half is removed. */
const days = 60
const patient = { timeout: 600_000, pause: 50 }
const eventId = (index: number) => `10000000-0000-4000-8000-${String(index).padStart(12, "0")}`

/** Tests the removal of events, with its own file `db` and its own database at `url`. */
export async function testRemoval(
  url: string,
  db: string,
  tools: Pick<Tools, "databuddy" | "report" | "stopEngine" | "startEngine">,
): Promise<void> {
  const { databuddy, report, stopEngine, startEngine } = tools
  const succeed = (...args: string[]) => {
    const { exitCode, stdout, stderr } = databuddy(args)
    if (exitCode !== 0) throw new Error(`${args.join(" ")}: ${stderr}${stdout}`)
    return stdout
  }
  const onFile = (command: string) =>
    JSON.parse(succeed("clickhouse", command, "--clickhouse", url, "--db", db, "--json"))
  const agree = () => {
    const { compared } = onFile("compare")
    if (compared.differences.length > 0) throw new Error(JSON.stringify(compared))
    return compared as { events: number; removed: number }
  }
  const unlimited = ["--rate-limit", "0", "--rate-limit-events", "0", "--rate-limit-bytes", "0"]
  const serve = (...args: string[]) =>
    startServer({ db, args: ["--metrics", "local", ...unlimited, ...args] })
  const serveRemoving = () => serve("--clickhouse", url, "--keep-local", "30d")
  const end = Math.floor(Date.now() / day) * day
  fill(db, end)
  succeed("clickhouse", "migrate", "--clickhouse", url)
  const scope = ["--scope", "read:data", "--scope", "track:events", "--name", "removal"]
  const { key } = JSON.parse(succeed("key", "create", ...scope, "--db", db, "--json")) as { key: string }
  let before: Entry[] = []
  let exportsBefore: Exports = { hashes: [], seconds: 0 }
  await report("all query types run before the removal", async () => {
    onFile("load")
    const server = await serve("--clickhouse", url)
    before = await askAll(server, key)
    expectSame(before, before, /^clickhouse/)
    exportsBefore = await exportAll(server, key)
    await server.stop()
    return `${agree().events} events`
  })
  await report("after a kill during the removal, the file and the cluster agree", async () => {
    let removed = 0
    for (let kill = 0; kill < 3; kill++) {
      const server = await serveRemoving()
      const reached = removed + 20_000
      await eventually(async () => (await removedEvents(server)) > reached, patient)
      await server.kill()
      removed = agree().removed
    }
    return `${removed} events removed by then`
  })
  await report("all old days are removed from the file, and query results do not change", async () => {
    const begin = performance.now()
    const start = agree().removed
    const server = await serveRemoving()
    const bound = Math.floor((Date.now() - 30 * day) / day) * day
    const isDone = async () =>
      select(db, `select not exists (select 1 from event_rows where website_rid >= 0 and ts < ${bound})`) ===
      1
    await eventually(isDone, patient)
    const seconds = (performance.now() - begin) / 1_000
    expectSame(await askAll(server, key), before, /^clickhouse/)
    await server.stop()
    const { events, removed } = agree()
    succeed("check", "--db", db)
    const left = select(db, "select count(*) from event_rows where website_rid >= 0")
    if (left + removed !== events) throw new Error(`${left} + ${removed} is not ${events}`)
    return `${removed} of ${events} events removed, ${Math.round((removed - start) / seconds)} per second`
  })
  await report("exports in all formats have the same bytes as before the removal", async () => {
    const server = await serveRemoving()
    const { hashes, seconds } = await exportAll(server, key)
    await server.stop()
    if (hashes.join() !== exportsBefore.hashes.join())
      throw new Error(`${hashes} are not ${exportsBefore.hashes}`)
    const refused = databuddy(["export", "--db", db])
    if (refused.exitCode === 0 || !refused.stderr.includes("set --clickhouse"))
      throw new Error(refused.stderr)
    const ofCommand = hashOf(succeed("export", "--clickhouse", url, "--db", db))
    if (ofCommand !== hashes[0]) throw new Error(`the export of the command is ${ofCommand}`)
    return `${hashes.length} exports in ${seconds.toFixed(1)} s, ${exportsBefore.seconds.toFixed(1)} s before`
  })
  await report("a duplicate of a removed event is not stored, and a late event is", async () => {
    const server = await serveRemoving()
    const rows = () => select(db, "select count(*) from event_rows where website_rid >= 0")
    const stored = rows()
    const timestamp = end - days * day + 5
    const sent = [
      { name: "tracked", eventId: eventId(0), websiteId: "shop" },
      { name: "late", timestamp, websiteId: "shop" },
    ]
    for (const body of sent) await post(server, "/track", key, body)
    if (rows() !== stored + 1) throw new Error(`${rows() - stored} of 2 events were stored`)
    const [entry] = await ask(server.url, key, [
      { name: "events", filters: [{ field: "event_name", op: "eq", value: "late" }] },
    ])
    if (entry?.data[0]?.events !== 1) throw new Error(JSON.stringify(entry))
    await server.stop()
    onFile("load")
    agree()
    return undefined
  })
  await report("without the cluster, queries of removed days get a 503, and others succeed", async () => {
    const server = await serveRemoving()
    await stopEngine()
    const body = { preset: "last_365d", parameters: ["custom_events_summary"] }
    const refused = await post(server, "/v1/query?website_id=all", key, body, 503)
    const answered = await post(server, "/v1/query?website_id=all", key, { ...body, preset: "last_7d" })
    const noExport = await download(server, key, "format=csv")
    if (noExport.status !== 503) throw new Error(`the export got ${noExport.status}`)
    await startEngine()
    await server.stop()
    if (!answered.includes('"success":true,"data":[{"total_events":')) throw new Error(answered)
    return JSON.parse(refused).error
  })
  await report("a forgotten person is removed from the file and the cluster", async () => {
    const server = await serveRemoving()
    const filters = [{ field: "anonymous_id", op: "eq", value: "user-17" }]
    const events = async () =>
      Number((await ask(server.url, key, [{ name: "events", filters }]))[0]?.data[0]?.events ?? 0)
    const found = await events()
    const person = ["--website", "shop", "--anonymous-id", "user-17", "--yes", "--json"]
    const forgotten = JSON.parse(succeed("forget", ...person, "--clickhouse", url, "--db", db))
    if (forgotten.removedEvents === 0 || forgotten.events + forgotten.removedEvents !== found)
      throw new Error(`${JSON.stringify(forgotten)} of ${found}`)
    if ((await events()) > 0) throw new Error("some events are left")
    await server.stop()
    onFile("load")
    agree()
    return `${forgotten.events} in the file, ${forgotten.removedEvents} in the cluster only`
  })
  await report("fetch restores everything, and SQLite returns the results of the cluster", async () => {
    const refused = databuddy(["serve", "--db", db, "--port", "0"])
    if (refused.exitCode === 0 || !refused.stderr.includes("--clickhouse is not set"))
      throw new Error(refused.stderr)
    const removing = await serveRemoving()
    const answers = await askAll(removing, key)
    expectSame(answers, answers, /^clickhouse/)
    await removing.stop()
    const { fetched, ms, compared } = onFile("fetch")
    if (compared.differences.length > 0 || compared.removed > 0) throw new Error(JSON.stringify(compared))
    const server = await serve()
    expectSame(await askAll(server, key), answers, /^(?!clickhouse)/)
    await server.stop()
    succeed("check", "--db", db)
    return `${fetched.returned} events, ${Math.round((fetched.returned * 1_000) / ms)} per second`
  })
}

/** Fills a file with pseudo-random events that have event IDs, and with events that are hard to store. */
function fill(path: string, end: number): void {
  withDatabase(path, (open) => {
    const settings = { domain: "shop.example", name: "Shop", allowedOrigins: [], anonymize: "off" as const }
    const { rid } = createWebsite(open, "shop", settings, end - days * day)
    const inserter = new EventInserter(open, new DailyHash(open, (bytes) => crypto.getRandomValues(bytes)))
    inserter.insert([...oddEvents(), ...oddEvents({ websiteRid: rid })])
    let batch: EventRow[] = []
    for (let index = 0; index < count; index++) {
      const ts = Math.floor(end - days * day + (index * days * day) / count)
      batch.push(
        eventRow({
          websiteRid: rid,
          name: index % 3 === 0 ? "page" : "tracked",
          ts,
          receivedAt: ts + 5,
          anonymousId: `user-${(index * 7_919) % 5_000}`,
          sessionId: `session ${Math.floor(index / 4)}`,
          keys: '["index","plan"]',
          properties: `${index % 100},"${index % 2 === 0 ? "pro" : "free"}"`,
          eventId: eventId(index),
        }),
      )
      if (batch.length < 5_000) continue
      inserter.insert(batch)
      batch = []
    }
    inserter.insert(batch)
  })
}

function download({ url }: Server, key: string, query: string): Promise<Response> {
  return fetch(`${url}/v1/export?${query}`, { headers: { Authorization: `Bearer ${key}` } })
}

interface Exports {
  hashes: string[]
  seconds: number
}

/** Exports all events, and then the events of one person, in every format. */
async function exportAll(server: Server, key: string): Promise<Exports> {
  const begin = performance.now()
  const hashes: string[] = []
  for (const selection of ["", "website_id=shop&anonymous_id=user-42"]) {
    for (const format of formats) {
      const response = await download(server, key, `${selection}&format=${format}`)
      if (response.status !== 200) throw new Error(await response.text())
      hashes.push(hashOf(await response.bytes()))
    }
  }
  return { hashes, seconds: (performance.now() - begin) / 1_000 }
}

function hashOf(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex")
}

/** Returns the number that a statement selects. */
function select(path: string, statement: string): number {
  const reader = openReader(path)
  try {
    return reader.prepare(statement).pluck().get() as number
  } finally {
    reader.close()
  }
}

async function removedEvents({ url }: Server): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^databuddy_clickhouse_removed_events (.+)$/m.exec(text)?.[1] ?? Number.NaN)
}

async function post({ url }: Server, path: string, key: string, body: object, status = 200): Promise<string> {
  const response = await fetch(url + path, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (response.status !== status) throw new Error(`${path} got ${response.status}: ${text}`)
  return text
}
