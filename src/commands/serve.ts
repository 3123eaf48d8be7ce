import { readFileSync } from "node:fs"
import { createApp, type Deps } from "../app.ts"
import { removeLeftovers } from "../backups/copy.ts"
import { BackupSchedule } from "../backups/schedule.ts"
import { type ServeOptions, standardQueryMemory } from "../config.ts"
import { OutputError, RequestError, UserError } from "../errors.ts"
import { Draining } from "../health/draining.ts"
import { BodyBudget } from "../http/body.ts"
import { jsonHeaders } from "../http/headers.ts"
import { RateLimiter } from "../http/rate-limits.ts"
import { RejectedBytes } from "../http/rejected-bytes.ts"
import { RejectedRequests } from "../http/rejected-requests.ts"
import { requestFaultLog } from "../http/server-errors.ts"
import { CrawlerCheck } from "../ingest/crawler.ts"
import { errorResponse } from "../ingest/responses.ts"
import { createLog, faultLog, type Log } from "../log.ts"
import { Metrics } from "../metrics/metrics.ts"
import { Requests } from "../metrics/requests.ts"
import type { MetricsAccess } from "../metrics/route.ts"
import { WorkerQueryEngine } from "../query/engine/engine.ts"
import type { QuerySpec } from "../query-api/query-spec.ts"
import { Streams } from "../query-api/stream.ts"
import { watchDescriptors } from "../server/descriptors.ts"
import { readTls, type Tls } from "../server/tls.ts"
import type { Db } from "../store/db/driver.ts"
import { databasePath } from "../store/db/file-names.ts"
import { EventFollower } from "../store/event-follower.ts"
import { createInvite } from "../store/invites.ts"
import { createKey, scopes } from "../store/keys.ts"
import { Store } from "../store/store.ts"
import { hasOwner } from "../store/users.ts"
import { createWebsite } from "../store/websites.ts"
import type { Context } from "../terminal/context.ts"
import { newInviteJson } from "../users/input.ts"
import { LoginLimits } from "../users/login-limits.ts"
import { version } from "../version.ts"
import { isOlder, upgrade } from "./migrate.ts"

/** Seconds that a client may take over its request, or hold a connection open without one. */
const idleTimeout = 10
/** ms that requests under way have to finish when the server is told to stop. */
const stopTimeout = 8_000
/** ms between two checks of whether only held requests are left, and how often in a row it must be so: a request counts from its headers on. */
const drainPoll = 20
const drainPolls = 10

/** Serves until a signal comes. The database is then one file, and the promise settles. */
export async function serve(options: ServeOptions, context: Context): Promise<void> {
  const path = databasePath(options.db)
  const log = createLog(
    context.err,
    { level: options.logLevel, readable: context.errIsTerminal },
    context.world.now,
  )
  const metricsAccess = readMetricsAccess(options)
  const tls = readTls(options)
  const unusable = tls?.unusable(context.world.now())
  if (unusable) log("warn", unusable, { cert: options.tlsCert })
  const stopped = context.stopSignal()
  if (isOlder(path) && !(await bringUp(path, stopped, log, context))) return
  const requests = new Requests()
  const refusals = new RejectedRequests(log, context.world.elapsed)
  const { backupDir: folder, backupEvery: every, backupKeep: keep, minFree } = options
  const backups =
    folder === undefined
      ? undefined
      : new BackupSchedule({ db: path, folder, every, keep, minFree }, context, log)
  const startedAt = context.world.now()
  const metrics = new Metrics({
    path,
    backups: backups?.state,
    startedAt,
    requests,
    refusals,
    queued: () => store.batcher.queued,
  })
  const onFault = faultLog(log, context.world.elapsed)
  const store = new Store(
    {
      path,
      durability: options.durability,
      maxEvents: options.queueEvents,
      maxBytes: options.queueBytes,
      maxWait: options.lockWait,
      minFree,
      retain: options.retain,
    },
    context.world,
    onFault,
    (message) => log("warn", message, { db: path }),
    (commit, seconds) => metrics.observe(commit, seconds),
  )
  const draining = new Draining()
  const { now, elapsed } = context.world
  const memory = options.queryMemory ?? standardQueryMemory(context.memory)
  const engine = new WorkerQueryEngine<QuerySpec>({ path, memory, now, elapsed, onFault }, store)
  const streams = new Streams(new EventFollower(store.db), elapsed, onFault)
  try {
    const server = listen(
      options,
      store,
      tls,
      {
        requests,
        refusals,
        metrics,
        metricsAccess,
        draining,
        asker: engine,
        streams,
        running: {
          startedAt,
          durability: options.durability,
          minFree,
          retain: options.retain ?? 0,
          backups: backups && { every, keep, state: backups.state },
        },
      },
      log,
      context,
    )
    const show = (shown: Partial<Welcome>) =>
      context.out(welcome(server.url.origin, path, { link: undefined, first: undefined, tls, ...shown }))
    await setUp(store, options.setup, context, show, onFault)
    removeLeftovers(path, context)
    store.start()
    backups?.start()
    engine.start()
    log("info", "started", { version, url: server.url.origin, db: path, durability: options.durability })
    const unwatch = watchDescriptors(() => server.closeIdleConnections(), log)
    await stopped
    unwatch()
    draining.start()
    const ended = backups?.stop()
    if (options.shutdownDelay > 0) {
      log("info", "stopping: /health and /ready say so, requests are still accepted", {
        ms: options.shutdownDelay,
      })
      await context.sleep(options.shutdownDelay)
    }
    log("info", "stopping: answering what was accepted")
    streams.close()
    await Promise.race([server.stop(), onlyHeldLeft(server, draining, context), context.sleep(stopTimeout)])
    await server.stop(true)
    await ended
  } finally {
    await engine.close()
    const whole = await store.close()
    if (whole) log("info", "stopped: everything is in the one file", { db: path })
    else log("warn", "stopped: the -wal holds some of it, copy both", { db: path, wal: `${path}-wal` })
  }
}

