import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { printedSchema } from "../../src/clickhouse/schema.ts"
import { createWebsite } from "../../src/store/websites.ts"
import {
  eventually,
  openReader,
  type Server,
  startServer,
  type TemporaryFolder,
  withDatabase,
} from "../harness.ts"
import { freePort, startEngine } from "../support/clickhouse-server.ts"
import { buildClock, compiler, setAhead } from "../support/clock.ts"
import { askAll, type Entry, expectSame, type Tools } from "./clickhouse-query-server.ts"

// Faults of a cluster. Each test has its own SQLite file and its own database in the cluster. It checks that no event
// is lost or counted twice, and that the server keeps accepting events.

/** For `eventually`, in ms. */
const patient = { timeout: 300_000, pause: 100 }
/** Size of the disk that fills up, in MiB. */
const diskMegabytes = 400
/** Bytes left free on that disk: enough for the engine to start, but not for an insert. */
const leftBytes = 1_500_000
/** How far databuddy's clock is ahead of the cluster's, in seconds. */
const skews = [10_800, -10_800]
/** Delay of each request to a slow cluster, in ms. */
const slowness = 3_000
/** Number of events that arrive while the cluster is down. */
const outageEvents = 200_000

type FaultTools = Pick<
  Tools,
  "port" | "databuddy" | "report" | "drained" | "track" | "stopEngine" | "startEngine"
>

/** A SQLite file whose events are shipped to a database of the engine. */
interface Shop {
  db: string
  url: string
  serve: (env?: Record<string, string>) => Promise<Server>
  /** Throws if the file and the cluster differ. Returns the number of events compared. */
  agree: () => number
}

