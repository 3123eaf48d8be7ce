import type { ClickHouseSettings } from "@clickhouse/client"
import type { Query, ResultOf } from "../../query/query.ts"
import type { Db } from "../../store/db/driver.ts"
import { latestProfileOf } from "../../store/identity-resolution.ts"
import type { Cluster } from "../cluster.ts"
import { executeInCluster } from "./execute.ts"
import { Scan } from "./scan.ts"
import { type FileSnapshot, type SnapshotLimits, SnapshotSource } from "./snapshot.ts"

/** Limits of a statement in the cluster. */
export interface ClusterQueryLimits {
  seconds: number
  /** Maximum memory of a statement in the cluster, in bytes. */
  bytes: number
  /** Maximum size of a result in bytes. The query thread holds it in memory. */
  resultBytes: number
}

/** Runs queries on the events in a cluster and the unshipped events in the file. */
export class ClusterQueries {
  readonly #source: SnapshotSource
  readonly #settings: ClickHouseSettings

  constructor(
    private readonly db: Db,
    private readonly cluster: Cluster,
    { seconds, bytes, resultBytes }: ClusterQueryLimits,
    limits?: SnapshotLimits,
  ) {
    this.#source = new SnapshotSource(db, limits)
    this.#settings = {
      max_execution_time: seconds,
      max_memory_usage: String(bytes),
      max_result_bytes: String(resultBytes),
      result_overflow_mode: "throw",
    }
  }

  snapshot(): FileSnapshot {
    return this.#source.read()
  }

  /** Throws a ClusterError, a NotSupportedError, or the signal's abort reason. */
  run<Q extends Query>(query: Q, snapshot: FileSnapshot, signal: AbortSignal): Promise<ResultOf<Q>> {
    const { watermark, tail, deleted, websites } = snapshot
    const scopeWebsites = new Map(
      query.scope.websites.flatMap((rid) => {
        const id = websites.get(rid)
        return id === undefined ? [] : [[rid, id] as const]
      }),
    )
    const linkedIds = (rid: number, profileId: string) => this.#source.linkedIds(rid, profileId)
    return executeInCluster(query, {
      scan: () => new Scan({ websites: scopeWebsites, watermark, linkedIds }),
      run: (scan, sql) =>
        this.cluster.queryWithTables(sql, {
          parameters: scan.parameters.values,
          tables: [tail, deleted, ...(scan.needsLinks ? [this.#source.links(scopeWebsites)] : [])],
          settings: this.#settings,
          signal,
        }),
      latestProfileOf: (rid, anonymousId) => latestProfileOf(this.db, rid, anonymousId),
    })
  }
}
