// npm run test:attack [-- --rounds 3 --alone 10 --attacked 20 --each] [attack]…: runs rounds of honest clients, alone
// and with all attacks of attacks.ts (or the named ones) at once. Prints how the honest clients were affected, and
// fails if a bound is not met. `--each` runs the attacks one after another instead, to find the expensive ones, and
// checks no bounds. Linux only, because it reads /proc.
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
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
import {
  countStored,
  emptyPhase,
  type Phase,
  percentile,
  percentiles,
  perSecond,
  resetPeak,
  table,
  usageOf,
} from "./attack-report.ts"
import { type AttackName, type AttackReport, attacks, runAttack, type Target } from "./attacks.ts"
import {
  type Client,
  domain,
  type HonestOrder,
  type HonestReport,
  measuredClients,
  names,
  password,
  sendHonest,
} from "./honest-clients.ts"

/** MiB: the default of `serve` on a machine with 1 GB. */
const queryMemory = 128
/** Maximum MB that the process may use at any time. */
const maxMemory = 400
/** Maximum factor by which the p99 of an honest client may grow. */
const maxRatio = 5
/** ms within which /health must answer. */
const healthTimeout = 10_000
/** ms between two phases, in which the server ends the requests of attackers that have disconnected. */
const pause = 2_000
/** Distinct values of the property that the attackers' queries group by. */
const distinctValues = 200_000

/** The attackers stand in for other machines, so they get only CPU time that nobody else uses. */
const lowestPriority = ["chrt", "--idle", "0"]

const print = (text: string) => process.stdout.write(`${text}\n`)

/** Runs a part of this file in a separate process. */
function startPart(part: string, order: unknown, { prefix = [] as string[], detached = false } = {}) {
  return Bun.spawn([...prefix, process.execPath, import.meta.path, part, JSON.stringify(order)], {
    detached,
    stdout: "pipe",
    stderr: "inherit",
    // One process holds the connections of all attacks.
    env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: "4096" },
  })
}

async function honestReport(order: HonestOrder): Promise<HonestReport> {
  const child = startPart("honest", order)
  return JSON.parse(await child.stdout.text()) as HonestReport
}

/** Runs `during` while the attacks run. */
async function underAttack<Result>(
  chosen: AttackName[],
  target: Target,
  during: () => Promise<Result>,
): Promise<{ result: Result; reports: Partial<Record<AttackName, AttackReport>> }> {
  const child = startPart("attack", { chosen, target }, { prefix: lowestPriority, detached: true })
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader()
  let output = ""
  const read = async () => {
    const { done, value } = await reader.read()
    output += value ?? ""
    return !done
  }
  while (!output.includes("ready\n")) if (!(await read())) throw new Error("the attackers ended")
  const result = await during()
  child.kill("SIGTERM")
  while (await read());
  return { result, reports: JSON.parse(output.slice(output.indexOf("\n"))) }
}

/** Requests /health twice a second until it is stopped. */
function watchHealth(url: string) {
  const waits: number[] = []
  const requests: Promise<void>[] = []
  let missed = 0
  const send = async () => {
    const started = performance.now()
    const signal = AbortSignal.timeout(healthTimeout)
    const response = await fetch(`${url}/health`, { signal }).catch(() => undefined)
    if (response?.status !== 200) missed++
    waits.push(performance.now() - started)
  }
  const timer = setInterval(() => requests.push(send()), 500)
  return async () => {
    clearInterval(timer)
    await Promise.all(requests)
    return { sent: requests.length, missed, longest: Math.round(Math.max(...waits)) }
  }
}

/** Creates a website, its owner, a share link, keys, and events with `values` distinct values of a property. */
async function prepare(server: Server, values: number): Promise<Target & { honestKey: string }> {
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
  // Rows that are too few for a sealing pass stay unsealed for a minute.
  await eventually(() => (sealed.get() as number) >= values - 9_000, { timeout: 180_000, pause: 500 })
  db.close()
  return { port: server.port, websiteId, share: link.slice("/share/".length), email, values, ...created }
}

/** Runs the honest clients for one phase and adds their results to `phase`. */
async function measure(phase: Phase, server: Pick<Server, "pid">, order: HonestOrder): Promise<void> {
  resetPeak(server)
  const [before, started] = [usageOf(server), performance.now()]
  const { waits, failures, stored } = await honestReport(order)
  const after = usageOf(server)
  phase.seconds += (performance.now() - started) / 1_000
  for (const key of ["main", "waiting", "others"] as const) phase.usage[key] += after[key] - before[key]
  phase.usage.peak = Math.max(phase.usage.peak, after.peak)
  for (const client of Object.keys(waits) as Client[]) phase.waits[client].push(...waits[client])
  for (const [name, count] of Object.entries(failures))
    phase.failures[name] = (phase.failures[name] ?? 0) + count
  phase.stored.push(...stored)
}

