import { expect } from "bun:test"
import { Database, type Db } from "../../../src/store/db/driver.ts"
import { openReader, type Server, startServer, temporaryFolder, withDatabase } from "../../harness.ts"
import {
  type Accepted,
  bytesOf,
  type ContractRequest,
  headersOf,
  notFromPage,
  type Rejected,
} from "./cases.ts"
import type { StoredProfile } from "./identify.ts"
import { seedDatabase } from "./seed.ts"

export interface ReceivedResponse {
  status: number
  headers: Headers
  body: string
}

export type Row = Record<string, unknown> & { id: number }

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The built binary serving a seeded database, with a read-only connection. */
export class ContractServer implements AsyncDisposable {
  #sent = 0

  private constructor(
    private readonly folder: ReturnType<typeof temporaryFolder>,
    public server: Server,
    public reader: Db,
  ) {}

  static async start(
    options: { args?: string[]; env?: Record<string, string>; prepare?: (db: Db) => void } = {},
  ): Promise<ContractServer> {
    const folder = temporaryFolder()
    const db = folder.file("contract.db")
    withDatabase(db, (opened) => {
      seedDatabase(opened)
      options.prepare?.(opened)
    })
    const server = await startServer({ db, args: options.args ?? [], env: options.env ?? {} })
    return new ContractServer(folder, server, openReader(db))
  }

  /** Sends a request from its own address, so that rate limits do not apply across cases. */
  async send(sent: ContractRequest & { method?: string }): Promise<ReceivedResponse> {
    this.#sent++
    const headers = headersOf(sent)
    if (!headers.has("x-forwarded-for")) {
      headers.set("x-forwarded-for", `10.${this.#sent >> 16}.${(this.#sent >> 8) & 255}.${this.#sent & 255}`)
    }
    const response = await fetch(this.server.url + (sent.path ?? "/track"), {
      method: sent.method ?? "POST",
      headers,
      ...(sent.method === "OPTIONS" ? {} : { body: bytesOf(sent.body) }),
    })
    return { status: response.status, headers: response.headers, body: await response.text() }
  }

  lastId(): number {
    return this.reader.prepare("select coalesce(max(id), 0) from event_rows").pluck().get() as number
  }

  /** Rows of the view `events`, with their properties parsed. */
  rowsAfter(id: number): Row[] {
    const rows = this.reader.prepare("select * from events where id > ? order by id").all(id) as Row[]
    return rows.map((row) => ({
      ...row,
      properties: row.properties === null ? null : JSON.parse(row.properties as string),
    }))
  }

  /**
   * Returns row counts of everything that a request can store. Excludes event types without events, because the server
   * may delete them at any time.
   */
  stored(): unknown {
    return this.reader
      .prepare(
        `select (select count(*) from event_rows) as events, (select count(distinct type_id) from event_rows) as types,
          (select count(*) from profiles) as profiles, (select count(*) from profile_links) as links`,
      )
      .get()
  }

  profile(websiteId: string, profileId: string): StoredProfile | undefined {
    const row = this.reader
      .prepare(
        `select w.id as website_id, p.profile_id, p.email, p.name, p.username, p.traits,
          (select json_group_array(anonymous_id order by linked_at, anonymous_id) from profile_links as l
            where l.website_rid = p.website_rid and l.profile_id = p.profile_id) as anonymous_ids
        from profiles as p join websites as w on w.rid = p.website_rid
        where w.id = ? and p.profile_id = ?`,
      )
      .get(websiteId, profileId) as { traits: string; anonymous_ids: string } | undefined
    if (!row) return undefined
    const parsed = { traits: JSON.parse(row.traits), anonymous_ids: JSON.parse(row.anonymous_ids) }
    return { ...row, ...parsed } as unknown as StoredProfile
  }

  /** Sends a request; asserts the response and the stored rows. */
  async check(sent: ContractRequest, expected: Accepted | Rejected): Promise<void> {
    if (isRejection(expected)) await this.refuses(sent, expected)
    else await this.accepts(sent, expected)
  }

