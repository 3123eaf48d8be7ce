import { RequestError } from "../errors.ts"
import type { DailyHash } from "./daily-hash.ts"
import type { Db, Statement } from "./db/driver.ts"

export type Traits = Record<string, string | number | boolean | null>

export interface Identity {
  websiteRid: number
  profileId: string
  anonymousId: string | null
  /** Store a hash of `anonymousId`, as in the events of the website. */
  hashVisitor: boolean
  /** Merged into the stored traits; null removes a trait. */
  traits: Traits
}

/** Traits per profile. A request has its own limit, but many requests could fill a profile. */
export const maxTraits = 200
/** UTF-8 bytes of the traits of a profile as JSON. */
export const maxTraitBytes = 16_384

const sql = {
  traits: "select traits from profiles where website_rid = :websiteRid and profile_id = :profileId",
  save: `
    insert into profiles (website_rid, profile_id, email, name, username, traits, created_at, updated_at)
    values (:websiteRid, :profileId, :email, :name, :username, :traits, :now, :now)
    on conflict (website_rid, profile_id) do update
    set email = excluded.email, name = excluded.name, username = excluded.username, traits = excluded.traits,
      updated_at = excluded.updated_at`,
  link: `
    insert into profile_links (website_rid, anonymous_id, profile_id, linked_at)
    values (:websiteRid, :anonymousId, :profileId, :now)
    on conflict do nothing`,
  restore: `
    insert into profiles (website_rid, profile_id, email, name, username, traits, created_at, updated_at)
    values (:websiteRid, :profileId, :email, :name, :username, :traits, :createdAt, :updatedAt)
    on conflict (website_rid, profile_id) do update
    set email = excluded.email, name = excluded.name, username = excluded.username, traits = excluded.traits,
      created_at = min(created_at, excluded.created_at), updated_at = excluded.updated_at
    where excluded.updated_at > updated_at`,
}

/** Stores profiles and their links to visitors. Runs inside the caller's transaction. */
export class Profiles {
  readonly #traits: Statement
  readonly #save: Statement
  readonly #link: Statement

  constructor(
    db: Db,
    private readonly dailyHash: DailyHash,
  ) {
    this.#traits = db.prepare(sql.traits).pluck()
    this.#save = db.prepare(sql.save)
    this.#link = db.prepare(sql.link)
  }

  /** Updates a profile and links it to the visitor. Throws `invalid_shape` if the profile would have too many traits. */
  identify({ websiteRid, profileId, anonymousId, hashVisitor, traits }: Identity, now: number): void {
    const stored = this.#traits.get({ websiteRid, profileId }) as string | undefined
    const merged = new Map<string, unknown>(Object.entries(stored ? JSON.parse(stored) : {}))
    for (const [key, value] of Object.entries(traits)) {
      if (value === null) merged.delete(key)
      else merged.set(key, key === "email" && typeof value === "string" ? value.toLowerCase() : value)
    }
    const json = JSON.stringify(Object.fromEntries(merged))
    if (merged.size > maxTraits || Buffer.byteLength(json) > maxTraitBytes) throw tooManyTraitsError()
    this.#save.run({ websiteRid, profileId, ...searchColumns(merged), traits: json, now })
    if (anonymousId === null) return
    this.#link.run({
      websiteRid,
      profileId,
      anonymousId: hashVisitor ? this.dailyHash.hash(anonymousId, websiteRid, now) : anonymousId,
      now,
    })
  }
}

/** Columns with copies of traits, for the search. */
function searchColumns(traits: ReadonlyMap<string, unknown>) {
  const column = (key: string) => {
    const value = traits.get(key)
    return typeof value === "string" ? value : null
  }
  return { email: column("email"), name: column("name"), username: column("username") }
}

/** Imports a profile. False if the stored one is as recent or newer. Runs inside the caller's transaction. */
export function restoreProfile(
  db: Db,
  profile: { websiteRid: number; profileId: string; traits: Traits; createdAt: number; updatedAt: number },
): boolean {
  const { traits, ...values } = profile
  const columns = searchColumns(new Map(Object.entries(traits)))
  return db.prepare(sql.restore).run({ ...values, ...columns, traits: JSON.stringify(traits) }).changes > 0
}

/** Imports a link. False if it exists. Runs inside the caller's transaction. */
export function restoreLink(
  db: Db,
  link: { websiteRid: number; anonymousId: string; profileId: string; linkedAt: number },
): boolean {
  const { linkedAt: now, ...values } = link
  return db.prepare(sql.link).run({ ...values, now }).changes > 0
}

function tooManyTraitsError(): RequestError {
  const message = `must be at most ${maxTraits} traits and ${maxTraitBytes} bytes of JSON, together with the stored traits of the profile: set some of them to null to remove them`
  return new RequestError("invalid_shape", { fields: [{ field: "traits", message }] })
}
