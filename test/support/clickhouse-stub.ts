import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { eventOf, hashOf, insertColumns } from "../../src/clickhouse/event-row.ts"
import type { StoredEvent } from "../../src/store/event-reader.ts"
import { nodeOf } from "../../src/store/node-ids.ts"

export type StubOperation = "query" | "select" | "insert" | "record" | "delete" | "create"

/**
 * What goes wrong with a request. An object: the response has this status and ClickHouse error number. `cut`: the
 * connection ends before the rows are stored. `answer lost`: it ends after they are stored. `hangs`: there is no
 * response. `cut in half`: the connection ends after half of the rows of a result. `half`: the response ends normally
 * after half of the rows, as if a proxy had shortened it.
 */
export type StubFault =
  | { status: number; number: number }
  | "cut"
  | "answer lost"
  | "hangs"
  | "cut in half"
  | "half"

export interface ClickHouseStub extends AsyncDisposable {
  url: string
  /** Events by id, as they were inserted. */
  events: Map<number, StoredEvent>
  /** Ids of all inserted rows, in the order of the inserts. */
  inserts: number[][]
  migrations: [name: string, checksum: string, cluster: string][]
  /** False if the table of migrations does not exist. */
  hasTables: boolean
  writers: Map<string, { sequence: number; shippedId: number; shippedAt?: number }>
  /** Pairs of an event and its original, from statements that look for duplicates. */
  duplicates: [id: number, original: number][]
  websites: string[]
  /** Statements in order. */
  statements: string[]
  /** Queries of the query API in order, as complete bodies. */
  queries: string[]
  /** The rows of the results of these queries. */
  queryRows: unknown[][]
  /** Number of requests that the client aborted before the response was complete. */
  abandoned: number
  /** Number of results of the query API that were sent completely. */
  answered: number
  authorizations: Set<string>
  /** Called for each request. Returns what goes wrong, if anything. */
  fault: (operation: StubOperation) => StubFault | undefined
}

