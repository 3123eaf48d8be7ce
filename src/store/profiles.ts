import { RequestError } from "../errors.ts"
import type { DailyHash } from "./daily-hash.ts"
import type { Db, Statement } from "./db/driver.ts"

export type Traits = Record<string, string | number | boolean | null>

export interface Identity {
  websiteRid: number
  profileId: string
  anonymousId: string | null
  /** If true, `anonymousId` is stored as a hash, as in the events of the website. */
  hashVisitor: boolean
  /** Merged into the stored traits. Null removes a trait. */
  traits: Traits
  /**
   * True if a page sent the request without a key. Anyone can do that, so claims never change values that were sent
   * with a key.
   */
  isClaim?: boolean
}

/**
 * Maximum number of traits per profile. Each request has its own limit, but many requests together could add any number
 * of traits.
 */
export const maxTraits = 200
/** Maximum size of a profile's traits as JSON, in UTF-8 bytes. */
export const maxTraitBytes = 16_384
/**
 * Maximum number of anonymous IDs that pages can link to a profile, which allows one new ID a day for more than two
 * years. Further links are not stored.
 */
const maxClaimedLinks = 1_000

const sql = {
  stored: "select traits, claimed from profiles where website_rid = :websiteRid and profile_id = :profileId",
  save: `
    insert into profiles (website_rid, profile_id, email, name, username, traits, claimed, created_at, updated_at)
    values (:websiteRid, :profileId, :email, :name, :username, :traits, :claimed, :now, :now)
    on conflict (website_rid, profile_id) do update
    set email = excluded.email, name = excluded.name, username = excluded.username, traits = excluded.traits,
      claimed = excluded.claimed, updated_at = excluded.updated_at`,
  link: `
    insert into profile_links (website_rid, anonymous_id, profile_id, linked_at, claimed)
    values (:websiteRid, :anonymousId, :profileId, :now, 0)
    on conflict do nothing`,
  deleteClaims:
    "delete from profile_links where website_rid = :websiteRid and anonymous_id = :anonymousId and claimed = 1",
  claim: `
    insert into profile_links (website_rid, anonymous_id, profile_id, linked_at, claimed)
    select :websiteRid, :anonymousId, :profileId, :now, 1
    where not exists (
        select 1 from profile_links
        where website_rid = :websiteRid and anonymous_id = :anonymousId and claimed = 0
      )
      and (select count(*) from (
        select 1 from profile_links indexed by profile_links_profile
        where website_rid = :websiteRid and profile_id = :profileId and claimed = 1
        limit ${maxClaimedLinks}
      )) < ${maxClaimedLinks}
    on conflict do nothing`,
  restore: `
    insert into profiles (website_rid, profile_id, email, name, username, traits, claimed, created_at, updated_at)
    values (:websiteRid, :profileId, :email, :name, :username, :traits, :claimed, :createdAt, :updatedAt)
    on conflict (website_rid, profile_id) do update
    set email = excluded.email, name = excluded.name, username = excluded.username, traits = excluded.traits,
      claimed = excluded.claimed,
      created_at = min(created_at, excluded.created_at), updated_at = excluded.updated_at
    where excluded.updated_at > updated_at`,
}

/** Stores profiles and their links to visitors. Runs inside the caller's transaction. */
export class Profiles {
  readonly #stored: Statement
  readonly #save: Statement
  readonly #link: Statement
  readonly #deleteClaims: Statement
  readonly #claim: Statement

  constructor(
    db: Db,
    private readonly dailyHash: DailyHash,
  ) {
    this.#stored = db.prepare(sql.stored)
    this.#save = db.prepare(sql.save)
    this.#link = db.prepare(sql.link)
    this.#deleteClaims = db.prepare(sql.deleteClaims)
    this.#claim = db.prepare(sql.claim)
  }