/**
 * Starts a server that only reads bodies and responds. Its results show the effect of the load generators and the
 * machine.
 */
function startFloor() {
  const child = Bun.spawn([process.execPath, import.meta.path, "floor"], {
    stdout: "pipe",
    stderr: "inherit",
  })
  const port = child.stdout
    .getReader()
    .read()
    .then(({ value }) => Number(new TextDecoder().decode(value)))
  return { pid: child.pid, port, kill: () => child.kill() }
}

function serveFloor(): void {
  const headers = { "set-cookie": "a=b" }
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      await request.arrayBuffer()
      return new Response('{"data":[]}', { headers })
    },
  })
  print(String(server.port))
}

interface Settings {
  alone: number
  attacked: number
  rounds: number
  chosen: AttackName[]
}

/** Runs rounds of honest clients alone and under attack. */
async function runRounds(
  server: Pick<Server, "pid">,
  target: Target & { honestKey: string },
  { alone, attacked, rounds, chosen }: Settings,
) {
  const [before, during] = [emptyPhase(), emptyPhase()]
  const reports: Partial<Record<AttackName, AttackReport>> = {}
  for (let round = 0; round < rounds; round++) {
    await measure(before, server, { ...target, seconds: alone, phase: `alone ${round} ${chosen}` })
    const order = { ...target, seconds: attacked, phase: `attacked ${round} ${chosen}` }
    const { reports: added } = await underAttack(chosen, target, () => measure(during, server, order))
    for (const name of chosen) {
      const sum = reports[name] ?? { sent: 0, results: {} }
      reports[name] = sum
      sum.sent += added[name]?.sent ?? 0
      for (const [result, count] of Object.entries(added[name]?.results ?? {}))
        sum.results[result] = (sum.results[result] ?? 0) + count
    }
    await Bun.sleep(pause)
  }
  return { before, during, reports }
}

/** Runs each attack by itself and prints what it costs. */
async function runEach(server: Server, target: Target & { honestKey: string }, settings: Settings) {
  const usageColumns = ["main ms/s", "waits ms/s", "others ms/s"]
  print(
    table([
      [
        "attack".padEnd(16),
        "events p50",
        "p99  ",
        "dashboard p50",
        "p99    ",
        ...usageColumns,
        "peak MB",
        "results",
      ],
    ]),
  )
  const row = (name: string, phase: Phase, results = {}) =>
    print(
      [
        name.padEnd(16),
        ...percentiles(phase, "events by website id").map((text) => text.padEnd(10)),
        ...percentiles(phase, "dashboard, four queries").map((text) => text.padEnd(10)),
        ...perSecond(phase).map((number) => String(number).padEnd(9)),
        String(Math.round(phase.usage.peak)).padEnd(7),
        JSON.stringify(results),
      ].join("  "),
    )
  for (const name of settings.chosen) {
    const { before, during, reports } = await runRounds(server, target, {
      ...settings,
      rounds: 1,
      chosen: [name],
    })
    row("  (alone)", before)
    row(name, during, reports[name])
  }
}