/** Settles when `/health?wait` holds requests and no other is under way; without any, `server.stop()` knows better. */
async function onlyHeldLeft(
  server: { readonly pendingRequests: number },
  draining: Draining,
  { world, sleep }: Context,
): Promise<void> {
  const end = world.elapsed() + stopTimeout
  for (let polls = 0; polls < drainPolls && world.elapsed() < end; await sleep(drainPoll)) {
    polls = draining.held > 0 && server.pendingRequests <= draining.held ? polls + 1 : 0
  }
}

/** Migrates, after a backup. False where the signal to stop came during it: then nothing is changed. */
async function bringUp(path: string, stopped: Promise<void>, log: Log, context: Context): Promise<boolean> {
  let stopping = false
  void stopped.then(() => {
    stopping = true
  })
  log("info", "the database is of an older version: it is backed up, then migrated", { db: path })
  try {
    const { applied, backup } = await upgrade(path, true, context)
    log("info", "migrated", { db: path, applied: applied.join(" "), backup })
    return true
  } catch (error) {
    if (!stopping) throw error
    log("info", "stopped during the backup: the database is as it was", { db: path })
    return false
  }
}

/** The token is read once. Throws a Complaint where there is none in the file. */
function readMetricsAccess({ metrics, metricsTokenFile: file }: ServeOptions): MetricsAccess {
  const local = metrics === "local"
  if (file === undefined) return { token: undefined, local }
  let token: string
  try {
    token = readFileSync(file, "utf8").trim()
  } catch (error) {
    throw new UserError(
      `--metrics-token-file ${file} cannot be read: ${(error as Error).message}`,
      "make the file, readable for the user that databuddy runs as: openssl rand -hex 32 > FILE",
    )
  }
  if (token !== "") return { token, local }
  throw new UserError(
    `--metrics-token-file ${file} is empty`,
    "put a token into it: openssl rand -hex 32 > FILE",
  )
}

function listen(
  options: ServeOptions,
  store: Store,
  tls: Tls | undefined,
  watching: Pick<
    Deps,
    "requests" | "refusals" | "metrics" | "metricsAccess" | "draining" | "asker" | "streams" | "running"
  >,
  log: Log,
  context: Context,
) {
  const { world } = context
  const logFault = requestFaultLog(log, world.elapsed)
  const app = createApp({
    db: store.db,
    registry: store.registry,
    batcher: store.batcher,
    profiles: store.profiles,
    ready: () => store.ready(),
    limiter: new RateLimiter(world.elapsed),
    loginLimits: new LoginLimits(world.elapsed),
    failures: new RateLimiter(world.elapsed),
    rejectedBytes: new RejectedBytes(options.maxBody, world.elapsed),
    bodyBudget: new BodyBudget(options.queueBytes),
    crawlers: new CrawlerCheck(),
    logFault,
    ...watching,
    https: tls !== undefined,
    now: world.now,
    newId: context.newId,
    random: world.random,
    settings: {
      maxEvents: options.maxBatch,
      maxBodyBytes: options.maxBody,
      rateLimit: options.rateLimit,
      rateLimitEvents: options.rateLimitEvents,
      rateLimitBytes: options.rateLimitBytes,
      trustedProxies: options.trustProxy,
    },
  })
  try {
    app.listen({
      hostname: options.host,
      port: options.port,
      ...(tls ? { tls: { cert: tls.cert, key: tls.key } } : {}),
      // A second server would otherwise share the port without a word.
      reusePort: false,
      idleTimeout,
      // Bun's own refusal has no CORS headers; the routes count the bytes themselves.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      // What throws where the app itself answers errors would be shown to the client by Bun, with our source around it.
      development: false,
      error: (error) => {
        logFault(error, {})
        return errorResponse(error, jsonHeaders(context.newId()))
      },
    })
  } catch (error) {
    throw notListening(error, options)
  }
  if (!app.server) throw new Error("the server did not start")
  return app.server
}