  async refuses(sent: ContractRequest, expected: Rejected): Promise<void> {
    const before = this.stored()
    expectRejection(await this.send(sent), expected, sent)
    expect(this.stored()).toEqual(before)
  }

  async accepts(sent: ContractRequest, expected: Accepted): Promise<void> {
    const last = this.lastId()
    const sentAt = Date.now()
    expectSuccess(await this.send(sent), expected, sent)
    const answeredAt = Date.now()
    const rows = this.rowsAfter(last)
    for (const row of rows) {
      expect(row.received_at).toBeGreaterThanOrEqual(sentAt)
      expect(row.received_at).toBeLessThanOrEqual(answeredAt)
      expect(row.time).toBe(new Date(row.timestamp as number).toISOString())
    }
    expect(rows.map(({ id: _, received_at, time, ...rest }) => rest)).toEqual(
      expected.stored.map((row, index) => ({
        timestamp: rows[index]?.received_at,
        ...notFromPage,
        ...row,
      })),
    )
  }

  /** Holds the write lock of the database until disposed. */
  lock(): Disposable {
    const other = new Database(this.server.db)
    other.exec("begin immediate")
    return { [Symbol.dispose]: () => void other.close() }
  }

  /** Changes websites or keys outside of the server. Resolves when the server has seen the change. */
  async change(work: (db: Db) => void, seen: () => Promise<boolean>): Promise<void> {
    withDatabase(this.server.db, work)
    const end = performance.now() + 1_000
    while (!(await seen())) {
      if (performance.now() > end) throw new Error("the server did not notice the change within a second")
      await Bun.sleep(25)
    }
  }

  async restart(args: string[] = []): Promise<void> {
    this.reader.close()
    await this.server.stop()
    this.server = await startServer({ db: this.server.db, args })
    this.reader = openReader(this.server.db)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reader.close()
    await this.server.stop()
    this.folder[Symbol.dispose]()
  }
}

export function isRejection(expected: Accepted | Rejected): expected is Rejected {
  return "status" in expected
}

export function successOf(count: number): string {
  return `{"status":"success","type":"custom_event","count":${count}}`
}

export function expectSuccess(
  answer: ReceivedResponse,
  { count, reason }: Omit<Accepted, "stored">,
  sent?: ContractRequest,
): void {
  expect(seen(answer)).toEqual({ status: 200, body: successOf(count), reason })
  expectCommonHeaders(answer, sent)
}

export function expectRejection(
  answer: ReceivedResponse,
  { status, body, reason }: Rejected,
  sent?: ContractRequest,
): void {
  expect(seen(answer)).toEqual({ status, body, reason })
  expectCommonHeaders(answer, sent)
  if (status === 429 || status === 503) expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/)
  else expect(answer.headers.get("retry-after")).toBeNull()
  if (status === 429) {
    for (const name of ["Limit", "Remaining", "Reset"]) {
      expect(answer.headers.get(`RateLimit-${name}`)).toMatch(/^\d+$/)
    }
  }
}

function seen({ status, body, headers }: ReceivedResponse) {
  return { status, body, reason: headers.get("x-databuddy-reason") }
}

/** Checks the headers of every response, and the CORS headers. */
function expectCommonHeaders({ headers }: ReceivedResponse, sent: ContractRequest | undefined): void {
  expect(headers.get("content-type")).toBe("application/json")
  if (!sent?.headers?.["x-request-id"]) expect(headers.get("x-request-id")).toMatch(uuid)
  const origin = sent?.headers?.origin ?? null
  expect(headers.get("access-control-allow-origin")).toBe(origin)
  expect(headers.get("access-control-allow-credentials")).toBe(origin && "true")
  expect(headers.get("vary")).toBe("Origin")
  expect(headers.get("access-control-expose-headers")).toBe(
    origin &&
      "x-request-id, x-databuddy-reason, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset",
  )
}