async function main({ isEach, ...settings }: Settings & { isEach: boolean }): Promise<number> {
  using folder = temporaryFolder()
  const args = ["--query-memory", String(queryMemory * 1_048_576)]
  const server = await startServer({ db: folder.file("attack.db"), args })
  const floor = startFloor()
  try {
    print(`preparing; serve ${args.join(" ")}`)
    const target = await prepare(server, distinctValues)
    if (isEach) {
      await runEach(server, target, settings)
      return 0
    }
    const { chosen, rounds, alone, attacked } = settings
    print(
      `${rounds} rounds: honest clients alone for ${alone} s, with ${chosen.length} attacks for ${attacked} s`,
    )
    const prepared = Math.round(usageOf(server).peak)
    const stopWatching = watchHealth(server.url)
    const { before, during, reports } = await runRounds(server, target, settings)
    const health = await stopWatching()
    const exit = await server.stop()
    print("the same against a server that does nothing")
    const idle = await runRounds(floor, { ...target, port: await floor.port }, { ...settings, rounds: 1 })
    const acknowledged = [...before.stored, ...during.stored]
    const stored = countStored(server.db, acknowledged)
    print("")
    print(
      table([
        ["attack", "per second", "sent", "results", ""],
        ...chosen.map((name) => {
          const { sent = 0, results = {} } = reports[name] ?? {}
          const counts = Object.entries(results).map(([result, count]) => `${result}: ${count}`)
          return [name, attacks[name].rate, sent, counts.join(", "), attacks[name].title]
        }),
      ]),
    )
    const latencies = measuredClients.map((client) => {
      const [p99Before, p99During] = [before, during].map(({ waits }) => percentile(waits[client], 0.99))
      return { client, ratio: (p99During ?? Number.NaN) / (p99Before ?? Number.NaN) }
    })
    print("")
    print(
      table([
        [
          "honest client, ms",
          "alone p50",
          "p99",
          "attacked p50",
          "p99",
          "longest",
          "p99 ratio",
          "floor p99",
          "attacked p99",
        ],
        ...latencies.map(({ client, ratio }) => [
          client,
          ...percentiles(before, client),
          ...percentiles(during, client),
          Math.max(...during.waits[client]).toFixed(1),
          ratio.toFixed(2),
          percentile(idle.before.waits[client], 0.99).toFixed(1),
          percentile(idle.during.waits[client], 0.99).toFixed(1),
        ]),
      ]),
    )
    print("")
    print(
      table([
        ["server, ms per second", "main thread", "waits for a core", "other threads", "peak MB"],
        ...(
          [
            ["alone", before],
            ["attacked", during],
            ["floor attacked", idle.during],
          ] as const
        ).map(([name, phase]) => [name, ...perSecond(phase), Math.round(phase.usage.peak)]),
      ]),
    )
    const failures = { ...before.failures, ...during.failures }
    const peak = Math.round(Math.max(prepared, before.usage.peak, during.usage.peak))
    const verdicts: [bound: string, isMet: boolean, found: string][] = [
      ...latencies.map(({ client, ratio }): [string, boolean, string] => [
        `p99 of ${client} under ${maxRatio} times`,
        ratio < maxRatio,
        ratio.toFixed(2),
      ]),
      [`memory under ${maxMemory} MB`, peak < maxMemory, `${prepared} MB before, ${peak} MB at most`],
      [
        "/health answers",
        health.sent > 0 && health.missed === 0,
        `${health.sent - health.missed} of ${health.sent}, the longest after ${health.longest} ms`,
      ],
      [
        "every honest request is answered with success",
        Object.keys(failures).length === 0,
        JSON.stringify(failures),
      ],
      [
        "each acknowledged event is stored once",
        acknowledged.length > 0 && stored === acknowledged.length,
        `${stored} of ${acknowledged.length}`,
      ],
      ["the server stops by itself", exit === 0, `exit code ${exit}`],
    ]
    print("")
    print(table(verdicts.map(([bound, isMet, found]) => [isMet ? "met" : "MISSED", bound, found])))
    return verdicts.every(([, isMet]) => isMet) ? 0 : 1
  } finally {
    floor.kill()
    await server.kill()
  }
}

/** Runs the attacks until SIGTERM, then prints their reports. */
async function runAttacks({ chosen, target }: { chosen: AttackName[]; target: Target }): Promise<void> {
  try {
    // Linux first divides CPU time among sessions, and priorities count only within a session. This process has its own
    // session, so the priority of that session is lowered too.
    writeFileSync("/proc/self/autogroup", "19")
  } catch {
    // The kernel does not group processes by session.
  }
  const running = chosen.map((name) => [name, runAttack(name, target)] as const)
  print("ready")
  for (const [, { start }] of running) start()
  await new Promise((resolve) => process.once("SIGTERM", resolve))
  const reports = Object.fromEntries(running.map(([name, { report }]) => [name, report()]))
  await Bun.write(Bun.stdout, JSON.stringify(reports))
  process.exit()
}

if (import.meta.main) {
  const [part, order = "{}"] = process.argv.slice(2)
  if (part === "floor") serveFloor()
  else if (part === "attack") await runAttacks(JSON.parse(order))
  else if (part === "honest") {
    await Bun.write(Bun.stdout, JSON.stringify(await sendHonest(JSON.parse(order))))
    process.exit()
  } else {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: "string", default: "3" },
        alone: { type: "string", default: "10" },
        attacked: { type: "string", default: "20" },
        each: { type: "boolean", default: false },
      },
    })
    const all = Object.keys(attacks) as AttackName[]
    const [alone, attacked, rounds] = [Number(values.alone), Number(values.attacked), Number(values.rounds)]
    const chosen = positionals.length === 0 ? all : all.filter((name) => positionals.includes(name))
    process.exit(await main({ alone, attacked, rounds, chosen, isEach: values.each }))
  }
}
