import { UserError } from "../errors.ts"
import { nodeOf, startOfNode } from "../store/node-ids.ts"
import type { Cluster } from "./cluster.ts"
import { RowEncoder } from "./row-encoder.ts"

export interface WriterRow {
  writer: string
  sequence: number
  /** The highest id that was shipped. It contains the number of the file's node, as every id does. */
  shippedId: number
  /** Unix ms */
  shippedAt: number
}

/**
 * Returns one row for each SQLite file from which events were shipped to this ClickHouse database, sorted by node.
 * `writer`: a random id of the file.
 */
export async function readWriters(cluster: Cluster): Promise<WriterRow[]> {
  const rows = await cluster.all<[string, number, number, number]>(
    "select writer, sequence, shipped_id, toUnixTimestamp64Milli(shipped_at) from writers final order by shipped_id",
  )
  return rows.map(([writer, sequence, shippedId, shippedAt]) => ({ writer, sequence, shippedId, shippedAt }))
}

/** Returns the websites that were shipped from one SQLite file, as lines of an export. */
export async function readWebsiteLines(cluster: Cluster, writer: string): Promise<string[]> {
  const query = "select lines from websites final where writer = {writer:String}"
  const rows = await cluster.all<[string[]]>(query, { writer })
  return rows[0]?.[0] ?? []
}

/** The file from which this process ships events, as it appears in the cluster's list of writers. */
export interface OwnFile {
  writer: string
  /** The file's watermark, or any other id from its node. */
  shippedId: number
  /** True if other nodes can ship to the same database. */
  isShared: boolean
}

/**
 * Returns the row for this file (undefined if it has shipped nothing) and the rows for other nodes. Throws a UserError
 * if another file has the same node number, or if there are other nodes and `isShared` is false.
 */
export function splitWriters(
  writers: readonly WriterRow[],
  { writer, shippedId, isShared }: OwnFile,
  where: string,
): { own: WriterRow | undefined; others: WriterRow[] } {
  const others = writers.filter((row) => row.writer !== writer)
  const node = nodeOf(shippedId)
  if (others.some((row) => nodeOf(row.shippedId) === node)) {
    throw new UserError(
      `another database file ships events to ${where}${node === 0 ? "" : ` as node ${node}`}`,
      "give each file its own database in the cluster (for example with --clickhouse https://user@host:8443/shop) or its own number with --node; if this file was restored from a backup that was created before its first shipment, run `databuddy clickhouse fetch`, which adds the events that only the cluster has; then shipping can continue",
    )
  }
  if (others.length > 0 && !isShared) {
    throw new UserError(
      `other nodes ship events to ${where}, and --node is not set`,
      `start this server with --node ${node}`,
    )
  }
  return { own: writers.find((row) => row.writer === writer), others }
}

/** The cluster's record of the events that were shipped from one file. */
export class WriterRecord {
  readonly shippedId: number
  /** True if nothing has been shipped from the file yet. */
  readonly isNew: boolean
  #sequence: number

  /** Throws a UserError in the same cases as `splitWriters`. */
  constructor(
    private readonly cluster: Cluster,
    private readonly file: OwnFile,
    writers: readonly WriterRow[],
    private readonly isReplicated: boolean,
  ) {
    const { own } = splitWriters(writers, file, cluster.name)
    this.isNew = own === undefined
    this.shippedId = own?.shippedId ?? startOfNode(file.shippedId)
    this.#sequence = own?.sequence ?? 0
  }

  /** Records that all events up to `shippedId` are in the table. `at`: Unix ms. */
  async write(shippedId: number, at: number): Promise<void> {
    const row = new RowEncoder()
    row.text(this.file.writer)
    row.integer(++this.#sequence)
    row.integer(shippedId)
    row.integer(at)
    const columns = ["writer", "sequence", "shipped_id", "shipped_at"]
    await this.cluster.insert("writers", columns, row.finish(), this.isReplicated)
  }

  async writeWebsites(lines: readonly string[]): Promise<void> {
    const row = new RowEncoder()
    row.text(this.file.writer)
    // This number is higher than that of any row written before the last shipment, because every shipment increments
    // it. Of the rows with equal numbers, ClickHouse keeps the one that was inserted last.
    row.integer(this.#sequence + 1)
    row.texts(lines)
    await this.cluster.insert("websites", ["writer", "sequence", "lines"], row.finish(), this.isReplicated)
  }
}
