import { statfsSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { Counter, Gauge, Histogram, Registry } from "prom-client"
import type { RejectedRequests } from "../http/rejected-requests.ts"
import type { Commit } from "../store/ingest/writer.ts"
import { commit, version } from "../version.ts"
import type { Requests } from "./requests.ts"

/** Where the metrics come from that are looked up when they are asked for. */
export interface Sources {
  /** The database. */
  path: string
  /** Unix ms */
  startedAt: number
  requests: Requests
  refusals: Pick<RejectedRequests, "counts">
  /** What waits for the disk. */
  queued: () => { events: number; bytes: number }
  /** Where backups are made on a schedule. */
  backups?: BackupState | undefined
}

/** How the scheduled backups go. Times are Unix ms; 0: never. */
export interface BackupState {
  /** When the newest one was begun: what is in it is from then. */
  lastSuccess: number
  lastFailure: number
  /** Size of the newest one. */
  bytes: number
  /** Tries that failed since the start. */
  failures: number
}

/** s: from a sync to memory, over a disk's 10 ms, to one that keeps everybody waiting. */
const commitSeconds = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
]
/** Events: a commit takes 5,000 and the rest of its last request. */
const commitEvents = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000]

/** What Prometheus is told. Only commits are observed as they happen; the rest is counted elsewhere, and read when asked. */
export class Metrics {
  // One of its own, not the library's global one: two servers in a process share nothing.
  readonly #registry = new Registry()
  readonly #stored: Counter
  readonly #duplicates: Counter
  readonly #seconds: Histogram
  readonly #events: Histogram

  constructor(sources: Sources) {
    const registers = [this.#registry]
    this.#stored = new Counter({
      name: "databuddy_events_stored_total",
      help: "Events that are in the database since the start.",
      registers,
    })
    this.#duplicates = new Counter({
      name: "databuddy_events_duplicate_total",
      help: "Events that were passed over, because one with their eventId is stored.",
      registers,
    })
    this.#seconds = new Histogram({
      name: "databuddy_commit_duration_seconds",
      help: "How long a commit of events took, its sync included.",
      buckets: commitSeconds,
      registers,
    })
    this.#events = new Histogram({
      name: "databuddy_commit_events",
      help: "How many events were committed together.",
      buckets: commitEvents,
      registers,
    })
    this.#addCounts(sources)
    this.#addStorage(sources)
    if (sources.backups) this.#addBackups(sources.backups)
    this.#addProcess(sources)
  }

  /** For each commit; `seconds`: how long it took. */
  observe({ stored, duplicates }: Commit, seconds: number): void {
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

  #addCounts({ requests, refusals }: Sources): void {
    new Counter({
      name: "databuddy_http_requests_total",
      help: "Requests that were answered; the route is 'other' where there is none.",
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
      help: "Requests to /track and /identify that were refused.",
      labelNames: ["reason"],
      registers: [this.#registry],
      collect() {
        this.reset()
        for (const [reason, count] of refusals.counts()) this.inc({ reason }, count)
      },
    })
  }

  #addStorage({ path, queued }: Sources): void {
    this.#gauge("databuddy_queue_events", "Events that wait for the disk.", () => queued().events)
    this.#gauge("databuddy_queue_bytes", "Bytes of requests that wait for the disk.", () => queued().bytes)
    this.#gauge("databuddy_database_bytes", "Size of the database file.", () => sizeOf(path))
    this.#gauge("databuddy_wal_bytes", "Size of the -wal beside it.", () => sizeOf(`${path}-wal`))
    this.#gauge("databuddy_disk_free_bytes", "Room that is left on the database's disk.", () => {
      const { bavail, bsize } = statfsSync(dirname(path))
      return bavail * bsize
    })
  }

  #addBackups(state: BackupState): void {
    const success = "When the newest backup was begun, Unix time; 0: there is none."
    this.#gauge("databuddy_backup_last_success_timestamp_seconds", success, () => state.lastSuccess / 1_000)
    const failure = "When a backup failed last since the start, Unix time; 0: none did."
    this.#gauge("databuddy_backup_last_failure_timestamp_seconds", failure, () => state.lastFailure / 1_000)
    this.#gauge("databuddy_backup_bytes", "Size of the newest backup.", () => state.bytes)
    new Counter({
      name: "databuddy_backup_failures_total",
      help: "Backups that failed since the start.",
      registers: [this.#registry],
      collect() {
        this.reset()
        this.inc(state.failures)
      },
    })
  }

  #addProcess({ startedAt }: Sources): void {
    this.#gauge("process_resident_memory_bytes", "Memory that the process holds.", () =>
      process.memoryUsage.rss(),
    )
    this.#gauge("process_start_time_seconds", "When it was started, Unix time.", () => startedAt / 1_000)
    new Gauge({
      name: "databuddy_build_info",
      help: "Always 1; the labels say what is running.",
      labelNames: ["version", "commit"],
      registers: [this.#registry],
    }).set({ version, commit }, 1)
  }

  #gauge(name: string, help: string, look: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(look())
      },
    })
  }
}

/** 0 where there is none. */
function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
