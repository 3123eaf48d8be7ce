// npm run test:attack [-- seconds alone] [seconds attacked] [one attack]…: honest clients alone, then with all attacks of attacks.ts at
// once (or with those that are named), each in a process of its own. Prints what the clients noticed and fails where a bound is missed.
import { readFileSync } from "node:fs"
import { createKey, type Scope } from "../../src/store/keys.ts"
import { createWebsite } from "../../src/store/websites.ts"
import {
  eventually,
  openReader,
  type Server,
  startServer,
  temporaryFolder,
  withDatabase,
} from "../harness.ts"
import { binary } from "../support/binary.ts"
import { mulberry32, picker } from "../support/random.ts"
import {
  type AttackName,
  type AttackReport,
  attacks,
  runAttack,
  sharedAddress,
  type Target,
} from "./attacks.ts"

/** MiB: what `serve` takes where the machine has 1 GB. With more memory it would allow queries more. */
const queryMemory = 128
/** MB that the process may ever take, the preparation included. */
const mostMemory = 400
/** By which the p99 of an honest client may grow. */
const mostRatio = 5
/** ms within which /health has to answer. */
const healthTimeout = 10_000
/** Below Linux's default of 0: the attackers stand for other machines, whose processors are not ours. */
const attackNiceness = 10

const password = "correct horse battery"
const domain = "example.com"
const names = ["viewed", "signed_up", "added", "bought", "left"]

/** What honest clients do, by the name that the report shows. Each does so many a second, whatever the answers take. */
const clients = {
  "events by key, 5 a request": { rate: 30 },
  "events by website id": { rate: 30 },
  "dashboard, four questions": { rate: 1 },
  "login of the owner": { rate: 0.2 },
} as const
type Client = keyof typeof clients
/** Too few logins for a percentile, and most of their time is the hash of the password. */
const measured: Client[] = ["events by key, 5 a request", "events by website id", "dashboard, four questions"]

interface HonestOrder extends Target {
  seconds: number
  /** Begins the ids of its events. */
  phase: string
  honestKey: string
}

interface HonestReport {
  /** ms of each request, from when it was due. */
  waits: Record<Client, number[]>
  /** Answers that were no success, by client and status. */
  failures: Record<string, number>
  /** Ids of the events that were answered with success. */
  stored: string[]
}

async function sendHonest({ port, phase, seconds, ...order }: HonestOrder): Promise<HonestReport> {
  const random = picker(mulberry32(1))
  const url = `http://127.0.0.1:${port}`
  const waits = Object.fromEntries(
    Object.keys(clients).map((name) => [name, [] as number[]]),
  ) as HonestReport["waits"]
  const failures: Record<string, number> = {}
  const stored: string[] = []
  let cookie = ""
  const event = (id: string) => ({
    eventId: id,
    name: random.of(names),
    websiteId: order.websiteId,
    anonymousId: `visitor ${random.whole(0, 999)}`,
    sessionId: `session ${random.whole(0, 4_999)}`,
    path: `/page/${random.whole(0, 20)}`,
    properties: { plan: random.of(["free", "pro"]), price: random.whole(1, 100) },
  })
  const post = (path: string, body: unknown, headers: Record<string, string>) =>
    fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    })
  const sendEvents = async (ids: string[], path: string, headers: Record<string, string>) => {
    const events = ids.map(event)
    const response = await post(path, events.length === 1 ? events[0] : events, headers)
    await response.arrayBuffer()
    if (response.status === 200) stored.push(...ids)
    return response.status
  }
  const login = async () => {
    const response = await post(
      "/v1/login",
      { email: order.email, password },
      { "x-databuddy-page": "1", "x-forwarded-for": "203.0.113.250" },
    )
    await response.arrayBuffer()
    cookie = response.headers.get("set-cookie")?.split(";")[0] ?? cookie
    return response.status
  }
  const page = ["custom_events_summary", "custom_events", "custom_events_trends", "custom_events_by_path"]
  const send: Record<Client, (index: number) => Promise<number>> = {
    "events by key, 5 a request": (index) =>
      sendEvents(
        Array.from({ length: 5 }, (_, n) => `${phase} key ${index} ${n}`),
        "/track",
        { authorization: `Bearer ${order.honestKey}`, "x-forwarded-for": sharedAddress },
      ),
    "events by website id": (index) =>
      sendEvents([`${phase} page ${index}`], `/track?website_id=${order.websiteId}`, {
        origin: `https://${domain}`,
        "x-forwarded-for": index % 10 === 0 ? sharedAddress : `203.0.113.${1 + (index % 50)}`,
      }),
    "dashboard, four questions": async () => {
      const response = await post(
        `/v1/query?website_id=${order.websiteId}&timezone=UTC`,
        { parameters: page, preset: "last_7d" },
        { cookie, "x-databuddy-page": "1", "x-forwarded-for": "203.0.113.250" },
      )
      const answer = (await response.json()) as { data?: { success: boolean }[] }
      return answer.data?.every(({ success }) => success) ? response.status : -response.status
    },
    "login of the owner": login,
  }
  await login()
  await Promise.all(
    (Object.keys(clients) as Client[]).map(async (client) => {
      const { rate } = clients[client]
      const requests: Promise<void>[] = []
      const started = performance.now()
      for (let index = 0; index / rate < seconds; index++) {
        const due = started + (index * 1_000) / rate
        await Bun.sleep(Math.max(0, due - performance.now()))
        const result = send[client](index).catch((error: Error) => error.name)
        requests.push(
          result.then((status) => {
            waits[client].push(performance.now() - due)
            if (status === 200) return
            const name = `${client}: ${status}`
            failures[name] = (failures[name] ?? 0) + 1
          }),
        )
      }
      await Promise.all(requests)
    }),
  )
  return { waits, failures, stored }
}

