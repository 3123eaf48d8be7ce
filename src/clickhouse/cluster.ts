import { Readable } from "node:stream"
import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
  type Row as ResultRow,
} from "@clickhouse/client"
import { codeOf } from "../errors.ts"
import { type ClusterAddress, clusterName } from "./address.ts"

/** Thrown when a request to the cluster fails. The message tells the operator why. */
export class ClusterError extends Error {
  constructor(
    message: string,
    /** ClickHouse's error code, such as 60 for a missing table. Undefined if there was no response. */
    readonly number: number | undefined,
    /** True if the request might have succeeded, or might still be running in the cluster. */
    readonly isOutcomeUnknown: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** ClickHouse's error codes. */
export const errorNumbers = {
  unknownTable: 60,
  unknownDatabase: 81,
  timeLimit: 159,
  memoryLimit: 241,
  resultLimit: 396,
} as const

export interface RequestTimes {
  /** This program abandons a request after this many ms without progress. */
  timeout: number
  /** The cluster itself abandons an insert after this many seconds. */
  maxInsertSeconds: number
  connections: number
}

/** Inserting 100,000 rows takes less than a second. The limits are much longer, to allow for a cluster under load. */
export const requestTimes: RequestTimes = { timeout: 120_000, maxInsertSeconds: 100, connections: 4 }

/** Codes of errors that occur before a request is sent. */
const unsentCodes = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"])
/** Longer error messages are truncated to this many characters. ClickHouse's messages can contain the statement. */
const maxMessage = 300

/**
 * Settings for inserts. A response must mean that the rows are stored. A repeated insert must not be dropped as a
 * duplicate, because the rows of the first insert might have been deleted in the meantime. Servers reject unknown
 * settings, so only the settings that the server knows are sent.
 */
const insertSettings = {
  async_insert: 0,
  wait_end_of_query: 1,
  deduplicate_insert: "disable",
  insert_deduplicate: 0,
  max_partitions_per_insert_block: 0,
} as const
/** Settings for inserts into replicated and distributed tables. */
const replicatedInsertSettings = {
  ...insertSettings,
  distributed_foreground_insert: 1,
  insert_distributed_sync: 1,
  insert_quorum: "auto",
  insert_quorum_parallel: 0,
} as const

/**
 * Settings for queries. They override the settings profile of the ClickHouse user, because results must always be
 * exact. Queries are read-only, because the cluster stops only read-only queries when the connection is closed.
 */
const querySettings = {
  readonly: "2",
  cancel_http_readonly_queries_on_client_close: 1,
  wait_end_of_query: 1,
  output_format_json_quote_64bit_integers: 0,
  output_format_json_quote_denormals: 0,
  do_not_merge_across_partitions_select_final: 1,
  precise_float_parsing: 1,
  join_use_nulls: 0,
  transform_null_in: 0,
  aggregate_functions_null_for_empty: 0,
  enable_named_columns_in_function_tuple: 0,
  timeout_overflow_mode: "throw",
} as const

/** A table that is sent with a query, which can read it like a table in the cluster. */
export interface SentTable {
  name: string
  structure: string
  /** Rows in the format RowBinary. */
  rows: readonly Uint8Array[]
}

export interface TableQuery {
  /** Values in the format of ClickHouse's parameters. */
  parameters: Readonly<Record<string, string>>
  tables: readonly SentTable[]
  settings: ClickHouseSettings
  signal: AbortSignal
}

function prefixed(prefix: string, values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]))
}

function* multipart(
  boundary: string,
  fields: readonly (readonly [name: string, value: string])[],
  tables: readonly SentTable[],
): Generator<Uint8Array> {
  const start = (disposition: string) =>
    `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`
  for (const [name, value] of fields) yield Buffer.from(`${start(`name="${name}"`)}${value}\r\n`)
  for (const { name, rows } of tables) {
    yield Buffer.from(start(`name="${name}"; filename="${name}"`))
    yield* rows
    yield Buffer.from("\r\n")
  }
  yield Buffer.from(`--${boundary}--\r\n`)
}

