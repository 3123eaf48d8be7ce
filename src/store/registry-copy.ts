import { codeOf, RequestError, UserError } from "../errors.ts"
import type { Db } from "./db/driver.ts"

/*
 * Copies the websites, keys and users of one server to the files of other servers (see src/registry/README.md).
 * Triggers make a copy read-only for all programs (see migrations/0027_registry_source.sql).
 */

/** The type of a column. Types with `?` allow null. Blobs are hexadecimal strings in a copy. */
export type ColumnType = "integer" | "integer?" | "text" | "text?" | "blob" | "blob?"

/**
 * The tables and columns that are copied. Times of last use and last login are not copied, because each server has its
 * own.
 */
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
  deleted_websites: {
    rid: "integer",
    id: "text",
    deleted_at: "integer",
  },
} as const satisfies Record<string, Record<string, ColumnType>>

export type CopiedTable = keyof typeof copiedTables

// The type assertion is needed because Object.keys does not preserve the literal types.
const tableNames = Object.keys(copiedTables) as CopiedTable[]

type Row = Record<string, string | number | null>

export interface RegistryIdentity {
  /** Random ID of the registry. */
  registry: string
  /** Increases with each change. */
  revision: number
}

export type RegistryCopy = RegistryIdentity & Record<CopiedTable, Row[]>

/** The server from which a file copies its registry. */
export interface RegistrySource {
  url: string
  /** Empty until the first copy. */
  etag: string
  /** Time of the last copy in Unix ms, or 0 if there was none. */
  copiedAt: number
  /** Why the last response was not accepted. Empty if it was accepted. */
  problem: string
}

const columnsOf = (table: CopiedTable): [name: string, type: ColumnType][] =>
  Object.entries(copiedTables[table])

const sql = {
  hasTable: "select exists (select 1 from sqlite_schema where type = 'table' and name = 'registry_source')",
  source: "select url, etag, copied_at as copiedAt, problem from registry_source",
  identity: "select id as registry, revision from registry_identity",
  hasOwn: `
    select exists (select 1 from websites) or exists (select 1 from keys) or exists (select 1 from users)`,
  // Returns 1 if `--registry none` made the copy the file's own registry, and the registry has not changed since.
  isFormerCopy: "select left_revision is revision from registry_identity",
  follow: `
    insert into registry_source (one, url) values (1, :url) on conflict do update set url = :url, etag = ''`,
  leave: "update registry_identity set left_revision = revision where exists (select 1 from registry_source)",
  unfollow: "delete from registry_source",
  acceptsAny: "select accepts_any from registry_source",
  identify: "update registry_identity set id = :registry, revision = :revision",
  begin: "update registry_source set copying = 1",
  end: "update registry_source set copying = 0, etag = :etag, copied_at = max(copied_at, :now)",
  accept: "update registry_source set accepts_any = 0, problem = ''",
  current: "update registry_source set copied_at = :now, problem = ''",
  report: "update registry_source set problem = :problem",
  deleted: `
    select id from deleted_websites
    where id not in (select id from websites where deleted_at is null)`,
  // In the next two queries, `:listed` is a JSON array of the websites in the new copy, including deleted ones.
  reused: `
    select mine.id as mine, theirs.value ->> 'id' as theirs
    from (select rid, id from websites union select rid, id from deleted_websites) as mine
    join json_each(:listed) as theirs on theirs.value ->> 'rid' = mine.rid
    where theirs.value ->> 'id' <> mine.id
    limit 1`,
  missing: `
    select id from websites
    where deleted_at is null and rid not in (select value ->> 'rid' from json_each(:listed))
    order by rid
    limit 1`,
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
  // `sweepDeleted` deletes the events of these websites, and then the websites.
  deleteWebsites: `
    update websites set deleted_at = :now
    where deleted_at is null and rid not in (select value from json_each(:rids))`,
}

/** Returns the server from which the file copies its registry, or undefined if the file has its own registry. */
export function registrySource(db: Db): RegistrySource | undefined {
  return db.prepare(sql.source).get() as RegistrySource | undefined
}

