// databuddy with one difference: each request is committed and synced separately.
import { createApp } from "../../src/app.ts"
import type { Environment } from "../../src/environment.ts"
import { ShutdownState } from "../../src/health/shutdown-state.ts"
import { parseNetworks } from "../../src/http/address.ts"
import { BodyBudget } from "../../src/http/body.ts"
import { LargeBodies } from "../../src/http/large-body.ts"
import { RateLimiter } from "../../src/http/rate-limits.ts"
import { RejectedBytes } from "../../src/http/rejected-bytes.ts"
import { RejectedRequests } from "../../src/http/rejected-requests.ts"
import { AcquisitionContexts } from "../../src/ingest/acquisition.ts"
import { ClientContexts } from "../../src/ingest/client-context.ts"
import { CrawlerCheck } from "../../src/ingest/crawler.ts"
import { PageAddresses } from "../../src/ingest/page-text.ts"
import { RequestCounts } from "../../src/metrics/requests.ts"
import { Streams } from "../../src/query-api/stream.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { EventFollower } from "../../src/store/event-follower.ts"
import { EventInserter } from "../../src/store/events.ts"
import { type Write, Writer } from "../../src/store/ingest/writer.ts"
import { createKey, scopes } from "../../src/store/keys.ts"
import { Store } from "../../src/store/store.ts"
import { LoginLimits } from "../../src/users/login-limits.ts"
import { PasswordHasher } from "../../src/users/password-hash.ts"

const environment: Environment = {
  now: Date.now,
  elapsed: () => performance.now(),
  random: (bytes) => crypto.getRandomValues(bytes),
  pid: process.pid,
}
const limits = { maxEvents: 50_000, maxBytes: 67_108_864, maxWait: 5_000 }
const store = new Store(
  { path: process.env.DATABUDDY_DB as string, durability: "fsync", minFree: 0, ...limits },
  environment,
  { onFault: () => {}, onWarning: () => {} },
)
const grant = { name: "bench", scopes: [...scopes], websites: null, rateLimit: null, expiresAt: null }
const { secret } = createKey(store.db, "bench", grant, environment.random, environment.now())
store.registry.refresh()

const dailyHash = new DailyHash(store.db, environment.random)
const writer = new Writer(store.db, new EventInserter(store.db, dailyHash), dailyHash)
const batcher = Object.assign(Object.create(store.batcher), {
  submit: async (write: Write) => {
    const [error] = writer.commit([write])
    if (error) throw error
  },
})

const nothing = () => Promise.reject(new Error("no queries are expected"))
const noNetworks = parseNetworks("") as NonNullable<ReturnType<typeof parseNetworks>>
const app = createApp({
  db: store.db,
  databaseFiles: store.files,
  registry: store.registry,
  batcher,
  isKnownName: () => true,
  prepareRow: (row) => row,
  profiles: store.profiles,
  ready: () => store.ready(),
  shutdownState: new ShutdownState(),
  limiter: new RateLimiter(environment.elapsed),
  loginLimits: new LoginLimits(environment.elapsed),
  passwords: new PasswordHasher(),
  failures: new RateLimiter(environment.elapsed),
  rejectedBytes: new RejectedBytes(2_097_152, environment.elapsed),
  bodyBudget: new BodyBudget(67_108_864),
  largeBodies: new LargeBodies(() => performance.now()),
  crawlers: new CrawlerCheck(),
  acquisitions: new AcquisitionContexts(),
  pageAddresses: new PageAddresses(),
  clients: new ClientContexts({ trustedProxies: noNetworks, countryHeader: undefined, geoFile: undefined }),
  scriptName: "databuddy.js",
  queryEngine: { admit: nothing, run: nothing, render: nothing, responseBytes: 0 },
  removedEventsOf: nothing,
  removedEvents: undefined,
  streams: new Streams(new EventFollower(store.db), environment.elapsed, () => {}),
  logError: () => {},
  rejectedRequests: new RejectedRequests(() => {}, environment.elapsed),
  requests: new RequestCounts(),
  metrics: { contentType: "", text: async () => "" },
  registrySecret: undefined,
  metricsAccess: { token: undefined, local: false },
  https: false,
  now: environment.now,
  newId: () => crypto.randomUUID(),
  random: environment.random,
  serverState: {
    startedAt: environment.now(),
    durability: "fsync",
    minFree: 0,
    retain: 0,
    backups: undefined,
    offsiteBackups: undefined,
    clickhouse: undefined,
    registry: undefined,
  },
  settings: {
    maxEvents: 1_000,
    maxBodyBytes: 2_097_152,
    rateLimit: 0,
    rateLimitEvents: 0,
    rateLimitBytes: 0,
    trustedProxies: noNetworks,
    basePath: "",
    ingestPath: "",
  },
}).listen({ hostname: "127.0.0.1", port: 0, reusePort: false })
process.stdout.write(`http://127.0.0.1:${app.server?.port} ${secret}\n`)
process.on("SIGTERM", () => process.exit(0))