export async function testClusterFaults(folder: TemporaryFolder, tools: FaultTools): Promise<void> {
  const { port, databuddy, report, drained, track, stopEngine, startEngine: restartEngine } = tools
  const succeed = (...args: string[]) => {
    const { exitCode, stdout, stderr } = databuddy(args)
    if (exitCode !== 0) throw new Error(`${args.join(" ")}: ${stderr}${stdout}`)
    return stdout
  }
  const shopAt = (name: string, enginePort: number): Shop => {
    const db = folder.file(`${name}.db`)
    const url = `http://127.0.0.1:${enginePort}/${name}`
    withDatabase(db, (open) => {
      const settings = { domain: "shop.example", name, allowedOrigins: [], anonymize: "off" as const }
      createWebsite(open, "shop", settings, Date.now())
    })
    const limits = ["--rate-limit", "0", "--rate-limit-events", "0", "--rate-limit-bytes", "0"]
    return {
      db,
      url,
      serve: (env = {}) =>
        startServer({ db, env, args: [...limits, "--metrics", "local", "--clickhouse", url] }),
      agree: () => {
        const text = succeed("clickhouse", "compare", "--clickhouse", url, "--db", db, "--json")
        const { compared } = JSON.parse(text)
        if (compared.differences.length > 0) throw new Error(JSON.stringify(compared.differences))
        return compared.events
      },
    }
  }
  /** Tracks events until the server reports that shipping fails. Returns the error and the number of events. */
  const trackUntilFailure = async (server: Server): Promise<{ error: string; events: number }> => {
    let events = 0
    const failure = () =>
      /"message":"events are not shipped".*?"error":"(.*?)"[,}]/.exec(server.output())?.[1]
    await eventually(async () => {
      events += await track(server, 2_000)
      return failure() !== undefined
    }, patient)
    const error = failure() ?? ""
    const ready = await fetch(`${server.url}/ready`)
    if (ready.status !== 200) throw new Error(`/ready responded with ${ready.status}`)
    return { error, events }
  }

  await report(
    "when one of two shards dies, events wait, SQLite answers queries, and nothing is lost or duplicated",
    async () => {
      await using shards = await startShards(folder)
      const shop = shopAt("shards", shards.port)
      await shards.createTables("shards")
      let expected = 0
      await using server = stopping(await shop.serve())
      expected += await track(server.value, 20_000)
      await drained(server.value)
      const parts = await shards.counts("shards")
      if (parts.some((count) => count < 5_000)) throw new Error(`the shards have ${parts} events`)
      const key = await keyOf(shop, databuddy)
      const before = await askAll(server.value, key)
      expectSame(before, before, /^clickhouse/)
      let errors = ""
      for (let kill = 0; kill < 3; kill++) {
        // The kill should hit an insert that is in flight or has just been acknowledged.
        const sending = sendingId(shop.db)
        expected += await track(server.value, 20_000)
        await eventually(() => sendingId(shop.db) > sending, { ...patient, pause: 2 })
        await shards.killSecond()
        const { error, events } = await trackUntilFailure(server.value)
        expected += events
        errors = error
        const answers = await askAll(server.value, key)
        expectSame(answers, answers, /^(?!clickhouse)/)
        await shards.startSecond()
        await drained(server.value)
      }
      const compared = shop.agree()
      const counts = await shards.counts("shards")
      const sum = counts.reduce((total, count) => total + count, 0)
      if (compared !== expected || sum !== expected)
        throw new Error(`${expected} events were sent, ${compared} compared, ${counts} counted`)
      let answers: Entry[] = []
      await eventually(async () => {
        answers = await askAll(server.value, key)
        return answers[0]?.meta?.source.startsWith("clickhouse")
      }, patient)
      await server[Symbol.asyncDispose]()
      await using local = stopping(await startServer({ db: shop.db, args: [] }))
      expectSame(await askAll(local.value, key), answers, /^(?!clickhouse)/)
      return `${expected} events, ${counts.join(" and ")} on the shards; ${errors}`
    },
  )

  await report("when the cluster's disk is full, events wait until there is space again", async () => {
    const data = folder.file("small")
    mkdirSync(data)
    const mount = ["mount", "-t", "tmpfs", "-o", `size=${diskMegabytes}m`, "tmpfs", data]
    if (Bun.spawnSync(mount).exitCode !== 0) return "skipped: a small disk cannot be mounted"
    const enginePort = await freePort()
    let engine = await startEngine(`${data}/engine`, enginePort)
    try {
      const shop = shopAt("full", enginePort)
      succeed("clickhouse", "migrate", "--clickhouse", shop.url)
      await using server = stopping(await shop.serve())
      let expected = await track(server.value, 20_000)
      await drained(server.value)
      fillDisk(data)
      const { error, events } = await trackUntilFailure(server.value)
      expected += events
      // The engine also starts on a full disk.
      await engine.kill()
      rmSync(`${data}/ballast`)
      engine = await startEngine(`${data}/engine`, enginePort)
      await drained(server.value)
      const compared = shop.agree()
      if (compared !== expected) throw new Error(`${expected} events were sent, ${compared} compared`)
      return `${expected} events; ${error}`
    } finally {
      await engine.kill()
      Bun.spawnSync(["umount", "--lazy", data])
    }
  })

  await report("clocks that differ by three hours do not affect results", async () => {
    if (compiler === null) return "skipped: there is no C compiler"
    const clock = buildClock(folder.path)
    const shop = shopAt("skew", port)
    succeed("clickhouse", "migrate", "--clickhouse", shop.url)
    const key = await keyOf(shop, databuddy)
    let expected = 0
    setAhead(clock.CLOCK_FILE, 0)
    for (const skew of skews) {
      setAhead(clock.CLOCK_FILE, skew)
      await using server = stopping(await shop.serve(clock))
      expected += await track(server.value, 5_000)
      await drained(server.value)
      const answers = await askAll(server.value, key)
      expectSame(answers, answers, /^clickhouse/)
      // The clock is corrected while the server runs.
      setAhead(clock.CLOCK_FILE, 0)
      expected += await track(server.value, 5_000)
      withDatabase(shop.db, (open) => open.exec("delete from event_rows where id % 500 = 7"))
      await drained(server.value)
      const all = await askAll(server.value, key)
      await server[Symbol.asyncDispose]()
      await using local = stopping(await startServer({ db: shop.db, args: [], env: clock }))
      expectSame(await askAll(local.value, key), all, /^(?!clickhouse)/)
    }
    return `${shop.agree()} of ${expected} events are left after deletions`
  })

  await report("a slow cluster does not slow down ingestion, and receives every event", async () => {
    await using slow = startSlowProxy(port)
    const direct = shopAt("slow", port)
    succeed("clickhouse", "migrate", "--clickhouse", direct.url)
    const shop = { ...direct, url: `http://127.0.0.1:${slow.port}/slow` }
    const limits = ["--rate-limit", "0", "--rate-limit-events", "0", "--rate-limit-bytes", "0"]
    await using server = stopping(
      await startServer({
        db: shop.db,
        args: [...limits, "--metrics", "local", "--clickhouse", shop.url],
      }),
    )
    let longest = 0
    let expected = 0
    for (let round = 0; round < 60; round++) {
      const begin = performance.now()
      expected += await track(server.value, 1_000)
      longest = Math.max(longest, performance.now() - begin)
    }
    if (longest > slowness) throw new Error(`a request took ${longest} ms`)
    await drained(server.value)
    if (direct.agree() !== expected) throw new Error(`${expected} events were sent`)
    return `${expected} events, ${slow.requests()} requests of ${slowness / 1_000} s; the longest of 60 requests with 1,000 events took ${Math.round(longest)} ms`
  })

  await report("events are accepted during a long outage, even after a restart of the server", async () => {
    const shop = shopAt("gone", port)
    succeed("clickhouse", "migrate", "--clickhouse", shop.url)
    let server = await shop.serve()
    let expected = await track(server, 1_000)
    await drained(server)
    await stopEngine()
    expected += (await trackUntilFailure(server)).events
    expected += await track(server, outageEvents / 2)
    const failures = server.output().split('"message":"events are not shipped"').length - 1
    await server.stop()
    server = await shop.serve()
    expected += await track(server, outageEvents / 2)
    await restartEngine()
    const begin = performance.now()
    await drained(server)
    const seconds = (performance.now() - begin) / 1_000
    const compared = shop.agree()
    await server.stop()
    if (compared !== expected) throw new Error(`${expected} events were sent, ${compared} compared`)
    if (failures > 2) throw new Error(`the outage was logged ${failures} times`)
    return `${expected} events, all of them shipped ${seconds.toFixed(0)} s after the cluster returned`
  })
}

