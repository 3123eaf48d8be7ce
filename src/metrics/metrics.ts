import { statfsSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { Counter, Gauge, Histogram, Registry } from "prom-client"
import type { RejectedRequests } from "../http/rejected-requests.ts"
import type { CommitResult } from "../store/ingest/writer.ts"
import type { RemovedTotals } from "../store/removed-days.ts"
import { maxCountedDeletions, type ShippingLag } from "../store/shipping.ts"
import { commit, version } from "../version.ts"
import type { RequestCounts } from "./requests.ts"

/** Sources of the metrics that are read at each scrape. */
export interface MetricSources {
  /** Path of the database file. */
  path: string
  /** Time when the server started, in Unix ms. */
  startedAt: number
  requests: RequestCounts
  rejectedRequests: Pick<RejectedRequests, "counts">
  /** Returns the number of events and bytes that are waiting for the disk. */
  queued: () => { events: number; bytes: number }
  /** Set if backups are scheduled. */
  backups?: BackupState | undefined
  /** Set if backups to a bucket are scheduled. */
  offsiteBackups?: BackupState | undefined
  /** Set if the server serves HTTPS. */
  certificate?: CertificateState | undefined
  /** Set if events are shipped to a ClickHouse cluster. */
  shipping?: ShippingState | undefined
  /** State of the copy of another server's registry. Undefined if the registry is not copied. */
  registry?: { copiedAt: number; failures: number; isRejected: boolean } | undefined
  /** Returns the time of the wall clock in Unix ms. */
  now: () => number
}

/** State of the certificate. Times are in Unix ms. */
export interface CertificateState {
  /** 0 if there is no certificate yet. */
  expiresAt: number
  /**
   * Set if the server renews the certificate. `failures`: number of failures since the start. `lastFailure`: time of
   * the last failure, or 0 if there was none.
   */
  renewals?: { failures: number; lastFailure: number }
}

/** State of shipping events to a cluster. Times are in Unix ms. 0 means never. */
export interface ShippingState {
  /** Number of events that the cluster acknowledged since the start. */
  shipped: number
  lastSuccess: number
  lastFailure: number
  /** Number of failed attempts since the start. */
  failures: number
  /** Why the last attempt failed. Undefined if it succeeded. */
  failure: string | undefined
  /** Reads how far the cluster lags behind. */
  lag: () => ShippingLag
  /** Reads what was removed from the file. Returns undefined if nothing was removed. */
  removed: () => RemovedTotals | undefined
}

/** State of the scheduled backups. Times are in Unix ms. 0 means never. */
export interface BackupState {
  /** Start of the newest backup, which is the time of its snapshot. */
  lastSuccess: number
  lastFailure: number
  /** Size of the newest backup in bytes. */
  bytes: number
  /** Number of failed backups since the start. */
  failures: number
}

/**
 * Upper bounds of the buckets, in seconds. The lowest buckets are for syncs that only reach memory, those around 10 ms
 * for syncs to a disk, and the highest for syncs that stall all requests.
 */
const commitSeconds = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
]
/**
 * Upper bounds of the buckets, in events. A commit has at most 5,000 events, plus the remaining events of its last
 * request.
 */
const commitEvents = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000]

/**
 * Prometheus metrics. Commits are observed as they happen. Everything else is counted elsewhere and read at each
 * scrape.
 */
export class Metrics {
  // Not the library's global registry, because two servers in one process must not share metrics.
  readonly #registry = new Registry()
  readonly #stored: Counter
  readonly #duplicates: Counter
  readonly #seconds: Histogram
  readonly #events: Histogram

