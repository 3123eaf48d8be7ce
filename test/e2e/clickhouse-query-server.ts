import { isDeepStrictEqual } from "node:util"
import type { QueryType } from "../../src/query-api/query-spec.ts"
import { types } from "../../src/query-api/query-types.ts"
import { eventually, type Server } from "../harness.ts"
import { compareEngines } from "./clickhouse-queries.ts"

/** Number of random data sets, and of queries in each of their states. */
export const seeds = Number(process.env.SEEDS ?? 5)
export const queriesPerState = Number(process.env.QUERIES ?? 20)

/** Tools of test/e2e/clickhouse.ts. */
export interface Tools {
  /** Port of the engine. */
  port: number
  /** Path of the file. */
  db: string
  serve: (cluster?: string, args?: readonly string[]) => Promise<Server>
  /** Waits until everything is shipped. */
  drained: (server: Server) => Promise<void>
  track: (server: Server, events: number) => Promise<number>
  rows: (statement: string) => Promise<number[]>
  databuddy: (args: string[]) => { exitCode: number; stdout: string; stderr: string }
  report: (what: string, work: () => Promise<string | undefined>) => Promise<void>
  stopEngine: () => Promise<void>
  startEngine: () => Promise<void>
}

export interface Entry {
  parameter: string
  success: boolean
  error?: string
  data: Record<string, unknown>[]
  /** Absent in an error. */
  meta?: { source: string }
}

/** True if a type has its own range, which moves between two requests. */
const isOfNow = (name: string) => (types as Record<string, QueryType>)[name]?.range !== undefined

/** Names that occur in the events of a file. */
interface KnownValues {
  steps: readonly string[]
  visitor: string
  property: string
}

/** Returns a parameter for each query type. All results are exact, because no type sums fractions in these events. */
export function parametersOf({ steps, visitor, property }: KnownValues): { name: string }[] {
  return Object.entries(types as Record<string, QueryType>).map(([name, type]) => ({
    name,
    ...(type.needs?.includes("steps") || name === "retention"
      ? { steps: steps.slice(0, type.steps?.[1]) }
      : {}),
    ...(type.oneOf?.required ? { anonymousId: visitor } : {}),
    ...(name === "events" ? { by: ["event_name", property], measures: ["events", "users"] } : {}),
  }))
}

const parameters = parametersOf({
  steps: ["tracked", "page"],
  visitor: "user-17",
  property: "property.index",
})

export async function ask(
  url: string,
  key: string,
  parameters: readonly object[],
  signal?: AbortSignal,
): Promise<Entry[]> {
  const response = await fetch(`${url}/v1/query?website_id=all`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ preset: "last_365d", limit: 50, parameters }),
    timeout: 3_600_000,
    ...(signal && { signal }),
  })
  const text = await response.text()
  if (response.status !== 200) throw new Error(text)
  return (JSON.parse(text) as { data: Entry[] }).data
}

/** Queries all types, in two requests, because there are more types than one request can contain. */
export async function askAll({ url }: Server, key: string): Promise<Entry[]> {
  const half = Math.ceil(parameters.length / 2)
  const parts = [parameters.slice(0, half), parameters.slice(half)]
  return (await Promise.all(parts.map((part) => ask(url, key, part)))).flat()
}

/** Throws if a result is an error, comes from the wrong source, or differs from the expected result. */
export function expectSame(actual: readonly Entry[], expected: readonly Entry[], source: RegExp): void {
  for (const [index, { parameter, error, data, meta }] of actual.entries()) {
    if (error !== undefined) throw new Error(`${parameter}: ${error}`)
    if (!source.test(meta?.source ?? "")) throw new Error(`${parameter} comes from ${meta?.source}`)
    if (isOfNow(parameter) || isDeepStrictEqual(data, expected[index]?.data)) continue
    throw new Error(
      `${parameter} is ${JSON.stringify(data)} instead of ${JSON.stringify(expected[index]?.data)}`,
    )
  }
}

/** Starts a proxy in front of the engine that replaces each query of the query API with one that takes 100 s. */
function startSlowEngine(port: number): AsyncDisposable & { port: number } {
  const slow =
    "select sleepEachRow(1) from numbers(100) settings max_block_size = 1 format JSONCompactEachRow"
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: async (request) => {
      const { search } = new URL(request.url)
      const body = Buffer.from(await request.arrayBuffer()).toString("latin1")
      const type = request.headers.get("content-type") ?? ""
      const answer = await fetch(`http://127.0.0.1:${port}/${search}`, {
        method: "POST",
        headers: { "Content-Type": type },
        body: Buffer.from(body.replace(/(name="query"\r\n\r\n)[\s\S]*?(\r\n--)/, `$1${slow}$2`), "latin1"),
        signal: request.signal,
      })
      // Most headers are dropped, because `fetch` has already decompressed the body.
      const headers = new Headers()
      const number = answer.headers.get("X-ClickHouse-Exception-Code")
      if (number !== null) headers.set("X-ClickHouse-Exception-Code", number)
      return new Response(await answer.arrayBuffer(), { status: answer.status, headers })
    },
  })
  return { port: server.port ?? 0, [Symbol.asyncDispose]: () => server.stop(true) }
}

