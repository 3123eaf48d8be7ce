import { edenGC, heapSize } from "bun:jsc"
import { type AppDeps, createApp } from "../app.ts"
import type { ClusterQueryLimits } from "../clickhouse/query/cluster-query.ts"
import { ClusterQueryEngine } from "../clickhouse/query/query-thread.ts"
import { type ClusterLogin, ShippingThread } from "../clickhouse/shipping-thread.ts"
import type { Environment } from "../environment.ts"
import { messageOf, RequestError } from "../errors.ts"
import { loadedOnDemand, type RemovedEvents } from "../export/complete-events.ts"
import { ShutdownState } from "../health/shutdown-state.ts"
import { BodyBudget } from "../http/body.ts"
import { LargeBodies } from "../http/large-body.ts"
import { RateLimiter } from "../http/rate-limits.ts"
import { RejectedBytes } from "../http/rejected-bytes.ts"
import { RejectedRequests } from "../http/rejected-requests.ts"
import { serverErrorLog } from "../http/server-errors.ts"
import { AcquisitionContexts } from "../ingest/acquisition.ts"
import { ClientContexts } from "../ingest/client-context.ts"
import { CrawlerCheck } from "../ingest/crawler.ts"
import type { GeoTable } from "../ingest/geo.ts"
import { PageAddresses } from "../ingest/page-text.ts"
import { faultLog, type Log } from "../log.ts"
import { type CertificateState, Metrics } from "../metrics/metrics.ts"
import { RequestCounts } from "../metrics/requests.ts"
import { WorkerQueryEngine } from "../query/engine/engine.ts"
import { queryShare, writerPageCacheKiB } from "../query-api/memory-sizes.ts"
import type { QuerySpec } from "../query-api/query-spec.ts"
import { Streams } from "../query-api/stream.ts"
import { RegistryFollower, type RegistryLogin } from "../registry/follower.ts"
import type { ServeOptions } from "../serve-options.ts"
import type { Db } from "../store/db/driver.ts"
import { EventFollower } from "../store/event-follower.ts"
import type { Person } from "../store/forget.ts"
import { type RemovedEvent, removedText, removedTotals } from "../store/removed-days.ts"
import { Store } from "../store/store.ts"
import { LoginLimits } from "../users/login-limits.ts"
import { PasswordHasher } from "../users/password-hash.ts"
import { HeapCollection } from "./heap-collection.ts"
import { queryMemoryOf } from "./memory-plan.ts"

/** The flags of `serve` that the store and the routes depend on, and values derived from them at startup. */
export type ServerOptions = Pick<
  ServeOptions,
  | "durability"
  | "queueEvents"
  | "queueBytes"
  | "lockWait"
  | "minFree"
  | "retain"
  | "queryMemory"
  | "maxBatch"
  | "maxBody"
  | "rateLimit"
  | "rateLimitEvents"
  | "rateLimitBytes"
  | "trustProxy"
  | "countryHeader"
  | "basePath"
  | "ingestPath"
  | "scriptName"
  | "keepLocal"
  | "node"
> &
  Pick<AppDeps, "metricsAccess"> & {
    /** Path of the database, as resolved by `databasePath`. */
    path: string
    /** The backup schedule, or undefined if there is none. */
    backups: AppDeps["serverState"]["backups"]
    /** The schedule for backups in a bucket, or undefined if there is none. */
    offsiteBackups: AppDeps["serverState"]["offsiteBackups"]
    /** The HTTPS certificate. If undefined, the server uses HTTP. */
    certificate?: CertificateState | undefined
    /** The ClickHouse cluster that events are shipped to, or undefined if there is none. */
    cluster?: ClusterLogin | undefined
    /** Limits for a query in the cluster. If undefined, SQLite answers all queries. */
    clusterQuery?: Pick<ClusterQueryLimits, "seconds" | "bytes"> | undefined
    /** The secret with which other nodes can copy this server's registry. If undefined, they cannot copy it. */
    registrySecret?: string | undefined
    /**
     * The server whose registry this server copies. If undefined, this server has its own registry. If `none`, this
     * server stops copying and keeps the last copy as its own registry.
     */
    registrySource?: RegistryLogin | "none" | undefined
    /** The file set with --geo-db. If undefined, the server uses the built-in country table. */
    geoFile?: GeoTable | undefined
    /** If true, the query thread starts with the first query instead of immediately. */
    queryThreadOnDemand?: boolean | undefined
  }