  constructor(sources: MetricSources) {
    const registers = [this.#registry]
    this.#stored = new Counter({
      name: "databuddy_events_stored_total",
      help: "Events stored since the start.",
      registers,
    })
    this.#duplicates = new Counter({
      name: "databuddy_events_duplicate_total",
      help: "Events skipped because their eventId is already stored.",
      registers,
    })
    this.#seconds = new Histogram({
      name: "databuddy_commit_duration_seconds",
      help: "Duration of a commit of events, including its sync.",
      buckets: commitSeconds,
      registers,
    })
    this.#events = new Histogram({
      name: "databuddy_commit_events",
      help: "Events per commit.",
      buckets: commitEvents,
      registers,
    })
    this.#addCounts(sources)
    this.#addStorage(sources)
    if (sources.backups) this.#addBackups("databuddy_backup", "backup", sources.backups)
    if (sources.offsiteBackups)
      this.#addBackups("databuddy_offsite_backup", "off-site backup", sources.offsiteBackups)
    if (sources.certificate) this.#addCertificate(sources.certificate)
    if (sources.shipping) this.#addShipping(sources.shipping, sources.now)
    if (sources.registry) this.#addRegistry(sources.registry, sources.now)
    this.#addProcess(sources)
  }

  /** Records a commit of events. `seconds`: duration of the commit. */
  observeCommit({ stored, duplicates }: CommitResult, seconds: number): void {
    const events = stored + duplicates
    if (events === 0) return
    this.#stored.inc(stored)
    this.#duplicates.inc(duplicates)
    this.#seconds.observe(seconds)
    this.#events.observe(events)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #addCounts({ requests, rejectedRequests }: MetricSources): void {
    new Counter({
      name: "databuddy_http_requests_total",
      help: "Requests by method, route and status; the route is 'other' for unknown paths.",
      labelNames: ["method", "route", "status"],
      registers: [this.#registry],
      collect() {
        this.reset()
        for (const [name, statuses] of requests.counts()) {
          const [method = "", route = ""] = name.split(" ")
          for (const [status, count] of statuses) this.inc({ method, route, status }, count)
        }
      },
    })
    new Counter({
      name: "databuddy_refusals_total",
      help: "Rejected requests to /track, /identify and the page script's endpoints, by reason.",
      labelNames: ["reason"],
      registers: [this.#registry],
      collect() {
        this.reset()
        for (const [reason, count] of rejectedRequests.counts()) this.inc({ reason }, count)
      },
    })
  }

  #addStorage({ path, queued }: MetricSources): void {
    this.#gauge("databuddy_queue_events", "Events waiting for the disk.", () => queued().events)
    this.#gauge("databuddy_queue_bytes", "Bytes of requests waiting for the disk.", () => queued().bytes)
    this.#gauge("databuddy_database_bytes", "Size of the database file.", () => sizeOf(path))
    this.#gauge("databuddy_wal_bytes", "Size of the WAL file.", () => sizeOf(`${path}-wal`))
    this.#gauge("databuddy_disk_free_bytes", "Free space on the disk that holds the database.", () => {
      const { bavail, bsize } = statfsSync(dirname(path))
      return bavail * bsize
    })
  }

  /** Adds metrics about backups. `prefix`: start of the metric names. `what`: noun for the help texts. */
  #addBackups(prefix: string, what: string, state: BackupState): void {
    const success = `Start of the newest ${what}, Unix time; 0: none.`
    this.#gauge(`${prefix}_last_success_timestamp_seconds`, success, () => state.lastSuccess / 1_000)
    const failure = `Time of the last failed ${what} since the start, Unix time; 0: none.`
    this.#gauge(`${prefix}_last_failure_timestamp_seconds`, failure, () => state.lastFailure / 1_000)
    this.#gauge(`${prefix}_bytes`, `Size of the newest ${what}.`, () => state.bytes)
    this.#counter(`${prefix}_failures_total`, `Failed ${what}s since the start.`, () => state.failures)
  }

  #addShipping(state: ShippingState, now: () => number): void {
    const prefix = "databuddy_clickhouse"
    const backlog = "Approximate number of events that have not been shipped to the ClickHouse cluster yet."
    this.#gauge(`${prefix}_backlog_events`, backlog, () => state.lag().events)
    this.#gauge(
      `${prefix}_lag_seconds`,
      "Age of the oldest event that has not been shipped yet; 0: all have been.",
      () => {
        const { oldest } = state.lag()
        return oldest === null ? 0 : Math.max(0, now() - oldest) / 1_000
      },
    )
    const deletions = `Deleted events that have not been deleted in the cluster yet; at most ${maxCountedDeletions} are counted.`
    this.#gauge(`${prefix}_pending_deletions`, deletions, () => state.lag().deletions)
    const removed = "Events that were removed from the file and that only the cluster has."
    this.#gauge(`${prefix}_removed_events`, removed, () => state.removed()?.events ?? 0)
    const missing = "Removed events that the cluster did not have at the last comparison."
    this.#gauge(`${prefix}_missing_events`, missing, () => state.removed()?.missing ?? 0)
    const since = "The file has all events from this time on, Unix time; 0: it has all events."
    this.#gauge(
      `${prefix}_local_since_timestamp_seconds`,
      since,
      () => (state.removed()?.localSince ?? 0) / 1_000,
    )
    const success = "Time of the last acknowledgment by the cluster, Unix time; 0: none."
    this.#gauge(`${prefix}_last_success_timestamp_seconds`, success, () => state.lastSuccess / 1_000)
    const failure = "Time of the last failed attempt since the start, Unix time; 0: none."
    this.#gauge(`${prefix}_last_failure_timestamp_seconds`, failure, () => state.lastFailure / 1_000)
    this.#counter(
      `${prefix}_events_shipped_total`,
      "Events that the cluster acknowledged since the start.",
      () => state.shipped,
    )
    this.#counter(
      `${prefix}_failures_total`,
      "Failed attempts to reach the cluster since the start.",
      () => state.failures,
    )
  }

  #addRegistry(state: NonNullable<MetricSources["registry"]>, now: () => number): void {
    const age = "Time since the websites, keys and users were last copied from the other server."
    this.#gauge("databuddy_registry_age_seconds", age, () => (now() - state.copiedAt) / 1_000)
    const failures = "Failed attempts to copy websites, keys and users since the start."
    this.#counter("databuddy_registry_failures_total", failures, () => state.failures)
    const rejected =
      "1: the other server's last answer was not accepted, because that server has a wrong or older database."
    this.#gauge("databuddy_registry_rejected", rejected, () => (state.isRejected ? 1 : 0))
  }

  #addCertificate(state: CertificateState): void {
    const prefix = "databuddy_certificate"
    const expiry = "Expiry of the HTTPS certificate, Unix time; 0: there is none yet."
    this.#gauge(`${prefix}_expiry_timestamp_seconds`, expiry, () => state.expiresAt / 1_000)
    const { renewals } = state
    if (!renewals) return
    const failure = "Time of the last failed request for a certificate since the start, Unix time; 0: none."
    this.#gauge(`${prefix}_last_failure_timestamp_seconds`, failure, () => renewals.lastFailure / 1_000)
    new Counter({
      name: `${prefix}_failures_total`,
      help: "Failed requests for a certificate since the start.",
      registers: [this.#registry],
      collect() {
        this.reset()
        this.inc(renewals.failures)
      },
    })
  }

  #addProcess({ startedAt }: MetricSources): void {
    this.#gauge("process_resident_memory_bytes", "Resident memory of the process.", () =>
      process.memoryUsage.rss(),
    )
    this.#gauge("process_start_time_seconds", "Start of the process, Unix time.", () => startedAt / 1_000)
    new Gauge({
      name: "databuddy_build_info",
      help: "Always 1; the labels name the version and commit.",
      labelNames: ["version", "commit"],
      registers: [this.#registry],
    }).set({ version, commit }, 1)
  }

  /** Adds a counter. `read`: returns the count since the start. */
  #counter(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read())
      },
    })
  }
}

/** Returns the size of a file in bytes, or 0 if it does not exist. */
function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