/** Compares lowerUTF8 with toLowerCase for every code point, and for strings in which adjacent letters matter. */
async function compareLetters(port: number): Promise<string> {
  const run = async (statement: string, body = "") => {
    const url = `http://127.0.0.1:${port}/?query=${encodeURIComponent(statement)}`
    const response = await fetch(url, { method: "POST", body })
    const text = await response.text()
    if (response.status !== 200) throw new Error(text)
    return text
  }
  const texts = ["ΑΣ", "ΑΣ Β", "Σ", "ΑΣΒ", "ΑΣ'Β", "A\u0300Σ", "Α.Σ", "İstanbul", "I\u0307", "\u0130\u0307"]
  for (let code = 1; code <= 0x10_ffff; code++)
    if (code < 0xd800 || code > 0xdfff) texts.push(String.fromCodePoint(code))
  await run("create table letters (place UInt32, text String) engine = Memory")
  for (let from = 0; from < texts.length; from += 100_000) {
    const lines = texts.slice(from, from + 100_000).map((text, index) => JSON.stringify([from + index, text]))
    await run("insert into letters format JSONCompactEachRow", lines.join("\n"))
  }
  const lower = await run("select lowerUTF8(text) from letters order by place format JSONCompactEachRow")
  await run("drop table letters")
  for (const [index, line] of lower.trim().split("\n").entries()) {
    const text = texts[index] ?? ""
    if (JSON.parse(line)[0] !== text.toLowerCase()) throw new Error(`${JSON.stringify(text)} becomes ${line}`)
  }
  return `${texts.length} texts`
}

/** Tests queries to a server with a real cluster. */
export async function testQueries(tools: Tools): Promise<void> {
  const { port, db, serve, drained, track, rows, databuddy, report, stopEngine, startEngine } = tools
  const succeed = (args: string[]) => {
    const { exitCode, stdout, stderr } = databuddy(args)
    if (exitCode !== 0) throw new Error(stderr)
    return stdout
  }
  const scope = ["--scope", "read:data", "--name", "queries", "--db", db, "--json"]
  const { key: secret } = JSON.parse(succeed(["key", "create", ...scope])) as { key: string }
  await report("random queries return the same results from ClickHouse and SQLite", async () => {
    const total = new Map<string, number>()
    for (let seed = 1; seed <= seeds; seed++) {
      const counts = await compareEngines(`http://127.0.0.1:${port}`, seed, queriesPerState)
      for (const [kind, count] of counts) total.set(kind, (total.get(kind) ?? 0) + count)
    }
    return [...total].map(([kind, count]) => `${kind} ${count}`).join(", ")
  })
  await report("ClickHouse lowercases every letter as JavaScript does", () => compareLetters(port))
  await report(
    "all query types read the cluster and the unshipped rows, or SQLite if the cluster is down",
    async () => {
      const server = await serve()
      await drained(server)
      for (const { parameter, meta } of await askAll(server, secret))
        if (meta?.source !== "clickhouse") throw new Error(`${parameter} comes from ${meta?.source}`)
      await track(server, 500)
      const answers = await askAll(server, secret)
      // The unshipped rows may be shipped between the two requests.
      expectSame(answers, answers, /^clickhouse(\+rows)?$/)
      if (answers[0]?.meta?.source !== "clickhouse+rows") throw new Error("no rows were unshipped")
      await stopEngine()
      expectSame(await askAll(server, secret), answers, /^(?!clickhouse)/)
      await startEngine()
      await server.stop()
      return `${answers.length} types`
    },
  )
  await report("a forgotten person disappears from results immediately", async () => {
    const server = await serve()
    await drained(server)
    const countEvents = async () => {
      const [entry] = await ask(server.url, secret, [{ name: "events", anonymousId: "user-18" }])
      if (!entry?.meta?.source.startsWith("clickhouse")) throw new Error(JSON.stringify(entry))
      return Number(entry.data[0]?.events ?? 0)
    }
    const before = await countEvents()
    succeed(["forget", "--website", "shop", "--anonymous-id", "user-18", "--yes", "--db", db])
    const after = await countEvents()
    if (before === 0 || after > 0) throw new Error(`${before} events before, ${after} after`)
    await drained(server)
    if ((await countEvents()) > 0) throw new Error("the events reappeared")
    await server.stop()
    return `${before} events before, 0 after`
  })
  await report("the cluster stops a query at its time limit and when its client disconnects", async () => {
    await using slow = startSlowEngine(port)
    const cluster = `http://127.0.0.1:${slow.port}/shop`
    const running =
      "select count() from system.processes where query like 'select sleepEachRow(1) from numbers(100)%'"
    const isRunning = async () => (await rows(running))[0] === 1
    const summary = [{ name: "custom_events_summary" }]
    const limited = await serve(cluster, ["--clickhouse-query-time", "2"])
    await drained(limited)
    const [entry] = await ask(limited.url, secret, summary)
    await limited.stop()
    if (!entry?.error?.includes("--clickhouse-query-time")) throw new Error(JSON.stringify(entry))
    const server = await serve(cluster)
    await drained(server)
    const client = new AbortController()
    const answer = ask(server.url, secret, summary, client.signal).catch(() => undefined)
    await eventually(isRunning, { timeout: 60_000 })
    client.abort()
    await eventually(async () => !(await isRunning()), { timeout: 30_000 })
    await answer
    await server.stop()
    return entry.error
  })
}