/** Starts an HTTP server that answers the requests that the product sends to ClickHouse, with data in memory. */
export async function startClickHouseStub(): Promise<ClickHouseStub> {
  const state: Omit<ClickHouseStub, "url" | typeof Symbol.asyncDispose> = {
    events: new Map(),
    inserts: [],
    migrations: [],
    hasTables: true,
    writers: new Map(),
    duplicates: [],
    websites: [],
    statements: [],
    queries: [],
    queryRows: [],
    abandoned: 0,
    answered: 0,
    authorizations: new Set(),
    fault: () => undefined,
  }
  const server = createServer((request, response) => void respond(state, request, response))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo // It listens on TCP.
  return Object.assign(state, {
    url: `http://shop@127.0.0.1:${port}/analytics`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

/** Small, so that the client can pause the response between two writes. */
const rowsPerWrite = 50

type State = Omit<ClickHouseStub, "url" | typeof Symbol.asyncDispose>

async function respond(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer)
  } catch {
    return // The client has closed the connection.
  }
  const body = Buffer.concat(chunks)
  const parameters = new URL(request.url ?? "/", "http://stub").searchParams
  const isQuery = request.headers["content-type"]?.startsWith("multipart/form-data") ?? false
  const statement = (isQuery ? queryOf(body) : (parameters.get("query") ?? body.toString())).trim()
  response.on("close", () => {
    if (!response.writableEnded) state.abandoned++
    else if (isQuery) state.answered++
  })
  if (isQuery) state.queries.push(body.toString())
  state.statements.push(statement)
  state.authorizations.add(request.headers.authorization ?? "")
  const operation = isQuery ? "query" : operationOf(statement)
  const fault = state.fault(operation)
  if (fault === "hangs") return
  if (fault === "cut") return void request.socket.destroy()
  if (typeof fault === "object") return fail(response, fault.status, fault.number, "the stub was told to")
  try {
    const rows = isQuery
      ? (selectedEvents(state, statement, body) ?? state.queryRows)
      : answer(state, statement, parameters, body)
    if (fault === "answer lost") return void request.socket.destroy()
    const isHalf = fault === "half" || fault === "cut in half"
    const sent = isHalf ? rows.slice(0, rows.length / 2) : rows
    for (let at = 0; at < sent.length && !response.destroyed; at += rowsPerWrite) {
      const lines = sent.slice(at, at + rowsPerWrite).map((row) => `${JSON.stringify(row)}\n`)
      if (response.write(lines.join(""))) continue
      const { promise, resolve } = Promise.withResolvers<void>()
      response.once("drain", resolve).once("close", resolve)
      await promise
    }
    if (response.destroyed) return
    if (fault === "cut in half") response.write("", () => request.socket.destroy())
    else response.end()
  } catch (error) {
    const { number = 62, message } = error as Error & { number?: number }
    fail(response, number === 60 ? 404 : 400, number, message)
  }
}

/** The field `query` of a form. */
function queryOf(body: Buffer): string {
  return /name="query"\r\n\r\n([\s\S]*?)\r\n--/.exec(body.toString())?.[1] ?? ""
}

/** The rows of a statement of src/clickhouse/row-reader.ts. Undefined for other statements. */
function selectedEvents(state: State, statement: string, body: Buffer): unknown[][] | undefined {
  const isRows = statement.includes("count() over ()")
  if (!isRows && !statement.startsWith("select minOrNull(id)")) return undefined
  const values = new Map(
    [...body.toString().matchAll(/name="param_(\w+)"\r\n\r\n([\s\S]*?)\r\n--/g)].map(
      ([, name = "", value = ""]) => [name, value],
    ),
  )
  /** The value of the parameter that follows `before`; undefined if the statement has no such condition. */
  const value = (before: string) => {
    const [, name] = new RegExp(`${before}\\{(\\w+):`).exec(statement) ?? []
    return name === undefined ? undefined : values.get(name)
  }
  const number = (before: string, standard: number) => Number(value(before) ?? standard)
  const texts = (before: string) =>
    value(before) === undefined
      ? undefined
      : [...(value(before) ?? "").matchAll(/'(.*?)'/g)].map(([, text]) => text)
  const [websites, visitors, profile] = [
    texts("website in "),
    texts("anonymous_id in "),
    value("profile_id = "),
  ]
  const found = [...state.events.values()]
    .filter((event) => websites?.includes(event.website_id ?? "") ?? true)
    .filter((event) => {
      if (!visitors) return true
      const isOfVisitor = event.anonymous_id !== null && visitors.includes(event.anonymous_id)
      if (profile === undefined) return isOfVisitor
      return event.profile_id === profile || (event.profile_id === null && isOfVisitor)
    })
    .filter((event) => dayOf(event) >= number("day between toDate32\\(", Number.NEGATIVE_INFINITY))
    .filter((event) => dayOf(event) <= number("and toDate32\\(", Number.POSITIVE_INFINITY))
    .filter(({ timestamp }) => timestamp >= number("\\(ts\\) >= ", Number.NEGATIVE_INFINITY))
    .filter(({ timestamp }) => timestamp < number("\\(ts\\) < ", Number.POSITIVE_INFINITY))
    .filter(({ id }) => id > number("id > ", 0) && id <= number("id <= ", 0))
    .sort((a, b) => a.id - b.id)
  return isRows ? found.map((event) => [...rowOf(event), found.length]) : [[found[0]?.id ?? null]]
}

function fail(response: ServerResponse, status: number, number: number, message: string): void {
  response.writeHead(status, { "X-ClickHouse-Exception-Code": String(number) })
  response.end(`Code: ${number}. DB::Exception: ${message}. (STUB_ERROR) (version 26.7.2.1)\n`)
}

function operationOf(statement: string): StubOperation {
  if (/^insert into events /.test(statement)) return "insert"
  if (/^insert into writers /.test(statement)) return "record"
  if (/^delete from/.test(statement)) return "delete"
  return /^select/.test(statement) ? "select" : "create"
}

function answer(state: State, statement: string, parameters: URLSearchParams, body: Buffer): unknown[][] {
  const number = (name: string) => Number(parameters.get(`param_${name}`))
  const events = [...state.events.values()].sort((a, b) => a.id - b.id)
  const isInRange = ({ id }: StoredEvent) => id > number("after") && id <= number("lastId")
  if (statement.includes("from migrations")) {
    if (!state.hasTables) throw Object.assign(new Error("Unknown table migrations"), { number: 60 })
    return state.migrations
  }
  if (statement.includes("from writers")) {
    return [...state.writers]
      .map(
        ([writer, { sequence, shippedId, shippedAt = 0 }]) =>
          [writer, sequence, shippedId, shippedAt] as const,
      )
      .sort((one, other) => one[2] - other[2])
      .map((row) => [...row])
  }
  if (statement.includes("from websites")) return [[state.websites]]
  if (statement.includes("from system.settings")) return [["async_insert"], ["insert_deduplicate"]]
  if (statement.includes("select distinct toInt32(day)"))
    return [...new Set(events.filter(isInRange).map(dayOf))].map((day) => [day])
  if (statement.includes("group by website")) {
    return sums(events.filter((event) => isInRange(event) && dayOf(event) === number("day")))
  }
  if (/^select id from events/.test(statement)) {
    const website = parameters.get("param_website") || null
    return events
      .filter((event) => event.website_id === website && dayOf(event) === number("day") && isInRange(event))
      .map(({ id }) => [id])
  }
  if (/^select .* from events final where website = /s.test(statement)) {
    const found = events.filter((event) =>
      isOfDay(event, parameters.get("param_website") ?? "", number("day")),
    )
    const ofDay = found.filter(isInRange)
    if (statement.startsWith("select count()")) return sumRows(ofDay)
    if (statement.startsWith("select event_id"))
      return ofDay.flatMap(({ event_id, credential }) => (event_id === null ? [] : [[event_id, credential]]))
    return ofDay.map((event) => rowOf(event))
  }
  if (/^insert into migrations/.test(statement)) {
    const [, name = "", checksum = "", cluster = ""] =
      /values \('(.*?)', '(.*?)', '(.*?)'/.exec(statement) ?? []
    state.migrations.push([name, checksum, cluster])
  } else if (/^insert into events /.test(statement)) insertEvents(state, body)
  else if (/^insert into writers /.test(statement)) {
    const reader = new RowReader(body)
    const [writer, sequence, shippedId] = [reader.text(), reader.integer(), reader.integer()]
    state.writers.set(writer, { sequence, shippedId, shippedAt: reader.integer() })
  } else if (/^insert into websites /.test(statement)) {
    const reader = new RowReader(body)
    reader.text()
    reader.integer()
    state.websites = Array.from({ length: reader.varint() }, () => reader.text())
  } else if (/^insert into duplicates /.test(statement)) addDuplicates(state, events, statement)
  else if (/^delete from events /.test(statement)) deleteEvents(state, statement)
  else if (statement.includes("create table if not exists migrations")) state.hasTables = true
  return []
}

function sums(events: readonly StoredEvent[]): unknown[][] {
  const websites = new Map<string, { count: number; hash: bigint }>()
  for (const event of events) {
    const sum = websites.get(event.website_id ?? "") ?? { count: 0, hash: 0n }
    sum.count++
    sum.hash = BigInt.asUintN(64, sum.hash + hashOf(event))
    websites.set(event.website_id ?? "", sum)
  }
  return [...websites].map(([website, { count, hash }]) => [website, count, String(hash)])
}

/** The count and the sum of hashes. */
function sumRows(events: readonly StoredEvent[]): unknown[][] {
  const hash = events.reduce((sum, event) => BigInt.asUintN(64, sum + hashOf(event)), 0n)
  return [[events.length, String(hash)]]
}

const isOfDay = (event: StoredEvent, website: string, day: number) =>
  (event.website_id ?? "") === website && dayOf(event) === day

const dayOf = ({ timestamp }: StoredEvent) => Math.floor(timestamp / 86_400_000)

/** Records pairs of duplicates on different nodes, if one of the copies is in the range of a statement. */
function addDuplicates(state: State, events: readonly StoredEvent[], statement: string): void {
  const [, after, last] = /id > (\d+) and id <= (\d+)/.exec(statement) ?? []
  const keyOf = (event: StoredEvent) => JSON.stringify([event.event_id, event.website_id, event.credential])
  const sent = events.filter(
    ({ id, event_id }) => event_id !== null && id > Number(after) && id <= Number(last),
  )
  const keys = new Set(sent.map(keyOf))
  for (const same of Map.groupBy(events, keyOf).values()) {
    if (!same.some((event) => keys.has(keyOf(event)))) continue
    for (const { id } of same)
      for (const { id: original } of same)
        if (nodeOf(original) < nodeOf(id)) state.duplicates.push([id, original])
  }
}

function deleteEvents({ events }: State, statement: string): void {
  const [, website, day, after, last] =
    /where website = '(.*)' and day = toDate32\((\d+)\) and id > (\d+) and id <= (\d+)$/.exec(statement) ?? []
  if (website !== undefined) {
    for (const [id, event] of events)
      if (isOfDay(event, website, Number(day)) && id > Number(after) && id <= Number(last)) events.delete(id)
    return
  }
  const ids = new Set(/id in \(([\d,]+)\)/.exec(statement)?.[1]?.split(",").map(Number))
  const numbersIn = (match: RegExpExecArray) => match.slice(1).map(Number)
  const ranges = [...statement.matchAll(/id between (\d+) and (\d+)/g)].map(numbersIn)
  // If there are any, only events on these days are deleted.
  const days = [...statement.matchAll(/toDate32\((\d+)\), (\d+)\)/g)].map(numbersIn)
  for (const [id, event] of events) {
    if (days.length > 0 && !days.some(([day, row]) => day === dayOf(event) && row === id)) continue
    if (ids.has(id) || ranges.some(([first = 0, last = 0]) => id >= first && id <= last)) events.delete(id)
  }
}

/** Columns that can be null. All columns are texts, except `integers` and the flag `crawler`. */
const nullable = new Set(["anonymous_id", "session_id", "profile_id", "path", "event_id", "properties"])
const integers = new Set(["id", "ts", "received_at"])

function insertEvents(state: State, body: Buffer): void {
  const reader = new RowReader(body)
  const ids: number[] = []
  while (!reader.isAtEnd) {
    const row = insertColumns.map((name) => {
      if (integers.has(name)) return reader.integer()
      if (name === "crawler") return reader.byte() === 1
      if (nullable.has(name) && reader.byte() === 1) return null
      return reader.text()
    })
    const event = eventOf(row)
    state.events.set(event.id, event)
    ids.push(event.id)
  }
  state.inserts.push(ids)
}

/** The values of `insertColumns`, as a select returns them. */
function rowOf(event: StoredEvent): unknown[] {
  const fields: Record<string, keyof StoredEvent> = { website: "website_id", ts: "timestamp" }
  return insertColumns.map((name) => {
    const value = event[fields[name] ?? (name as keyof StoredEvent)] // All other columns have the name of a field.
    return value === null && !nullable.has(name) ? "" : value
  })
}

/** Reads RowBinary. */
class RowReader {
  #at = 0

  constructor(private readonly bytes: Buffer) {}

  get isAtEnd(): boolean {
    return this.#at === this.bytes.length
  }

  byte(): number {
    return this.bytes.readUInt8(this.#at++)
  }

  integer(): number {
    this.#at += 8
    return Number(this.bytes.readBigInt64LE(this.#at - 8))
  }

  varint(): number {
    for (let [value, shift] = [0, 0]; ; shift += 7) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }

  text(): string {
    const length = this.varint()
    this.#at += length
    return this.bytes.toString("utf8", this.#at - length, this.#at)
  }
}
