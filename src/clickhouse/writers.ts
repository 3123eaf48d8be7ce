import { UserError } from "../errors.ts"
import type { Cluster } from "./cluster.ts"
import { RowEncoder } from "./row-encoder.ts"

export interface WriterRow {
  writer: string
  sequence: number
  shippedId: number
}

/** Returns the SQLite files whose events were shipped to this ClickHouse database. */
export async function readWriters(cluster: Cluster): Promise<WriterRow[]> {
  const rows = await cluster.all<[string, number, number]>(
    "select writer, sequence, shipped_id from writers final",
  )
  return rows.map(([writer, sequence, shippedId]) => ({ writer, sequence, shippedId }))
}

/** Returns the websites that one SQLite file shipped, as lines of an export. */
export async function readWebsiteLines(cluster: Cluster, writer: string): Promise<string[]> {
  const query = "select lines from websites final where writer = {writer:String}"
  const rows = await cluster.all<[string[]]>(query, { writer })
  return rows[0]?.[0] ?? []
}

/** The cluster's record of what one file has shipped. */
export class WriterRecord {
  readonly shippedId: number
  #sequence: number

  /** Throws a UserError if another file ships to the same tables, because event ids are unique only within one file. */
  constructor(
    private readonly cluster: Cluster,
    private readonly writer: string,
    writers: readonly WriterRow[],
    private readonly isReplicated: boolean,
  ) {
    if (writers.some((row) => row.writer !== writer)) {
      throw new UserError(
        `another database file ships to ${cluster.name}`,
        "give each file its own database in the cluster, such as --clickhouse https://user@host:8443/shop; if this file was restored from a backup that predates its first shipment, run databuddy clickhouse fetch, which adds the events that only the cluster has; then shipping can continue",
      )
    }
    this.shippedId = writers[0]?.shippedId ?? 0
    this.#sequence = writers[0]?.sequence ?? 0
  }

  /** Records that all events up to `shippedId` are in the table. `at`: Unix ms. */
  async write(shippedId: number, at: number): Promise<void> {
    const row = new RowEncoder()
    row.text(this.writer)
    row.integer(++this.#sequence)
    row.integer(shippedId)
    row.integer(at)
    const columns = ["writer", "sequence", "shipped_id", "shipped_at"]
    await this.cluster.insert("writers", columns, row.finish(), this.isReplicated)
  }

  async writeWebsites(lines: readonly string[]): Promise<void> {
    const row = new RowEncoder()
    row.text(this.writer)
    // Higher than any earlier sequence number, because every shipment increments it.
    row.integer(this.#sequence + 1)
    row.texts(lines)
    await this.cluster.insert("websites", ["writer", "sequence", "lines"], row.finish(), this.isReplicated)
  }
}
