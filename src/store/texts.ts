import type { Db, Statement } from "./db/driver.ts"
import { packId, unpackId } from "./packed-ids.ts"

/*
 * Texts that many events share are stored once, in `texts`, and event rows refer to them by ID. These texts are:
 *
 * - Anonymous and session IDs that are UUIDs, because browsers generate such IDs. Other IDs are stored in the row: they
 *   are usually sent by servers, which send more distinct IDs, and looking these up would cost more than it saves.
 * - Paths and properties of the page script's events, from their second occurrence on. A text that occurs only once
 *   takes up less space in the row.
 */

/** The columns of event_rows that hold either a text or the ID of a text. */
export const textColumns = ["anonymous_id", "session_id", "path", "properties"] as const

/** A value stored in one of `textColumns`: a text, or the ID of a text. */
export type StoredText = string | number | null

/**
 * Minimum and maximum length of texts to intern, in characters. A shorter text takes up little more space than an ID,
 * and an interned text also takes up space in `texts` and in its index.
 */
const minLength = { path: 6, properties: 16 } as const
const maxLength = 1_024

const sql = {
  find: "select id from texts where value = ? and typeof(value) = 'text'",
  insert: (rows: number) => `insert into texts (id, value) values ${Array(rows).fill("(?, ?)").join(", ")}`,
  next: "select max(next_text_id, (select coalesce(max(id), 0) + 1 from texts)) from type_state",
  /** Marks the text as used if a check is running (see unused-event-types.ts). */
  change: "update text_checks set changes = changes + 1 where id = ?",
  check: `
    insert into text_checks (id, changes) values (?, 1)
    on conflict (id) do update set changes = changes + 1`,
  read: "select value from texts where id = ?",
  exists: "select exists (select 1 from sqlite_schema where name = 'texts')",
  last: "select coalesce(max(id), 0) from texts",
  search: `
    select id from texts
    where id > :after and id <= :last and value in (select unhex(value) from json_each(:packed))`,
}

/** Number of texts to search per step. A step takes about 4 ms. */
const textsPerStep = 20_000

/** Numbers of rows per statement. In a statement with 16 rows, a row takes a quarter of the time of a single insert. */
const statementSizes = [16, 4, 1] as const

/** Returns SQL that reads one of `textColumns` as text. */
export function textOf(column: string): string {
  return `iif(typeof(${column}) = 'integer', (select text from text_values where id = ${column}), ${column})`
}

type IdColumn = "anonymous_id" | "session_id"

/**
 * A value to store in one of `textColumns`. IDs are bigints, because the driver binds numbers as reals, and a column of
 * type any does not convert them.
 */
type NewText = string | bigint | null

const noIds = { anonymous_id: { text: "", stored: null }, session_id: { text: "", stored: null } } as const

/**
 * Returns a map from the forms in which `event_rows` can store anonymous IDs to these IDs. The forms of an ID are the
 * ID itself and the ID of its text. Searches all texts with IDs above `afterId`, which takes 0.2 s per million texts,
 * and yields between steps. Works for databases of all versions.
 */
export function* storedFormsOf(
  db: Db,
  anonymousIds: Iterable<string>,
  afterId = 0,
): Generator<void, Map<string | number, string>> {
  const forms = new Map<string | number, string>([...anonymousIds].map((id) => [id, id]))
  const packed = [...anonymousIds].flatMap((id) => packId(id)?.toString("hex") ?? [])
  if (packed.length === 0 || db.prepare(sql.exists).pluck().get() === 0) return forms
  const last = lastTextId(db)
  const search = db.prepare(sql.search).pluck()
  const reader = new TextReader(db)
  for (let after = afterId; after < last; after += textsPerStep) {
    const step = { after, last: Math.min(after + textsPerStep, last), packed: JSON.stringify(packed) }
    for (const id of search.all(step) as number[]) forms.set(id, reader.text(id) as string)
    yield
  }
  return forms
}

/** Like `storedFormsOf`, but calls `pause` between steps. */
export async function storedForms(
  db: Db,
  anonymousIds: Iterable<string>,
  pause: () => Promise<void>,
): Promise<ReadonlyMap<string | number, string>> {
  const search = storedFormsOf(db, anonymousIds)
  for (;;) {
    const { done, value } = search.next()
    if (done) return value
    await pause()
  }
}

export function lastTextId(db: Db): number {
  return db.prepare(sql.last).pluck().get() as number
}

/** Maximum size of the newer generation of a cache, in bytes. This is enough for 20,000 sessions or visitors. */
const generationBytes = 4_194_304
/** Overhead of an entry in bytes, not counting its characters, which take up two bytes each. */
const entryBytes = 100

/** Caches recently used entries in two generations. When the newer generation is full, the older one is dropped. */
class GenerationCache<Key, Value extends {}> {
  #newer = new Map<Key, Value>()
  #older = new Map<Key, Value>()
  #bytes = 0

  /** `charactersOf` returns the length of the text in an entry. */
  constructor(private readonly charactersOf: (key: Key, value: Value) => number) {}

  get(key: Key): Value | undefined {
    const value = this.#newer.get(key)
    if (value !== undefined) return value
    const older = this.#older.get(key)
    if (older !== undefined) this.set(key, older)
    return older
  }

