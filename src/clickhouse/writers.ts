import { UserError } from "../errors.ts"
import { nodeOf, startOfNode } from "../store/node-ids.ts"
import type { Cluster } from "./cluster.ts"
import { RowEncoder } from "./row-encoder.ts"

export interface WriterRow {
  writer: string
  sequence: number
  /** The number of its node is that of this id. */
  shippedId: number
  /** Unix ms */
  shippedAt: number
}

/** Returns the SQLite files whose events were shipped to this ClickHouse database, in the order of their nodes. */
export async function readWriters(cluster: Cluster): Promise<WriterRow[]> {
  const rows = await cluster.all<[string, number, number, number]>(
    "select writer, sequence, shipped_id, toUnixTimestamp64Milli(shipped_at) from writers final order by shipped_id",
  )
  return rows.map(([writer, sequence, shippedId, shippedAt]) => ({ writer, sequence, shippedId, shippedAt }))
}

/** Returns the websites that one SQLite file shipped, as lines of an export. */
export async function readWebsiteLines(cluster: Cluster, writer: string): Promise<string[]> {
  const query = "select lines from websites final where writer = {writer:String}"
  const rows = await cluster.all<[string[]]>(query, { writer })
  return rows[0]?.[0] ?? []
}

/** The file that ships, in the cluster's list of writers. */
export interface OwnFile {
  writer: string
  /** Its watermark, or any other id of its node. */
  shippedId: number
  /** Other nodes ship to the same database. */
  isShared: boolean
}

/**
 * Returns the record of a file, undefined if it has shipped nothing, and those of other nodes. Throws a UserError if
 * another file has the same number, or if other nodes are not expected.
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
      `another database file ships to ${where}${node === 0 ? "" : ` as node ${node}`}`,
      "give each file its own database in the cluster, such as --clickhouse https://user@host:8443/shop, or its own number with --node; if this file was restored from a backup that predates its first shipment, run databuddy clickhouse fetch, which adds the events that only the cluster has; then shipping can continue",
    )
  }
  if (others.length > 0 && !isShared) {
    throw new UserError(
      `other nodes ship to ${where}, and --node is not set`,
      `start this server with --node ${node}`,
    )
  }
  return { own: writers.find((row) => row.writer === writer), others }
}

/** The cluster's record of what one file has shipped. */
export class WriterRecord {
  readonly shippedId: number
  /** The cluster knows nothing about the file. */
  readonly isNew: boolean
  #sequence: number

  /** Throws a UserError, as `splitWriters` does, because ids must be unique. */
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
    // Higher than any earlier sequence number, because every shipment increments it.
    row.integer(this.#sequence + 1)
    row.texts(lines)
    await this.cluster.insert("websites", ["writer", "sequence", "lines"], row.finish(), this.isReplicated)
  }
}
