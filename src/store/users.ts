import { RequestError } from "../errors.ts"
import type { Section } from "../sections.ts"
import type { Db } from "./db/driver.ts"
import type { Role } from "./roles.ts"

/** A person who can log in. */
export interface User {
  id: string
  /** In lower case. */
  email: string
  role: Role
  /** IDs of the websites that the user is limited to. Null: all websites, as for every owner. */
  websites: string[] | null
  /** Sections of the dashboard that the user is limited to. Null: all sections, as for every owner. */
  sections: Section[] | null
  /** In Unix ms, like all `…At` fields. */
  createdAt: number
  lastLoginAt: number | null
}

export type UserSettings = Pick<User, "email" | "role" | "websites" | "sections">

const columns = "id, email, role, websites, sections, created_at, last_login_at"

const sql = {
  list: `select ${columns} from users order by email`,
  find: `select ${columns} from users where id = :id`,
  findEmail: `select ${columns} from users where email = :email`,
  password: "select password from users where id = :id",
  any: "select exists (select 1 from users)",
  owner: `
    select exists (select 1 from users where role = 'owner' and password is not null and id is not :except)`,
  insert: `
    insert into users (id, email, role, websites, sections, password, created_at)
    values (:id, :email, :role, :websites, :sections, :password, :now)
    on conflict (email) do nothing`,
  update: "update users set role = :role, websites = :websites, sections = :sections where id = :id",
  setPassword: "update users set password = :password where id = :id",
  loggedIn: "update users set last_login_at = :now where id = :id",
  delete: "delete from users where id = :id",
}

export interface UserRow {
  id: string
  email: string
  role: Role
  websites: string | null
  sections: string | null
  created_at: number
  last_login_at: number | null
}

export function userFromRow(row: UserRow): User {
  return {
    id: row.id,
    email: row.email,
    role: row.role,
    websites: row.websites === null ? null : JSON.parse(row.websites),
    sections: row.sections === null ? null : JSON.parse(row.sections),
    createdAt: row.created_at,
    lastLoginAt: row.last_login_at,
  }
}

export function listUsers(db: Db): User[] {
  return (db.prepare(sql.list).all() as UserRow[]).map(userFromRow)
}

export function hasUsers(db: Db): boolean {
  return db.prepare(sql.any).pluck().get() === 1
}

/** Returns true if there is an owner with a password, other than the user `except`. */
export function hasOwner(db: Db, except: string | null = null): boolean {
  return db.prepare(sql.owner).pluck().get({ except }) === 1
}

/** Returns a user. Throws `user_not_found` if the user does not exist. */
export function findUser(db: Db, id: string): User {
  const row = db.prepare(sql.find).get({ id }) as UserRow | undefined
  if (!row) throw new RequestError("user_not_found", { detail: `no user has the ID ${id}` })
  return userFromRow(row)
}

/** Returns the user with an email, or undefined if there is none. `email` must be in lower case. */
export function userWithEmail(db: Db, email: string): User | undefined {
  const row = db.prepare(sql.findEmail).get({ email }) as UserRow | undefined
  return row && userFromRow(row)
}

/** Like `userWithEmail`, but throws `user_not_found` if there is none. */
export function requireUserWithEmail(db: Db, email: string): User {
  const user = userWithEmail(db, email)
  if (!user) throw new RequestError("user_not_found", { detail: `no user has the email ${email}` })
  return user
}

/** Returns the password hash, or null if the user has not chosen a password yet. */
export function passwordOf(db: Db, id: string): string | null {
  return (db.prepare(sql.password).pluck().get({ id }) as string | null | undefined) ?? null
}

/**
 * Creates a user. `password` is the hash, or null if the user still has to choose a password. Throws `conflict` if the
 * email is in use.
 */
export function createUser(
  db: Db,
  id: string,
  { email, role, websites, sections }: UserSettings,
  password: string | null,
  now: number,
): User {
  const lists = { websites: jsonOrNull(websites), sections: jsonOrNull(sections) }
  const values = { id, email, role, ...lists, password, now }
  if (db.prepare(sql.insert).run(values).changes === 0) {
    throw new RequestError("conflict", { detail: `a user with the email ${email} already exists` })
  }
  return { id, email, role, websites, sections, createdAt: now, lastLoginAt: null }
}

/** Changes a user and returns the user. Throws `user_not_found` if the user does not exist. */
export function updateUser(
  db: Db,
  id: string,
  changes: Partial<Pick<User, "role" | "websites" | "sections">>,
): User {
  const { role, websites, sections } = { ...findUser(db, id), ...changes }
  db.prepare(sql.update).run({
    id,
    role,
    websites: jsonOrNull(websites),
    sections: jsonOrNull(sections),
  })
  return findUser(db, id)
}

/** Deletes a user along with their login sessions and one-time links. */
export function deleteUser(db: Db, id: string): void {
  db.prepare(sql.delete).run({ id })
}

/** Sets the password of a user. `password` is the hash. */
export function setPassword(db: Db, id: string, password: string): void {
  db.prepare(sql.setPassword).run({ id, password })
}

export function recordLogin(db: Db, id: string, now: number): void {
  db.prepare(sql.loggedIn).run({ id, now })
}

function jsonOrNull(list: readonly string[] | null): string | null {
  return list === null ? null : JSON.stringify(list)
}