/** What the system says of an address that cannot be listened on, in words; anything else as it is. */
function notListening(error: unknown, { host, port }: ServeOptions): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException
  if (code?.startsWith("ERR_OSSL")) {
    return new UserError(
      `--tls-cert and --tls-key cannot be used: ${message}`,
      "put the server's certificate first into the file, those that signed it behind it, all in PEM",
    )
  }
  if (code === "EADDRINUSE") {
    return new UserError(
      `port ${port} on ${host} is taken by another process`,
      "stop that one, or give another --port",
    )
  }
  if (code === "EACCES" || code === "EPERM") {
    return new UserError(
      `--port ${port}: this user may not listen on port ${port} of ${host} (${code})`,
      "give a --port from 1024 on and put a proxy in front, or grant the process CAP_NET_BIND_SERVICE",
    )
  }
  if (syscall === "listen" || syscall === "getaddrinfo") {
    return new UserError(
      `--host ${host} --port ${port} cannot be listened on (${code})`,
      "give --host an address of this machine: 127.0.0.1 is reached from it alone, 0.0.0.0 from all networks",
    )
  }
  return error
}

interface First {
  websiteId: string
  key: string
}

/**
 * Makes what a new database needs, and shows it: the first website, a key that may do everything, and a one-time link with which
 * somebody becomes the owner. What cannot be shown is not made. Throws a Complaint where that is the key.
 */
async function setUp(
  store: Store,
  wanted: boolean,
  context: Context,
  show: (shown: Partial<Welcome>) => void,
  onFault: (error: unknown) => void,
): Promise<void> {
  const { db, batcher, registry } = store
  let unseen: OutputError | undefined
  const showInTransaction = (shown: Partial<Welcome>) => {
    try {
      show(shown)
    } catch (error) {
      if (!(error instanceof OutputError)) throw error
      unseen = error
      // The transaction is undone without being taken for a fault of the disk.
      throw new RequestError("internal", { cause: error })
    }
  }
  if (wanted && registry.isEmpty()) {
    try {
      await batcher.run(() =>
        showInTransaction({ first: createFirst(db, context), link: linkForOwner(db, context) }),
      )
    } catch (error) {
      if (!unseen) throw error
      throw new UserError(
        `the first key cannot be shown: ${unseen.message}`,
        "start it where its output is seen, or with --no-setup and make keys with databuddy key create; none was made",
      )
    }
    registry.refresh()
    return
  }
  try {
    if (wanted) await batcher.run(() => showInTransaction({ link: linkForOwner(db, context) }))
    else show({})
  } catch (error) {
    // A start does not fail for the link, nor for an output that nobody reads.
    onFault(unseen ?? error)
    if (!unseen && !(error instanceof OutputError)) show({})
  }
}

function createFirst(db: Db, { world, newId }: Context): First {
  const settings = { domain: "localhost", name: "localhost", allowedOrigins: [], anonymize: "off" as const }
  const grant = {
    name: "first key",
    scopes: [...scopes],
    websites: null,
    rateLimit: null,
    expiresAt: null,
  }
  const now = world.now()
  const { id: websiteId } = createWebsite(db, newId(), settings, now)
  return { websiteId, key: createKey(db, newId(), grant, world.random, now).secret }
}

/** The path with which somebody becomes the owner, where there is none. */
function linkForOwner(db: Db, { world }: Context): string | undefined {
  if (hasOwner(db)) return undefined
  return newInviteJson(createInvite(db, "setup", null, world.random, world.now())).path
}

interface Welcome {
  /** Path with which somebody becomes the owner. */
  link: string | undefined
  first: First | undefined
  tls: Tls | undefined
}

function welcome(url: string, path: string, { link, first, tls }: Welcome): string {
  const where = `databuddy ${version} listens on ${url} and stores in ${path}\n`
  const address = tls?.addressed(url) ?? url.replace(anyAddress, "$1localhost")
  const login = link === undefined ? "" : toLogIn(address + link)
  const script = first ? toSend(address, first, tls?.curlFlags ?? "") : ""
  return login || script ? `${where}${login}${script}\n` : where
}

/** What listens on all addresses of the machine is not reached by that name everywhere. */
const anyAddress = /^(http:\/\/)(?:0\.0\.0\.0|\[::\])/

function toLogIn(link: string): string {
  return `
To see what comes in, open this and make your login; it works once, for 7 days:

  ${link}
`
}

function toSend(address: string, { key, websiteId }: First, curlFlags: string): string {
  return `
Made a first website, localhost, and a first API key with all scopes. The key is shown this once:

  ${key}

Send an event:

  curl${curlFlags} -X POST "${address}/track?website_id=${websiteId}" -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -d '{"name":"hello","anonymousId":"me","sessionId":"my-visit","properties":{"from":"curl"}}'
`
}