/** Runs a part of this file in a process of its own and gives what it prints. */
async function inProcess<Report>(part: string, order: unknown, niceness = 0): Promise<Report> {
  const args = [process.execPath, import.meta.path, part, JSON.stringify(order)]
  const child = Bun.spawn(niceness > 0 ? ["nice", "-n", String(niceness), ...args] : args, {
    stdout: "pipe",
    stderr: "inherit",
  })
  return JSON.parse(await child.stdout.text()) as Report
}

/** MB; `peak`: the most ever. */
function memoryOf({ pid }: Server): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const field = (name: string) =>
    Math.round((Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1_024) / 1e6)
  return { now: field("VmRSS"), peak: field("VmHWM") }
}

/** Asks /health twice a second until it is stopped. */
function watch(server: Server) {
  const waits: number[] = []
  const asked: Promise<void>[] = []
  let missed = 0
  const ask = async () => {
    const started = performance.now()
    const answer = await fetch(`${server.url}/health`, { signal: AbortSignal.timeout(healthTimeout) }).catch(
      () => undefined,
    )
    if (answer?.status !== 200) missed++
    waits.push(performance.now() - started)
  }
  const timer = setInterval(() => asked.push(ask()), 500)
  return async () => {
    clearInterval(timer)
    await Promise.all(asked)
    return { asked: asked.length, missed, longest: Math.round(Math.max(...waits)) }
  }
}

/** A website, its owner, a share link, keys, and events that have `values` values of a property. */
export async function prepare(server: Server, values: number): Promise<Target & { honestKey: string }> {
  const websiteId = "11111111-1111-4111-8111-111111111111"
  const email = "ada@example.com"
  const created = withDatabase(server.db, (db) => {
    createWebsite(db, websiteId, { domain, name: domain, allowedOrigins: [], anonymize: "off" }, Date.now())
    const keyOf = (id: string, scopes: Scope[]) =>
      createKey(
        db,
        id,
        { name: id, scopes, websites: null, rateLimit: null, expiresAt: null },
        (bytes) => crypto.getRandomValues(bytes),
        Date.now(),
      ).secret
    return {
      honestKey: keyOf("honest", ["track:events"]),
      senderKey: keyOf("sender", ["track:events"]),
      readerKey: keyOf("reader", ["read:data"]),
    }
  })
  const user = Bun.spawnSync([binary, "user", "create", email, "--password-stdin", "--db", server.db], {
    stdin: Buffer.from(`${password}\n`),
  })
  if (user.exitCode !== 0) throw new Error(user.stderr.toString())
  const shared = await fetch(`${server.url}/v1/shares?website_id=${websiteId}`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.key}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "board", path: "events", expiresAt: null }),
  })
  const { link } = (await shared.json()) as { link: string }
  const perRequest = 1_000
  for (let at = 0; at < values; at += perRequest) {
    const events = Array.from({ length: perRequest }, (_, index) => ({
      name: names[index % names.length],
      websiteId,
      timestamp: Date.now() - ((at + index) % 6) * 86_400_000,
      anonymousId: `visitor ${index}`,
      properties: { item: `item ${at + index}`, plan: "pro" },
    }))
    const answer = await fetch(`${server.url}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.key}` },
      body: JSON.stringify(events),
    })
    if (answer.status !== 200) throw new Error(await answer.text())
  }
  const db = openReader(server.db)
  const sealed = db.prepare("select id from sealed").pluck()
  // Fewer than a pass is worth stay unsealed for a minute.
  await eventually(() => (sealed.get() as number) >= values - 9_000, { timeout: 180_000, pause: 500 })
  db.close()
  return { port: server.port, websiteId, share: link.slice("/share/".length), email, values, ...created }
}