  set(key: Key, value: Value): void {
    if (this.#bytes > generationBytes) {
      this.#older = this.#newer
      this.#newer = new Map()
      this.#bytes = 0
    }
    this.#newer.set(key, value)
    this.#bytes += entryBytes + this.charactersOf(key, value) * 2
  }

  clear(): void {
    this.#newer.clear()
    this.#older.clear()
    this.#bytes = 0
  }
}

/** Finds and creates texts. Runs inside the caller's transaction. */
export class TextInterner {
  readonly #find: Statement
  readonly #next: Statement
  readonly #inserts: { values: number; statement: Statement }[]
  readonly #change: Statement
  readonly #check: Statement
  /** Maps paths and properties to the IDs of their texts. 0n means that the text has occurred once and has no ID. */
  readonly #texts = new GenerationCache<string, bigint>((text) => text.length)
  /**
   * The caches are separate, so that new sessions do not evict visitors and other texts. Visitors come back, but
   * sessions do not.
   */
  readonly #ids: Record<IdColumn, GenerationCache<string, bigint>> = {
    anonymous_id: new GenerationCache((text) => text.length),
    session_id: new GenerationCache((text) => text.length),
  }
  /** The last ID in each column. The events of a request usually have the same IDs. */
  #lastIds: Record<IdColumn, { text: string; stored: NewText }> = { ...noIds }
  /**
   * The ID of the next text. Undefined until a text is created in this transaction, because other connections create
   * texts too.
   */
  #nextId: number | undefined
  /** Texts created since the last `flush`, as alternating IDs and values. */
  #created: unknown[] = []

  constructor(db: Db) {
    this.#find = db.prepare(sql.find).pluck().safeIntegers()
    this.#next = db.prepare(sql.next).pluck()
    this.#inserts = statementSizes.map((size) => ({
      values: size * 2,
      statement: db.prepare(sql.insert(size)),
    }))
    this.#change = db.prepare(sql.change)
    this.#check = db.prepare(sql.check)
  }

  /** Returns the value to store for an anonymous or session ID. */
  storedId(text: string | null, column: IdColumn): NewText {
    // Returns short texts immediately, because most IDs that are not UUIDs are short, and this is the hottest code
    // path.
    if (text === null || text.length < 36) return text
    const last = this.#lastIds[column]
    if (last.text === text) return last.stored
    const cache = this.#ids[column]
    const stored = cache.get(text) ?? this.#packed(text, cache)
    this.#lastIds[column] = { text, stored }
    return stored
  }

  #packed(text: string, cache: GenerationCache<string, bigint>): NewText {
    const packed = packId(text)
    return packed ? this.#create(text, packed, cache) : text
  }

  /** Returns the value to store for a path or for properties. */
  storedText(text: string | null, column: keyof typeof minLength): NewText {
    if (text === null || text.length < minLength[column] || text.length > maxLength) return text
    const cached = this.#texts.get(text)
    if (cached) return cached
    if (cached === undefined) {
      this.#texts.set(text, 0n)
      return text
    }
    // This finds every text that is not in the cache. Texts that have not been inserted yet are in the cache, because
    // it does not evict its newest entries.
    const existing = this.#find.get(text) as bigint | undefined
    if (existing === undefined) return this.#create(text, text, this.#texts)
    this.#change.run(existing)
    this.#texts.set(text, existing)
    return existing
  }

  #create(text: string, value: string | Buffer, cache: GenerationCache<string, bigint>): bigint {
    this.#nextId ??= this.#next.get() as number
    this.#created.push(this.#nextId, value)
    const id = BigInt(this.#nextId++)
    cache.set(text, id)
    return id
  }

  /** Must be called at the start of each transaction. */
  begin(): void {
    this.#nextId = undefined
  }

  /**
   * Inserts the texts that were created since the last call. Must be called after the event rows that refer to them
   * have been inserted. `rowsSkipped` means that some rows were not inserted, so that some texts might be unused.
   */
  flush(rowsSkipped: boolean): void {
    if (this.#created.length === 0) return
    const created = this.#created
    let next = 0
    for (const { values, statement } of this.#inserts)
      for (; created.length - next >= values; next += values)
        statement.run(created.slice(next, next + values))
    if (rowsSkipped) for (let index = 0; index < created.length; index += 2) this.#check.run(created[index])
    this.#created = []
  }

  /** Must be called after a rollback, and after a check for unused texts has started. */
  clear(): void {
    this.#texts.clear()
    for (const cache of Object.values(this.#ids)) cache.clear()
    this.#lastIds = { ...noIds }
    this.#nextId = undefined
    this.#created = []
  }
}

/** Reads texts by ID, and caches them. */
export class TextReader {
  readonly #read: Statement
  readonly #texts = new GenerationCache<number, string>((_, text) => text.length)

  constructor(db: Db) {
    this.#read = db.prepare(sql.read).pluck()
  }

  /** Returns the text of a stored value, or undefined if the text was deleted. */
  text(stored: StoredText): string | null | undefined {
    if (typeof stored !== "number") return stored
    const cached = this.#texts.get(stored)
    if (cached !== undefined) return cached
    const value = this.#read.get(stored) as string | Uint8Array | undefined
    if (value === undefined) return undefined
    const text = typeof value === "string" ? value : unpackId(value)
    this.#texts.set(stored, text)
    return text
  }
}
