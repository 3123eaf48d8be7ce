import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createApp, type Deps } from "../../src/app.ts"
import { Draining } from "../../src/health/draining.ts"
import { parseNetworks } from "../../src/http/address.ts"
import { BodyBudget } from "../../src/http/body.ts"
import { RateLimiter } from "../../src/http/rate-limits.ts"
import { RejectedBytes } from "../../src/http/rejected-bytes.ts"
import { RejectedRequests } from "../../src/http/rejected-requests.ts"
import { requestFaultLog } from "../../src/http/server-errors.ts"
import { CrawlerCheck } from "../../src/ingest/crawler.ts"
import type { Log } from "../../src/log.ts"
import { Metrics } from "../../src/metrics/metrics.ts"
import { Requests } from "../../src/metrics/requests.ts"
import { WorkerQueryEngine } from "../../src/query/engine/engine.ts"
import type { QuerySpec } from "../../src/query-api/query-spec.ts"
import { Streams } from "../../src/query-api/stream.ts"
import { EventFollower } from "../../src/store/event-follower.ts"
import { Store } from "../../src/store/store.ts"
import { LoginLimits } from "../../src/users/login-limits.ts"

export interface TestApp {
  store: Store
  /** Sends a request to the app, which listens nowhere. */
  send: (request: Request) => Promise<Response>
  /** The app's clocks, which stand still until they are set: Unix ms, and ms by which a person set the one that tells them ahead. */
  clock: { now: number; ahead: number }
  logged: string[]
  close: () => Promise<void>
}

/** The whole app on a database of its own. `changes` replaces parts of what it works with. */
export function openApp(changes: (deps: Deps) => Partial<Deps> = () => ({})): TestApp {
  const folder = mkdtempSync(join(tmpdir(), "databuddy-test-"))
  const clock = { now: Date.UTC(2026, 7, 1, 12), ahead: 0 }
  const logged: string[] = []
  const log: Log = (level, message, fields) => logged.push(JSON.stringify({ level, message, ...fields }))
  const now = () => clock.now + clock.ahead
  const elapsed = () => clock.now
  const world = {
    now,
    elapsed,
    random: (bytes: Uint8Array) => crypto.getRandomValues(bytes),
    pid: process.pid,
  }
  const path = join(folder, "test.db")
  const requests = new Requests()
  const refusals = new RejectedRequests(log, elapsed)
  const metrics = new Metrics({
    path,
    startedAt: now(),
    requests,
    refusals,
    queued: () => store.batcher.queued,
  })
  const store = new Store(
    {
      path,
      durability: "os",
      maxEvents: 50_000,
      maxBytes: 67_108_864,
      maxWait: 5_000,
      minFree: 0,
    },
    world,
    (error) => logged.push(String(error)),
    (message) => logged.push(message),
    (commit, seconds) => metrics.observe(commit, seconds),
  )
  const trustedProxies = parseNetworks("127.0.0.0/8,::1")
  if (!trustedProxies) throw new Error("the networks are wrong")
  const engine = new WorkerQueryEngine<QuerySpec>(
    { path, memory: 268_435_456, now, elapsed: now, onFault: (error) => logged.push(String(error)) },
    store,
  )
  const streams = new Streams(new EventFollower(store.db), now, (error) => logged.push(String(error)))
  const deps: Deps = {
    asker: engine,
    streams,
    db: store.db,
    registry: store.registry,
    batcher: store.batcher,
    profiles: store.profiles,
    ready: () => store.ready(),
    draining: new Draining(),
    limiter: new RateLimiter(elapsed),
    loginLimits: new LoginLimits(elapsed),
    failures: new RateLimiter(elapsed),
    rejectedBytes: new RejectedBytes(2_097_152, elapsed),
    bodyBudget: new BodyBudget(67_108_864),
    crawlers: new CrawlerCheck(),
    logFault: requestFaultLog(log, elapsed),
    refusals,
    requests,
    metrics,
    metricsAccess: { token: undefined, local: false },
    https: false,
    now,
    newId: () => crypto.randomUUID(),
    random: world.random,
    running: { startedAt: now(), durability: "os", minFree: 0, retain: 0, backups: undefined },
    settings: {
      maxEvents: 1_000,
      maxBodyBytes: 2_097_152,
      rateLimit: 0,
      rateLimitEvents: 0,
      rateLimitBytes: 0,
      trustedProxies,
    },
  }
  const app = createApp({ ...deps, ...changes(deps) })
  return {
    store,
    send: async (request) => app.handle(request),
    clock,
    logged,
    close: async () => {
      streams.close()
      await engine.close()
      await store.close()
      rmSync(folder, { recursive: true })
    },
  }
}