/** The parts of the process that a server depends on. */
export interface ServerEnvironment extends Environment {
  newId: () => string
  /** Memory that this process can use, in bytes. */
  memory: number
  log: Log
}

/** A server that is not listening yet. */
export interface OpenServer {
  app: ReturnType<typeof createApp>
  /** The dependencies that `app` was created with. */
  deps: AppDeps
  store: Store
  /** Resolves once the query engine has started. Do not accept connections before that. */
  opened: Promise<void>
  /** Starts background work. */
  start: () => void
  /** Ends open event streams, so that they do not delay the shutdown. */
  closeStreams: () => void
  /**
   * Ends streams and queries, commits queued writes and closes the database. Resolves to true if the database is a
   * single file afterwards, without a -wal file.
   */
  close: () => Promise<boolean>
}

/**
 * Opens the database and creates everything that requests need. Throws a UserError if the database cannot be opened.
 */
export function openServer(options: ServerOptions, environment: ServerEnvironment): OpenServer {
  const { path, durability, minFree, backups, offsiteBackups } = options
  const { now, elapsed, random, newId, log } = environment
  const startedAt = now()
  const isShared = options.node !== undefined
  const requests = new RequestCounts()
  const rejectedRequests = new RejectedRequests(log, elapsed)
  const onFault = faultLog(log, elapsed)
  const memory = queryMemoryOf(options, environment.memory)
  const store = new Store(
    {
      path,
      durability,
      pageCacheKiB: writerPageCacheKiB(memory),
      maxEvents: options.queueEvents,
      maxBytes: options.queueBytes,
      maxWait: options.lockWait,
      minFree,
      retain: options.retain,
      node: options.node,
      registryUrl: options.registrySource === "none" ? "none" : options.registrySource?.url,
    },
    environment,
    {
      onFault,
      onWarning: (message) => log("warn", message, { db: path }),
      onCommit: (commit, seconds) => metrics.observeCommit(commit, seconds),
    },
  )
  const shipping =
    options.cluster &&
    new ShippingThread(store, options.cluster, { keepLocal: options.keepLocal, isShared }, environment, log)
  const follower =
    options.registrySource === undefined || options.registrySource === "none"
      ? undefined
      : new RegistryFollower(store, options.registrySource, environment, log)
  const metrics = new Metrics({
    path,
    backups: backups?.state,
    offsiteBackups: offsiteBackups?.state,
    certificate: options.certificate,
    shipping: shipping?.state,
    registry: follower?.state,
    now,
    startedAt,
    requests,
    rejectedRequests,
    queued: () => store.batcher.queued,
  })
  const startsOnDemand = options.queryThreadOnDemand
  const engine = new WorkerQueryEngine<QuerySpec>(
    { path, memory, startsOnDemand, now, elapsed, onFault },
    store,
  )
  const clusterEngine =
    options.cluster && options.clusterQuery
      ? new ClusterQueryEngine(
          engine,
          {
            path,
            login: options.cluster,
            isShared,
            limits: { ...options.clusterQuery, resultBytes: memory * queryShare },
            elapsed,
          },
          log,
        )
      : undefined
  const heapCollection = new HeapCollection({
    heapSize,
    collectNew: edenGC,
    collectAll: () => Bun.gc(true),
  })
  const streams = new Streams(new EventFollower(store.db), elapsed, onFault)
  const deps: AppDeps = {
    db: store.db,
    databaseFiles: store.files,
    registry: store.registry,
    batcher: store.batcher,
    prepareRow: (row) => store.inserter.withObject(row),
    isKnownName: (row) => store.inserter.isKnownName(row),
    profiles: store.profiles,
    ready: () => store.ready(),
    queryEngine: clusterEngine ?? engine,
    streams,
    shutdownState: new ShutdownState(),
    removedEvents: options.cluster && removedEventsIn(store.db, options.cluster, log),
    removedEventsOf: (person, at) => removedEventsOf(store.db, options.cluster, person, at, log),
    limiter: new RateLimiter(elapsed),
    loginLimits: new LoginLimits(elapsed),
    passwords: new PasswordHasher(),
    failures: new RateLimiter(elapsed),
    rejectedBytes: new RejectedBytes(options.maxBody, elapsed),
    bodyBudget: new BodyBudget(options.queueBytes),
    largeBodies: new LargeBodies(elapsed),
    crawlers: new CrawlerCheck(),
    acquisitions: new AcquisitionContexts(),
    pageAddresses: new PageAddresses(),
    clients: new ClientContexts({
      trustedProxies: options.trustProxy,
      countryHeader: options.countryHeader,
      geoFile: options.geoFile,
    }),
    logError: serverErrorLog(log, elapsed),
    rejectedRequests,
    requests,
    metrics,
    metricsAccess: options.metricsAccess,
    registrySecret: follower ? undefined : options.registrySecret,
    https: options.certificate !== undefined,
    scriptName: options.scriptName,
    now,
    newId,
    random,
    serverState: {
      startedAt,
      durability,
      minFree,
      retain: options.retain ?? 0,
      backups,
      offsiteBackups,
      clickhouse: shipping,
      registry: follower?.state,
    },
    settings: {
      maxEvents: options.maxBatch,
      maxBodyBytes: options.maxBody,
      rateLimit: options.rateLimit,
      rateLimitEvents: options.rateLimitEvents,
      rateLimitBytes: options.rateLimitBytes,
      trustedProxies: options.trustProxy,
      basePath: options.basePath,
      ingestPath: options.ingestPath,
    },
  }
  return {
    app: createApp(deps),
    deps,
    store,
    opened: Promise.all([engine.opened, follower?.open()]).then(() => {}),
    start: () => {
      store.start()
      engine.start()
      heapCollection.start()
      shipping?.start()
      follower?.start()
    },
    closeStreams: () => streams.close(),
    close: async () => {
      heapCollection.stop()
      streams.close()
      await Promise.all([engine.close(), clusterEngine?.close(), shipping?.close(), follower?.close()])
      return store.close()
    },
  }
}