async function keyOf({ db }: Shop, databuddy: Tools["databuddy"]): Promise<string> {
  const scope = ["--scope", "read:data", "--name", "faults", "--db", db, "--json"]
  const { exitCode, stdout, stderr } = databuddy(["key", "create", ...scope])
  if (exitCode !== 0) throw new Error(stderr)
  return (JSON.parse(stdout) as { key: string }).key
}

function stopping(value: Server): AsyncDisposable & { value: Server } {
  return { value, [Symbol.asyncDispose]: async () => void (await value.stop()) }
}

function sendingId(db: string): number {
  const reader = openReader(db)
  try {
    return (reader.prepare("select sending_id from shipping").pluck().get() as number | null) ?? 0
  } finally {
    reader.close()
  }
}

/** Fills a disk, leaving `leftBytes` free. */
function fillDisk(path: string): void {
  const { stdout } = Bun.spawnSync(["df", "--block-size=1", "--output=avail", path])
  const free = Number(stdout.toString().split("\n")[1])
  writeFileSync(`${path}/ballast`, Buffer.alloc(free - leftBytes))
}

/** Starts a proxy in front of the engine that delays each request. */
function startSlowProxy(port: number): AsyncDisposable & { port: number; requests: () => number } {
  let requests = 0
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    maxRequestBodySize: 1e9,
    fetch: async (request) => {
      requests++
      const { search } = new URL(request.url)
      const body = await request.arrayBuffer()
      await Bun.sleep(slowness)
      const answer = await fetch(`http://127.0.0.1:${port}/${search}`, {
        method: "POST",
        headers: { "Content-Type": request.headers.get("content-type") ?? "" },
        body,
      })
      // The headers are dropped, because `fetch` has already decompressed the body.
      return new Response(await answer.arrayBuffer(), { status: answer.status })
    },
  })
  return {
    port: server.port ?? 0,
    requests: () => requests,
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

interface Shards extends AsyncDisposable {
  /** Port of the first shard, to which databuddy connects. */
  port: number
  createTables: (database: string) => Promise<void>
  /** Returns the number of distinct events on each shard. */
  counts: (database: string) => Promise<number[]>
  killSecond: () => Promise<void>
  startSecond: () => Promise<void>
}

/**
 * Starts two engines, each a shard of the cluster `main`. The library supports neither replicas nor `on cluster`, so
 * both are removed from the statements of `migrate --print`. Deletions are not tested, because they need `on cluster`.
 */
async function startShards(folder: TemporaryFolder): Promise<Shards> {
  const ports = [await freePort(), await freePort()] as const
  const tcp = [await freePort(), await freePort()] as const
  const config = folder.file("cluster.xml")
  const shard = (number: number) =>
    `<shard><internal_replication>true</internal_replication><replica><host>127.0.0.1</host><port>${number}</port></replica></shard>`
  writeFileSync(
    config,
    `<clickhouse><remote_servers><main>${tcp.map(shard).join("")}</main></remote_servers></clickhouse>`,
  )
  const start = (index: 0 | 1) =>
    startEngine(folder.file(`shard-${index}`), ports[index], { tcp: tcp[index], config })
  const first = await start(0)
  let second = await start(1)
  const query = async (port: number, database: string, statement: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/?database=${database}`, {
      method: "POST",
      body: statement,
    })
    const text = await response.text()
    if (response.status !== 200) throw new Error(text)
    return text
  }
  return {
    port: ports[0],
    createTables: async (database) => {
      const address = { url: "", user: "default", database }
      const statements = printedSchema(address, "main")
        .replaceAll(/ on cluster 'main'/g, "")
        .replaceAll(/ReplicatedReplacingMergeTree\('[^']*', '[^']*'(?:, (\w+))?\)/g, "ReplacingMergeTree($1)")
        .split(";\n")
        .filter((statement) => !/^\s*(?:use .*)?$/.test(statement))
      for (const port of ports) {
        const [create = "", ...others] = statements
        await query(port, "default", create)
        for (const statement of others) await query(port, database, statement)
      }
    },
    counts: async (database) =>
      Promise.all(
        ports.map(async (port) =>
          Number(await query(port, database, "select count() from events_local final")),
        ),
      ),
    killSecond: () => second.kill(),
    startSecond: async () => {
      second = await start(1)
    },
    [Symbol.asyncDispose]: async () => {
      await first.kill()
      await second.kill()
    },
  }
}