/**
 * Sends requests over HTTP to a database in a ClickHouse server or cluster. All methods throw a ClusterError if a
 * request fails.
 */
export class Cluster {
  readonly name: string
  readonly #client: ClickHouseClient
  /** The insert settings that the ClickHouse server knows. The key is true for replicated tables. */
  readonly #settings = new Map<boolean, ClickHouseSettings>()

  constructor(
    readonly address: ClusterAddress,
    password: string,
    private readonly times: RequestTimes = requestTimes,
  ) {
    this.name = clusterName(address)
    this.#client = createClient({
      url: address.url,
      username: address.user,
      password,
      database: address.database,
      application: "databuddy",
      request_timeout: times.timeout,
      max_open_connections: times.connections,
      // ClusterError contains everything that the client would log.
      log: { level: ClickHouseLogLevel.OFF },
    })
  }

  /**
   * Yields the rows of a query's result in chunks. Each row is an array. `parameters`: values for the placeholders in
   * the query, such as `{name:Type}`.
   */
  async *rows<Row extends unknown[]>(
    query: string,
    parameters: Record<string, unknown> = {},
  ): AsyncGenerator<Row[]> {
    try {
      const result = await this.#client.query({
        query,
        query_params: parameters,
        format: "JSONCompactEachRow",
        clickhouse_settings: {
          output_format_json_quote_64bit_integers: 0,
          do_not_merge_across_partitions_select_final: 1,
        },
      })
      for await (const chunk of result.stream<Row>()) yield chunk.map((row: ResultRow<Row>) => row.json())
    } catch (error) {
      throw this.#error(error)
    }
  }

  /**
   * Runs a query that can also read `tables`, which are sent with it, and returns the rows. The query, the parameters
   * and the tables are sent in the body, because the length of a URL is limited. If `signal` is aborted, the cluster
   * stops the query, and the promise rejects with the abort reason.
   */
  async queryWithTables<Row extends unknown[]>(query: string, tableQuery: TableQuery): Promise<Row[]> {
    const { signal } = tableQuery
    try {
      const stream = await this.#sendWithTables(query, tableQuery)
      const text = await new Response(Readable.toWeb(stream) as ReadableStream).text()
      signal.throwIfAborted()
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Row)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw this.#error(error)
    }
  }

  /**
   * Does the same as `queryWithTables`, but yields the rows in chunks, and reads them only as fast as the consumer
   * does. If the consumer stops early, the cluster stops the query.
   */
  async *rowsWithTables<Row extends unknown[]>(query: string, tableQuery: TableQuery): AsyncGenerator<Row[]> {
    const { signal } = tableQuery
    try {
      const decoder = new TextDecoder()
      let rest = ""
      for await (const bytes of await this.#sendWithTables(query, tableQuery)) {
        const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n")
        rest = lines.pop() ?? ""
        if (lines.length > 0) yield lines.map((line) => JSON.parse(line) as Row)
      }
      signal.throwIfAborted()
      if (rest !== "") throw new Error("the response ends within a row")
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw this.#error(error)
    }
  }

  /** Sends a query and its tables. Returns the response as a stream, which has one row per line. */
  async #sendWithTables(
    query: string,
    { parameters, tables, settings, signal }: TableQuery,
  ): Promise<Readable> {
    const boundary = `databuddy-${crypto.randomUUID()}`
    const fields = Object.entries({
      query: `${query}\nformat JSONCompactEachRow`,
      ...prefixed("param_", parameters),
    })
    const formats = tables.flatMap(({ name, structure }) => [
      [`${name}_structure`, structure],
      [`${name}_format`, "RowBinary"],
    ])
    const { stream } = await this.#client.exec({
      query: "",
      query_id: crypto.randomUUID(),
      values: Readable.from(multipart(boundary, fields, tables), { objectMode: false }),
      http_headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` },
      abort_signal: signal,
      // The names of the tables are safe in setting names, because they come from this program.
      clickhouse_settings: { ...querySettings, ...settings, ...Object.fromEntries(formats) },
    })
    return stream
  }

  /** Returns all rows of a query's result at once. Use this only for small results. */
  async all<Row extends unknown[]>(query: string, parameters?: Record<string, unknown>): Promise<Row[]> {
    const rows: Row[] = []
    for await (const chunk of this.rows<Row>(query, parameters)) rows.push(...chunk)
    return rows
  }

  /** Runs a statement that returns nothing. */
  async run(query: string): Promise<void> {
    try {
      await this.#client.command({ query, clickhouse_settings: { wait_end_of_query: 1 } })
    } catch (error) {
      throw this.#error(error)
    }
  }

  /** Inserts rows, which are in the format RowBinary. Resolves when the cluster has stored the rows. */
  async insert(
    table: string,
    columns: readonly string[],
    rows: readonly Uint8Array[],
    isReplicated: boolean,
  ): Promise<void> {
    const settings = await this.#insertSettings(isReplicated)
    try {
      const { stream } = await this.#client.exec({
        query: `insert into ${table} (${columns.join(", ")}) format RowBinary`,
        values: Readable.from(rows, { objectMode: false }),
        clickhouse_settings: settings,
      })
      // An error that occurs after the headers are sent is in the body. Otherwise, the body is empty.
      const answer = await new Response(Readable.toWeb(stream) as ReadableStream).text()
      if (answer.trim() !== "") throw new Error(answer)
    } catch (error) {
      throw this.#error(error)
    }
  }

  /** Runs a statement of the form `insert … select`. Resolves when the cluster has stored the rows. */
  async insertSelect(query: string, isReplicated: boolean): Promise<void> {
    const settings = await this.#insertSettings(isReplicated)
    try {
      // With this setting, the `select` reads all rows that any server of the cluster has acknowledged.
      const consistency = isReplicated ? { select_sequential_consistency: "1" } : {}
      await this.#client.command({ query, clickhouse_settings: { ...settings, ...consistency } })
    } catch (error) {
      throw this.#error(error)
    }
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  async #insertSettings(isReplicated: boolean): Promise<ClickHouseSettings> {
    const known = this.#settings.get(isReplicated)
    if (known) return known
    const all: Record<string, string | number> = isReplicated ? replicatedInsertSettings : insertSettings
    const names = await this.all<[string]>(
      "select name from system.settings where name in {names:Array(String)}",
      {
        names: Object.keys(all),
      },
    )
    const settings = Object.fromEntries(names.map(([name]) => [name, all[name]]))
    // The client's types do not include all settings.
    const result = {
      ...settings,
      wait_end_of_query: 1,
      max_execution_time: this.times.maxInsertSeconds,
    } as ClickHouseSettings
    this.#settings.set(isReplicated, result)
    return result
  }

  #error(error: unknown): ClusterError {
    if (error instanceof ClusterError) return error
    // Queries the known settings again before the next insert, because another version of the server might be running.
    this.#settings.clear()
    const message = error instanceof Error ? error.message : String(error)
    const [line = ""] = message.split("\n")
    const text = line.slice(0, maxMessage)
    if (error instanceof ClickHouseError) {
      const isTimeout = error.type === "TIMEOUT_EXCEEDED" || error.type === "SOCKET_TIMEOUT"
      return new ClusterError(`${this.name} responded: ${text}`, Number(error.code), isTimeout, {
        cause: error,
      })
    }
    const isUnsent = unsentCodes.has(codeOf(error)) || /certificate|self.signed/i.test(text)
    return new ClusterError(`${this.name} does not respond: ${text}`, undefined, !isUnsent, { cause: error })
  }
}
