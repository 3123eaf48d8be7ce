import type { ClickHouseSettings } from "@clickhouse/client"
import type { NodeWatermark, Query, ResultOf } from "../../query/query.ts"
import type { Db } from "../../store/db/driver.ts"
import { latestProfileOf } from "../../store/identity-resolution.ts"
import type { Cluster } from "../cluster.ts"
import { RowEncoder } from "../row-encoder.ts"
import { executeInCluster } from "./execute.ts"
import { isUpTo, Scan } from "./scan.ts"
import { type FileSnapshot, type SnapshotLimits, SnapshotSource } from "./snapshot.ts"
import { Parameters } from "./statement.ts"

/** Limits for each statement that a query runs in the cluster. */
export interface ClusterQueryLimits {
  seconds: number
  /** Maximum memory that a statement can use in the cluster, in bytes. */
  bytes: number
  /** Maximum size of a result in bytes. The query thread holds the result in memory. */
  resultBytes: number
}

/**
 * Runs queries in a cluster. The queries read the events in the cluster, and the events in the file that have not been
 * shipped yet.
 */
export class ClusterQueries {
  readonly #source: SnapshotSource
  readonly #settings: ClickHouseSettings

  constructor(
    private readonly db: Db,
    private readonly cluster: Cluster,
    { seconds, bytes, resultBytes }: ClusterQueryLimits,
    isShared = false,
    limits?: SnapshotLimits,
  ) {
    this.#source = new SnapshotSource(db, limits, isShared)
    this.#settings = {
      max_execution_time: seconds,
      max_memory_usage: String(bytes),
      max_result_bytes: String(resultBytes),
      result_overflow_mode: "throw",
    }
  }

  /** Returns a snapshot of the file. It does not include the events from other nodes. See `withNodes`. */
  snapshot(): FileSnapshot {
    return this.#source.read()
  }

  /**
   * Adds the events from other nodes to a snapshot. If one of them has the same event id as an unshipped event in the
   * file, leaves it out, so that it is not counted twice. Once both are in the cluster, the cluster decides which of
   * the two events counts.
   */
  async withNodes(
    snapshot: FileSnapshot,
    others: readonly NodeWatermark[],
    signal: AbortSignal,
  ): Promise<FileSnapshot> {
    if (others.length === 0 || snapshot.tailRows === 0) return { ...snapshot, others }
    const parameters = new Parameters()
    const rows = await this.cluster.queryWithTables<[number]>(
      `select distinct id from event_ids
      where (event_id, website, credential) in (
        select assumeNotNull(event_id), website, credential from tail where isNotNull(event_id))
      and (${isUpTo(
        others.map(({ watermark }) => watermark),
        "id",
        parameters,
      )})`,
      { parameters: parameters.values, tables: [snapshot.tail], settings: this.#settings, signal },
    )
    const encoder = new RowEncoder()
    for (const [id] of rows) encoder.integer(id)
    const deleted = { ...snapshot.deleted, rows: [...snapshot.deleted.rows, ...encoder.finish()] }
    return { ...snapshot, others, deleted }
  }

  /** Returns the result of a query. Rejects with a ClusterError, a NotSupportedError, or the signal's abort reason. */
  run<Q extends Query>(query: Q, snapshot: FileSnapshot, signal: AbortSignal): Promise<ResultOf<Q>> {
    const { watermark, tail, deleted, websites, others } = snapshot
    const scopeWebsites = new Map(
      query.scope.websites.flatMap((rid) => {
        const id = websites.get(rid)
        return id === undefined ? [] : [[rid, id] as const]
      }),
    )
    const linkedIds = (rid: number, profileId: string) => this.#source.linkedIds(rid, profileId)
    return executeInCluster(query, {
      scan: () =>
        new Scan({
          websites: scopeWebsites,
          watermark,
          otherWatermarks: others.map((node) => node.watermark),
          linkedIds,
        }),
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