/**
 * Makes the file copy its registry from `url`, the value of --registry. If `url` is `none`, the file keeps the last
 * copy as its own registry. As long as that registry has not changed, the file can become a copy again, and then
 * accepts any registry. Throws a UserError if the file contains a copy and `url` is undefined, or if the file has its
 * own websites, keys or users.
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
    db.prepare(sql.leave).run()
    db.prepare(sql.unfollow).run()
    return
  }
  const value = (text: string) => db.prepare(text).pluck().get()
  if (!source && value(sql.hasOwn) === 1 && value(sql.isFormerCopy) === 0) {
    throw new UserError(
      `${db.name} has websites, keys or users of its own, which a copy of the registry of ${url} would replace`,
      "give this server a new file with --db",
    )
  }
  db.prepare(sql.follow).run({ url })
}

export function readRegistry(db: Db): RegistryCopy {
  const rowsOf = (table: CopiedTable) => db.prepare(sql.read(table)).all() as Row[]
  return {
    ...registryIdentity(db),
    websites: rowsOf("websites"),
    keys: rowsOf("keys"),
    users: rowsOf("users"),
    deleted_websites: rowsOf("deleted_websites"),
  }
}

export function registryIdentity(db: Db): RegistryIdentity {
  return db.prepare(sql.identity).get() as RegistryIdentity
}

/**
 * Replaces the stored copy with a new one. Runs inside the caller's transaction. `now` is in Unix ms. If the new copy
 * would delete websites or mix them up, because the other server has a wrong or an older database, returns an error and
 * changes nothing.
 */
export function storeRegistry(db: Db, copy: RegistryCopy, etag: string, now: number): UserError | undefined {
  const problem = problemOf(db, copy)
  if (problem) return problem
  db.prepare(sql.begin).run()
  const endSessions = db.prepare(sql.endSessions)
  for (const { id, password } of copy.users) endSessions.run({ id, password })
  for (const table of ["keys", "users"] as const)
    db.prepare(sql.dropOthers(table)).run({ ids: JSON.stringify(copy[table].map(({ id }) => id)) })
  // Deletes websites before storing others, because a new website might have the ID of a deleted one.
  const websites = copy.websites.filter((website) => website.deleted_at === null)
  db.prepare(sql.deleteWebsites).run({ now, rids: JSON.stringify(websites.map(({ rid }) => rid)) })
  for (const table of tableNames) {
    const store = db.prepare(sql.store(table))
    for (const row of table === "websites" ? websites : copy[table]) store.run(valuesOf(table, row))
  }
  db.prepare(sql.identify).run({ registry: copy.registry, revision: copy.revision })
  db.prepare(sql.accept).run()
  db.prepare(sql.end).run({ etag, now })
  return undefined
}

function problemOf(db: Db, copy: RegistryCopy): UserError | undefined {
  const listed = JSON.stringify(
    [...copy.websites, ...copy.deleted_websites].map(({ rid, id }) => ({ rid, id })),
  )
  const url = registrySource(db)?.url ?? ""
  const reused = db.prepare(sql.reused).get({ listed }) as { mine: string; theirs: string } | undefined
  const acceptsAny = db.prepare(sql.acceptsAny).pluck().get() === 1
  const difference = acceptsAny ? undefined : differenceOf(db, copy, listed)
  if (difference === undefined && !reused) return undefined
  const mixedUp =
    reused &&
    `has the website ${reused.theirs} where this copy has the website ${reused.mine}, so events would move to another website`
  return new UserError(
    `${url} ${difference ?? mixedUp}`,
    `correct --db of that server or restore its database; ${
      reused
        ? "to accept its state, give this server a new file"
        : `to accept its state, and delete the websites that it lacks with their events, start this server with --registry none, and then again with --registry ${url}`
    }`,
  )
}

function differenceOf(db: Db, copy: RegistryCopy, listed: string): string | undefined {
  const { registry, revision } = registryIdentity(db)
  if (copy.registry !== registry) return "has a different registry from the one that was copied"
  if (copy.revision < revision)
    return `has an older registry: its revision is ${copy.revision}, and the revision of the copy is ${revision}`
  const missing = db.prepare(sql.missing).pluck().get({ listed }) as string | undefined
  return missing === undefined ? undefined : `lacks the website ${missing}, which was not deleted`
}

/** Records why a response was not accepted. */
export function reportProblem(db: Db, problem: string): void {
  db.prepare(sql.report).run({ problem })
}

/** Returns the IDs of deleted websites, except those that have been created again. */
export function deletedWebsites(db: Db): Set<unknown> {
  return new Set(db.prepare(sql.deleted).pluck().all())
}

/** Records that the copy is up to date at `now` (Unix ms). */
export function confirmRegistry(db: Db, now: number): void {
  db.prepare(sql.current).run({ now })
}

/**
 * Runs `work`, which is allowed to change copied rows, and returns its result. The next copy overwrites the changes.
 * Must be called while no server has the file open. Also accepts a file of an earlier version, which has no copied
 * rows.
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
 * Returns the error to report for a failed change: `registry_elsewhere` if a copied website, key or user would have
 * changed, otherwise the error itself.
 */
export function registryError(db: Db, error: unknown): unknown {
  const source = codeOf(error) === "SQLITE_CONSTRAINT_TRIGGER" ? registrySource(db) : undefined
  if (!source) return error
  return new RequestError("registry_elsewhere", {
    detail: `this server copies its websites, keys and users from ${source.url}: change them there`,
    cause: error,
  })
}