  /**
   * Creates or updates a profile, and links it to the visitor if there is one. Throws `invalid_shape` if the traits of
   * the profile would be too many or too large.
   */
  identify(identity: Identity, now: number): void {
    const { websiteRid, profileId, anonymousId, hashVisitor, isClaim = false } = identity
    const { traits, claimed } = this.#merge(identity)
    const json = JSON.stringify(Object.fromEntries(traits))
    if (isTooLarge(traits, json)) throw tooManyTraitsError()
    this.#save.run({
      websiteRid,
      profileId,
      ...searchColumns(traits),
      traits: json,
      claimed: JSON.stringify([...claimed]),
      now,
    })
    if (anonymousId === null) return
    const stored = hashVisitor ? this.dailyHash.hash(anonymousId, websiteRid, now) : anonymousId
    const link = { websiteRid, profileId, anonymousId: stored, now }
    if (isClaim) {
      this.#claim.run(link)
      return
    }
    // A link made by a key replaces claims, so that a visitor has either links made by keys or claims, but never both.
    this.#deleteClaims.run({ websiteRid, anonymousId: stored })
    this.#link.run(link)
  }

  /**
   * Merges the traits into the stored traits. A claim can add traits and change claimed ones, but not change traits
   * that were sent with a key.
   */
  #merge({ websiteRid, profileId, traits, isClaim = false }: Identity) {
    const stored = this.#stored.get({ websiteRid, profileId }) as
      | { traits: string; claimed: string }
      | undefined
    const merged = new Map<string, unknown>(Object.entries(stored ? JSON.parse(stored.traits) : {}))
    const claimed = new Set<string>(stored ? JSON.parse(stored.claimed) : [])
    for (const [key, value] of Object.entries(traits)) {
      if (isClaim && merged.has(key) && !claimed.has(key)) continue
      if (value === null) merged.delete(key)
      else merged.set(key, key === "email" && typeof value === "string" ? value.toLowerCase() : value)
      if (isClaim && value !== null) claimed.add(key)
      else claimed.delete(key)
    }
    // If a request with a key would make the profile too large, drops all claimed traits. Otherwise, pages could fill a
    // profile so that requests from the owner's backend would be rejected.
    if (!isClaim && isTooLarge(merged, JSON.stringify(Object.fromEntries(merged)))) {
      for (const key of claimed) merged.delete(key)
      claimed.clear()
    }
    return { traits: merged, claimed }
  }
}

/** Returns true if there are too many traits, or if `json`, which contains the traits, is too long. */
function isTooLarge(traits: ReadonlyMap<string, unknown>, json: string): boolean {
  return traits.size > maxTraits || Buffer.byteLength(json) > maxTraitBytes
}

/** Returns the traits that are copied to columns for searching. */
function searchColumns(traits: ReadonlyMap<string, unknown>) {
  const column = (key: string) => {
    const value = traits.get(key)
    return typeof value === "string" ? value : null
  }
  return { email: column("email"), name: column("name"), username: column("username") }
}

/**
 * Imports a profile. Returns false if the stored profile is at least as recent. Runs inside the caller's transaction.
 */
export function restoreProfile(
  db: Db,
  profile: {
    websiteRid: number
    profileId: string
    traits: Traits
    /** Names of the traits that were sent only by a page. */
    claimed: readonly string[]
    createdAt: number
    updatedAt: number
  },
): boolean {
  const { traits, claimed, ...values } = profile
  const columns = searchColumns(new Map(Object.entries(traits)))
  return (
    db.prepare(sql.restore).run({
      ...values,
      ...columns,
      traits: JSON.stringify(traits),
      claimed: JSON.stringify(claimed),
    }).changes > 0
  )
}

/**
 * Imports a link. Returns false if the link exists, or if it is a claim about a visitor that was linked with a key.
 * Runs inside the caller's transaction.
 */
export function restoreLink(
  db: Db,
  link: { websiteRid: number; anonymousId: string; profileId: string; linkedAt: number; isClaim: boolean },
): boolean {
  const { linkedAt: now, isClaim, ...values } = link
  if (isClaim) return db.prepare(sql.claim).run({ ...values, now }).changes > 0
  const { websiteRid, anonymousId } = link
  db.prepare(sql.deleteClaims).run({ websiteRid, anonymousId })
  return db.prepare(sql.link).run({ ...values, now }).changes > 0
}

function tooManyTraitsError(): RequestError {
  const message = `must be at most ${maxTraits} traits and ${maxTraitBytes} bytes of JSON, together with the stored traits of the profile: set some of them to null to remove them`
  return new RequestError("invalid_shape", { fields: [{ field: "traits", message }] })
}
