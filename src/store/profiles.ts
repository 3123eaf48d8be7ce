import { RequestError } from "../errors.ts"
import type { DailyHash } from "./daily-hash.ts"
import type { Db, Statement } from "./db/driver.ts"

export type Traits = Record<string, string | number | boolean | null>

export interface Identity {
  websiteRid: number
  profileId: string
  anonymousId: string | null
  /** Store a hash of `anonymousId`, as the website's events have it. */
  hashVisitor: boolean
  /** Merged into what is known; null removes one. */
  traits: Traits
}

/** Traits that a profile keeps: a request has its own limit, and without this one any number of them could fill a profile. */
export const maxTraits = 200
/** UTF-8 bytes of them, serialised. */
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

/** Keeps who people are. Works inside the caller's transaction. */
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

  /** Throws `invalid_shape` where more traits would be kept than a profile may have. */
  identify({ websiteRid, profileId, anonymousId, hashVisitor, traits }: Identity, now: number): void {
    const known = this.#traits.get({ websiteRid, profileId }) as string | undefined
    const merged = new Map<string, unknown>(Object.entries(known ? JSON.parse(known) : {}))
    for (const [key, value] of Object.entries(traits)) {
      if (value === null) merged.delete(key)
      else merged.set(key, key === "email" && typeof value === "string" ? value.toLowerCase() : value)
    }
    const serialised = JSON.stringify(Object.fromEntries(merged))
    if (merged.size > maxTraits || Buffer.byteLength(serialised) > maxTraitBytes) throw tooManyTraitsError()
    this.#save.run({ websiteRid, profileId, ...searchColumns(merged), traits: serialised, now })
    if (anonymousId === null) return
    this.#link.run({
      websiteRid,
      profileId,
      anonymousId: hashVisitor ? this.dailyHash.hash(anonymousId, websiteRid, now) : anonymousId,
      now,
    })
  }
}

/** The columns that are copies of traits. */
function searchColumns(traits: ReadonlyMap<string, unknown>) {
  const column = (key: string) => {
    const value = traits.get(key)
    return typeof value === "string" ? value : null
  }
  return { email: column("email"), name: column("name"), username: column("username") }
}

/** A profile as it was kept elsewhere. False where the one that is here was told of as lately. Works inside the caller's transaction. */
export function restoreProfile(
  db: Db,
  profile: { websiteRid: number; profileId: string; traits: Traits; createdAt: number; updatedAt: number },
): boolean {
  const { traits, ...rest } = profile
  const columns = searchColumns(new Map(Object.entries(traits)))
  return db.prepare(sql.restore).run({ ...rest, ...columns, traits: JSON.stringify(traits) }).changes > 0
}

/** The same of a link. False where it was here. */
export function restoreLink(
  db: Db,
  link: { websiteRid: number; anonymousId: string; profileId: string; linkedAt: number },
): boolean {
  const { linkedAt: now, ...rest } = link
  return db.prepare(sql.link).run({ ...rest, now }).changes > 0
}

function tooManyTraitsError(): RequestError {
  const message = `must come to at most ${maxTraits} and ${maxTraitBytes} bytes of JSON with those kept before; null removes one`
  return new RequestError("invalid_shape", { fields: [{ field: "traits", message }] })
}
