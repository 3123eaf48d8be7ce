// databuddy with one difference: every request is committed and synced alone.
import { createApp } from "../../src/app.ts"
import { Draining } from "../../src/health/draining.ts"
import { parseNetworks } from "../../src/http/address.ts"
import { BodyBudget } from "../../src/http/body.ts"
import { RateLimiter } from "../../src/http/rate-limits.ts"
import { RejectedBytes } from "../../src/http/rejected-bytes.ts"
import { RejectedRequests } from "../../src/http/rejected-requests.ts"
import { CrawlerCheck } from "../../src/ingest/crawler.ts"
import { Requests } from "../../src/metrics/requests.ts"
import { Streams } from "../../src/query-api/stream.ts"
import { EventFollower } from "../../src/store/event-follower.ts"
import { EventInserter } from "../../src/store/events.ts"
import { type Write, Writer } from "../../src/store/ingest/writer.ts"
import { createKey, scopes } from "../../src/store/keys.ts"
import { DailyHash } from "../../src/store/salts.ts"
import { type Environment, Store } from "../../src/store/store.ts"
import { LoginLimits } from "../../src/users/login-limits.ts"

const world: Environment = {
  now: Date.now,
  elapsed: () => performance.now(),
  random: (bytes) => crypto.getRandomValues(bytes),
  pid: process.pid,
}
const limits = { maxEvents: 50_000, maxBytes: 67_108_864, maxWait: 5_000 }
const store = new Store(
  { path: process.env.DATABUDDY_DB as string, durability: "fsync", minFree: 0, ...limits },
  world,
  () => {},
  () => {},
)
const grant = { name: "bench", scopes: [...scopes], websites: null, rateLimit: null, expiresAt: null }
const { secret } = createKey(store.db, "bench", grant, world.random, world.now())
store.registry.refresh()

const dailyHash = new DailyHash(store.db, world.random)
const writer = new Writer(store.db, new EventInserter(store.db, dailyHash), dailyHash)
const batcher = Object.assign(Object.create(store.batcher), {
  submit: async (write: Write) => {
    const [error] = writer.commit([write])
    if (error) throw error
  },
})

const nothing = () => Promise.reject(new Error("nothing is asked"))
const app = createApp({
  db: store.db,
  registry: store.registry,
  batcher,
  profiles: store.profiles,
  ready: () => store.ready(),
  draining: new Draining(),
  limiter: new RateLimiter(world.elapsed),
  loginLimits: new LoginLimits(world.elapsed),
  failures: new RateLimiter(world.elapsed),
  rejectedBytes: new RejectedBytes(2_097_152, world.elapsed),
  bodyBudget: new BodyBudget(67_108_864),
  crawlers: new CrawlerCheck(),
  asker: { admit: nothing, run: nothing, render: nothing, responseBytes: 0 },
  streams: new Streams(new EventFollower(store.db), world.elapsed, () => {}),
  logFault: () => {},
  refusals: new RejectedRequests(() => {}, world.elapsed),
  requests: new Requests(),
  metrics: { contentType: "", text: async () => "" },
  metricsAccess: { token: undefined, local: false },
  https: false,
  now: world.now,
  newId: () => crypto.randomUUID(),
  random: world.random,
  running: { startedAt: world.now(), durability: "fsync", minFree: 0, retain: 0, backups: undefined },
  settings: {
    maxEvents: 1_000,
    maxBodyBytes: 2_097_152,
    rateLimit: 0,
    rateLimitEvents: 0,
    rateLimitBytes: 0,
    trustedProxies: parseNetworks("") as NonNullable<ReturnType<typeof parseNetworks>>,
  },
}).listen({ hostname: "127.0.0.1", port: 0, reusePort: false })
process.stdout.write(`http://127.0.0.1:${app.server?.port} ${secret}\n`)
process.on("SIGTERM", () => process.exit(0))