/** Number of seconds after which a client should retry a request that needs the cluster. */
const retryAfter = 10

/** See `AdminApiDeps`. */
function removedEventsIn(db: Db, cluster: ClusterLogin, log: Log): RemovedEvents {
  const load = async () => {
    const { EventsInCluster } = await import("../clickhouse/query/removed-events.ts")
    return new EventsInCluster(db, cluster)
  }
  return loadedOnDemand(load, (cause, rids) => {
    const removed = rids && removedTotals(db, rids)
    if (!removed) return cause
    log("warn", "an export cannot read the events in the cluster", { error: messageOf(cause) })
    const detail = `${removedText(removed)}, which does not respond: retry later, or export later days`
    return new RequestError("events_removed", { detail, retryAfter, cause })
  })
}

/** See `AdminApiDeps`. The ClickHouse client is only loaded if there are removed events. */
async function removedEventsOf(
  db: Db,
  cluster: ClusterLogin | undefined,
  person: Person,
  now: number,
  log: Log,
): Promise<RemovedEvent[]> {
  const removed = removedTotals(db, [person.websiteRid])
  if (!removed) return []
  try {
    if (!cluster) throw new Error("--clickhouse is not set")
    const { removedEventsOf } = await import("../clickhouse/query/removed-person.ts")
    return await removedEventsOf(db, cluster, person, now)
  } catch (cause) {
    log("warn", "cannot find the events of a person in the cluster", { error: messageOf(cause) })
    const detail = `${removedText(removed)}, which does not respond: nothing was deleted; retry later`
    throw new RequestError("events_removed", { detail, cause })
  }
}