/** How many of the events are stored, by their ids. */
function countStored(path: string, ids: readonly string[]): number {
  const db = openReader(path)
  try {
    const known = new Map(
      db
        .prepare("select event_id, count(*) from events where event_id is not null group by event_id")
        .raw()
        .all() as [string, number][],
    )
    return ids.filter((id) => known.get(id) === 1).length
  } finally {
    db.close()
  }
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

const table = (rows: (string | number)[][]) => {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => String(row[column]).length))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => String(cell).padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")
}

async function main(alone: number, attacked: number, chosen: AttackName[]): Promise<number> {
  using folder = temporaryFolder()
  const args = ["--query-memory", String(queryMemory * 1_048_576)]
  const server = await startServer({ db: folder.file("attack.db"), args })
  const print = (text: string) => process.stdout.write(`${text}\n`)
  try {
    print(`prepares; serve ${args.join(" ")}`)
    const target = await prepare(server, 200_000)
    const memoryBefore = memoryOf(server)
    print(`honest clients alone for ${alone} s`)
    const before = await inProcess<HonestReport>("honest", { ...target, seconds: alone, phase: "alone" })
    print(`with ${chosen.length} attacks for ${attacked} s`)
    const stopWatching = watch(server)
    const [during, ...attackReports] = await Promise.all([
      inProcess<HonestReport>("honest", { ...target, seconds: attacked, phase: "attacked" }),
      ...chosen.map((name) =>
        inProcess<AttackReport>("attack", { name, target, seconds: attacked }, attackNiceness),
      ),
    ])
    const health = await stopWatching()
    const memory = memoryOf(server)
    const exit = await server.stop()
    const acknowledged = [...before.stored, ...during.stored]
    const stored = countStored(server.db, acknowledged)
    print("")
    print(
      table([
        ["attack", "a second", "sent", "results", ""],
        ...chosen.map((name, index) => {
          const { sent, results } = attackReports[index] as AttackReport
          const counts = Object.entries(results).map(([result, count]) => `${result}: ${count}`)
          return [name, attacks[name].rate, sent, counts.join(", "), attacks[name].title]
        }),
      ]),
    )
    const sorted = (waits: number[]) => waits.toSorted((one, other) => one - other)
    const latencies = measured.map((client) => {
      const [first, second] = [sorted(before.waits[client]), sorted(during.waits[client])]
      const [p99Before, p99During] = [percentile(first, 0.99), percentile(second, 0.99)]
      return { client, first, second, p99Before, p99During, ratio: p99During / p99Before }
    })
    print("")
    print(
      table([
        ["honest client, ms", "alone p50", "p99", "attacked p50", "p99", "longest", "p99 ratio"],
        ...latencies.map(({ client, first, second, p99Before, p99During, ratio }) => [
          client,
          percentile(first, 0.5).toFixed(1),
          p99Before.toFixed(1),
          percentile(second, 0.5).toFixed(1),
          p99During.toFixed(1),
          (second.at(-1) ?? 0).toFixed(1),
          ratio.toFixed(2),
        ]),
      ]),
    )
    const failures = { ...before.failures, ...during.failures }
    const verdicts: [bound: string, isMet: boolean, found: string][] = [
      ...latencies.map(({ client, ratio }): [string, boolean, string] => [
        `p99 of ${client} under ${mostRatio} times`,
        ratio < mostRatio,
        ratio.toFixed(2),
      ]),
      [
        `memory under ${mostMemory} MB`,
        memory.peak < mostMemory,
        `${memoryBefore.now} MB before, ${memory.peak} MB at most`,
      ],
      [
        "/health answers",
        health.asked > 0 && health.missed === 0,
        `${health.asked - health.missed} of ${health.asked}, the longest after ${health.longest} ms`,
      ],
      [
        "every honest request is answered with success",
        Object.keys(failures).length === 0,
        JSON.stringify(failures),
      ],
      [
        "what was answered is stored once",
        acknowledged.length > 0 && stored === acknowledged.length,
        `${stored} of ${acknowledged.length}`,
      ],
      ["the server stops by itself", exit === 0, `exit code ${exit}`],
    ]
    print("")
    print(table(verdicts.map(([bound, isMet, found]) => [isMet ? "met" : "MISSED", bound, found])))
    return verdicts.every(([, isMet]) => isMet) ? 0 : 1
  } finally {
    await server.kill()
  }
}

if (import.meta.main) {
  const [first = "20", second = "60", ...named] = process.argv.slice(2)
  const finish = async (report: unknown) => {
    await Bun.write(Bun.stdout, JSON.stringify(report))
    process.exit()
  }
  if (first === "honest") await finish(await sendHonest(JSON.parse(second)))
  else if (first === "attack") {
    const { name, target, seconds } = JSON.parse(second)
    await finish(await runAttack(name, target, seconds))
  } else {
    const all = Object.keys(attacks) as AttackName[]
    const chosen = named.length === 0 ? all : all.filter((name) => named.includes(name))
    process.exit(await main(Number(first), Number(second), chosen))
  }
}
