import { codeOf, RequestError, UserError } from "../errors.ts"
import type { Db } from "./db/driver.ts"

/*
 * Websites, keys and users of one server, copied to the files of others: see src/registry/README.md. Triggers make a copy
 * read-only for all programs, see migrations/0027_registry_source.sql.
 */

/** A type of a column. `?`: can be null. Bytes are hex in a copy. */
export type ColumnType = "integer" | "integer?" | "text" | "text?" | "blob" | "blob?"

/** The tables that are copied, and their columns. Times of the last use and of logins belong to each server. */
export const copiedTables = {
  websites: {
    rid: "integer",
    id: "text",
    domain: "text",
    name: "text",
    allowed_origins: "text",
    anonymize: "text",
    retain_ms: "integer?",
    page_identify: "integer",
    lower_is_better: "text",
    created_at: "integer",
    paused_at: "integer?",
    deleted_at: "integer?",
  },
  keys: {
    id: "text",
    name: "text",
    hash: "blob",
    start: "text",
    scopes: "text",
    websites: "text?",
    rate_limit: "integer?",
    created_at: "integer",
    expires_at: "integer?",
    disabled_at: "integer?",
    revoked_at: "integer?",
    previous_hash: "blob?",
    previous_start: "text?",
    previous_expires_at: "integer?",
  },
  users: {
    id: "text",
    email: "text",
    role: "text",
    websites: "text?",
    sections: "text?",
    password: "text?",
    created_at: "integer",
  },
} as const satisfies Record<string, Record<string, ColumnType>>

export type CopiedTable = keyof typeof copiedTables

const tableNames = Object.keys(copiedTables) as CopiedTable[] // Exactly the keys of the object.

type Row = Record<string, string | number | null>
export type RegistryCopy = Record<CopiedTable, Row[]>

/** The server from which a file copies its registry. */
export interface RegistrySource {
  url: string
  /** '': nothing was copied yet. */
  etag: string
  /** Unix ms; 0: never. */
  copiedAt: number
}

const columnsOf = (table: CopiedTable): [name: string, type: ColumnType][] =>
  Object.entries(copiedTables[table])

const sql = {
  hasTable: "select exists (select 1 from sqlite_schema where type = 'table' and name = 'registry_source')",
  source: "select url, etag, copied_at as copiedAt from registry_source",
  hasOwn: `
    select exists (select 1 from websites) or exists (select 1 from keys) or exists (select 1 from users)`,
  follow: `
    insert into registry_source (one, url) values (1, :url) on conflict do update set url = :url, etag = ''`,
  unfollow: "delete from registry_source",
  begin: "update registry_source set copying = 1",
  end: "update registry_source set copying = 0, etag = :etag, copied_at = max(copied_at, :now)",
  current: "update registry_source set copied_at = :now",
  read: (table: CopiedTable) => {
    const columns = columnsOf(table).map(([name, type]) =>
      type.startsWith("blob") ? `lower(hex(${name})) as ${name}` : name,
    )
    return `select ${columns.join(", ")} from ${table} order by 1`
  },
  store: (table: CopiedTable) => {
    const names = columnsOf(table).map(([name]) => name)
    return `
      insert into ${table} (${names.join(", ")}) values (${names.map((name) => `:${name}`).join(", ")})
      on conflict (${names[0]}) do update set ${names.slice(1).map((name) => `${name} = :${name}`)}`
  },
  dropOthers: (table: "keys" | "users") =>
    `delete from ${table} where id not in (select value from json_each(:ids))`,
  endSessions:
    "delete from sessions where user_id in (select id from users where id = :id and password is not :password)",
  // `sweepDeleted` deletes their events, and then their rows.
  deleteWebsites: `
    update websites set deleted_at = :now
    where deleted_at is null and rid not in (select value from json_each(:rids))`,
}

/** Undefined: the websites, keys and users of the file are its own. */
export function registrySource(db: Db): RegistrySource | undefined {
  return db.prepare(sql.source).get() as RegistrySource | undefined
}

/**
 * Makes the file copy its registry from a server. `url`: the value of --registry; `none`: the file keeps the last copy as
 * its own. Throws a UserError if the flag is missing, or if the file has websites, keys or users of its own.
 */
export function followRegistry(db: Db, url: string | undefined): void {
  const source = registrySource(db)
  if (url === undefined && source) {
    throw new UserError(
      `${db.name} copies its websites, keys and users from ${source.url}, and --registry is not set`,
      `start the server with --registry ${source.url}, or with --registry none to manage them here from now on`,
    )
  }
  if (url === undefined || url === source?.url) return
  if (url === "none") {
    db.prepare(sql.unfollow).run()
    return
  }
  if (!source && db.prepare(sql.hasOwn).pluck().get() === 1) {
    throw new UserError(
      `${db.name} has websites, keys or users of its own, which a copy of those of ${url} would replace`,
      "give this server a new file with --db",
    )
  }
  db.prepare(sql.follow).run({ url })
}

export function readRegistry(db: Db): RegistryCopy {
  const rowsOf = (table: CopiedTable) => db.prepare(sql.read(table)).all() as Row[]
  return { websites: rowsOf("websites"), keys: rowsOf("keys"), users: rowsOf("users") }
}

/** Replaces the copy. Runs inside the caller's transaction. `now`: Unix ms. */
export function storeRegistry(db: Db, copy: RegistryCopy, etag: string, now: number): void {
  db.prepare(sql.begin).run()
  const endSessions = db.prepare(sql.endSessions)
  for (const { id, password } of copy.users) endSessions.run({ id, password })
  for (const table of ["keys", "users"] as const)
    db.prepare(sql.dropOthers(table)).run({ ids: JSON.stringify(copy[table].map(({ id }) => id)) })
  // Before the others: a new website can have the id of a deleted one.
  const websites = copy.websites.filter((website) => website.deleted_at === null)
  db.prepare(sql.deleteWebsites).run({ now, rids: JSON.stringify(websites.map(({ rid }) => rid)) })
  for (const table of tableNames) {
    const store = db.prepare(sql.store(table))
    for (const row of table === "websites" ? websites : copy[table]) store.run(valuesOf(table, row))
  }
  db.prepare(sql.end).run({ etag, now })
}

/** Records that the copy is current. `now`: Unix ms. */
export function confirmRegistry(db: Db, now: number): void {
  db.prepare(sql.current).run({ now })
}

/**
 * Runs work that changes copied rows, in a file that no server has open. The next copy replaces the changes. Also accepts a
 * file of a version without copies.
 */
export function withWritableRegistry<Result>(db: Db, work: () => Result): Result {
  if (db.prepare(sql.hasTable).pluck().get() === 0) return work()
  db.exec(sql.begin)
  try {
    return work()
  } finally {
    db.prepare(sql.end).run({ etag: "", now: 0 })
  }
}

function valuesOf(table: CopiedTable, row: Row): Record<string, string | number | Buffer | null> {
  return Object.fromEntries(
    columnsOf(table).map(([name, type]) => {
      const value = row[name] ?? null
      return [name, type.startsWith("blob") && value !== null ? Buffer.from(String(value), "hex") : value]
    }),
  )
}

/**
 * Returns the error to report for a failed change: `registry_elsewhere` if it was one of a copied website, key or user,
 * otherwise the error itself.
 */
export function registryError(db: Db, error: unknown): unknown {
  const source = codeOf(error) === "SQLITE_CONSTRAINT_TRIGGER" ? registrySource(db) : undefined
  if (!source) return error
  return new RequestError("registry_elsewhere", {
    detail: `this server copies its websites, keys and users from ${source.url}: change them there`,
    cause: error,
  })
}
