import { acquisitionFields, clientFields } from "./contexts.ts"
import type { Db, Statement } from "./db/driver.ts"

/**
 * The tables that store contexts, which are sets of values that many events share. `checks` is explained in
 * unused-event-types.ts. `column` is the column of event_rows that references the context table.
 */
export const contextTables = {
  client: {
    table: "client_contexts",
    checks: "client_context_checks",
    column: "client_id",
    fields: clientFields,
  },
  acquisition: {
    table: "acquisition_contexts",
    checks: "acquisition_context_checks",
    column: "acquisition_id",
    fields: acquisitionFields,
  },
} as const

export type ContextKind = keyof typeof contextTables

/** A context of either kind, as stored in the database. */
export type Context = Readonly<Record<string, string>>

/**
 * Maximum size of the cached context IDs, in bytes. This is enough for about 40,000 ordinary contexts, or 3,000 with
 * the longest referrers. The cache is cleared when it is full.
 */
const cachedIdBytes = 8_388_608
/** Overhead of an entry in bytes, not counting its characters, which take up two bytes each. */
const entryBytes = 100

/** Finds and creates the contexts of one kind. Runs inside the caller's transaction. */
export class ContextInterner {
  readonly #fields: readonly string[]
  readonly #find: Statement
  readonly #insert: Statement
  readonly #change: Statement
  readonly #ids = new Map<string, number>()
  #bytes = 0
  /**
   * IDs by object identity. The items of a request usually share one client context object, and items with the same
   * referrer share one acquisition context object.
   */
  #idsByObject = new WeakMap<Context, number>()
  /** The last context and its ID. The rows of a request usually have the same contexts. */
  #last: { context: Context; id: number } | undefined

  constructor(db: Db, kind: ContextKind) {
    const { table, fields } = contextTables[kind]
    this.#fields = fields
    this.#find = db
      .prepare(`select id from ${table} where ${fields.map((field) => `${field} = ?`).join(" and ")}`)
      .pluck()
    this.#insert = db.prepare(
      `insert into ${table} (${fields.join(", ")}) values (${fields.map(() => "?").join(", ")})`,
    )
    // Marks the context as used if a check is running (see unused-event-types.ts).
    this.#change = db.prepare(`update ${contextTables[kind].checks} set changes = changes + 1 where id = :id`)
  }

  /**
   * Returns the ID of a context, storing the context if it is new. Returns null if there is no context or if all fields
   * are ''.
   */
  idOf(context: Context | null | undefined): number | null {
    if (!context) return null
    if (this.#last?.context === context) return this.#last.id
    const known = this.#idsByObject.get(context)
    const id = known ?? this.#lookUp(context)
    if (id === null) return null
    if (known === undefined) this.#idsByObject.set(context, id)
    this.#last = { context, id }
    return id
  }

  #lookUp(context: Context): number | null {
    const values = this.#fields.map((field) => context[field] ?? "")
    const key = values.join("\0")
    const cached = this.#ids.get(key)
    if (cached !== undefined) return cached
    if (values.every((value) => value === "")) return null
    const existing = this.#find.get(values) as number | undefined
    if (existing !== undefined) this.#change.run({ id: existing })
    const id = existing ?? Number(this.#insert.run(values).lastInsertRowid)
    if (this.#bytes > cachedIdBytes) this.clear()
    this.#ids.set(key, id)
    this.#bytes += entryBytes + key.length * 2
    return id
  }

  /** Must be called after a rollback, and after a check for unused contexts has started. */
  clear(): void {
    this.#ids.clear()
    this.#bytes = 0
    this.#idsByObject = new WeakMap()
    this.#last = undefined
  }
}

/**
 * Maximum size of the cached contexts, and overhead of a context, not counting the characters of its values. Both are
 * in bytes. The cache is limited because senders choose most of the strings, so there can be any number of contexts.
 */
const readMemory = 16_777_216
const contextBytes = 600

/** Reads contexts of one kind by ID, and caches them. */
export class ContextReader {
  readonly #select: Statement
  readonly #contexts = new Map<number, Context>()
  #bytes = 0

  constructor(db: Db, kind: ContextKind) {
    const { table, fields } = contextTables[kind]
    this.#select = db.prepare(`select ${fields.join(", ")} from ${table} where id = :id`)
  }

  /** Returns the context with this ID, or undefined if the context has been deleted. */
  read(id: number): Context | undefined {
    const known = this.#contexts.get(id)
    if (known) return known
    const context = this.#select.get({ id }) as Context | undefined
    if (!context) return undefined
    if (this.#bytes > readMemory) {
      this.#contexts.clear()
      this.#bytes = 0
    }
    this.#contexts.set(id, context)
    this.#bytes += contextBytes
    for (const value of Object.values(context)) this.#bytes += 2 * value.length
    return context
  }
}
