import type { Db, Statement } from "../db/driver.ts"
import { type FoundKey, hashKey, type Key, keysByHash } from "../keys.ts"
import { canonicalWebsiteId, listWebsites, type Website } from "../websites.ts"

/**
 * Minimum time between rechecks in ms. This does not delay the first use of a new key, because creating a key and then
 * using it takes longer.
 */
const recheckInterval = 10

/**
 * Maximum number of cached Authorization headers of valid keys. Each takes up 300 bytes. Clients only send a few
 * distinct headers.
 */
const maxHeaders = 1_000
/**
 * Maximum length of a cached header in characters. `Bearer` and a key take up 44 characters, but additional spaces
 * between them are legal.
 */
const maxHeaderLength = 64

/** All websites and keys, in memory. A running server consults the registry on every request. */
export class Registry {
  readonly #version: Statement
  #loadedVersion = -1
  /** In ms on the `elapsed` clock. */
  #checkedAt = Number.NEGATIVE_INFINITY
  #websites = new Map<string, Website>()
  #keys = new Map<string, FoundKey>()
  /** Maps Authorization headers to the keys they contain. Cleared whenever a key changes. */
  readonly #keysByHeader = new Map<string, FoundKey>()
  /** Maps key IDs to the time of their last use in Unix ms, for uses that have not been written to the database yet. */
  readonly #lastUses = new Map<string, number>()

  /** `elapsed` returns the time of a monotonic clock in ms. */
  constructor(
    private readonly db: Db,
    private readonly elapsed: () => number,
  ) {
    this.#version = db.prepare("select version from registry").pluck()
    this.refresh()
  }

  /** Reloads websites and keys if any process has changed them. Otherwise, only reads one row. */
  refresh(): void {
    const version = this.#version.get() as number
    if (version === this.#loadedVersion) return
    this.#websites = new Map(listWebsites(this.db).map((website) => [website.id, website]))
    this.#keys = keysByHash(this.db)
    this.#keysByHeader.clear()
    this.#loadedVersion = version
  }

  /**
   * Must be called before a request is rejected because of its website or key, which a command might just have created
   * or changed. Reloads the registry and returns true if anything has changed. Reads one row, at most a hundred times
   * per second.
   */
  recheck(): boolean {
    if (this.elapsed() - this.#checkedAt < recheckInterval) return false
    this.#checkedAt = this.elapsed()
    const before = this.#loadedVersion
    try {
      this.refresh()
    } catch {
      // The store also refreshes on a timer, and logs any error.
    }
    return this.#loadedVersion !== before
  }

  website(id: string): Website | undefined {
    return this.#find(id) ?? (this.recheck() ? this.#find(id) : undefined)
  }

  /** First looks up the ID as sent, because nearly all IDs are sent in canonical form and need no conversion. */
  #find(id: string): Website | undefined {
    return this.#websites.get(id) ?? this.#websites.get(canonicalWebsiteId(id))
  }

  /** Returns websites in order of creation. */
  websites(): Website[] {
    return [...this.#websites.values()]
  }

  key(secret: string): FoundKey | undefined {
    return this.#keys.get(hashKey(secret))
  }

  /**
   * Returns the key that an earlier request sent in the same Authorization header, if no key has changed since. The key
   * might be disabled, revoked or expired.
   */
  keyOfHeader(text: string): FoundKey | undefined {
    return this.#keysByHeader.get(text)
  }

  rememberHeader(text: string, key: FoundKey): void {
    if (text.length > maxHeaderLength) return
    if (this.#keysByHeader.size >= maxHeaders) this.#keysByHeader.clear()
    this.#keysByHeader.set(text, key)
  }

  isEmpty(): boolean {
    return this.#websites.size === 0 && this.#keys.size === 0
  }

  recordUse(key: Pick<Key, "id">, now: number): void {
    this.#lastUses.set(key.id, now)
  }

  /** Maps key IDs to the time of their last use in Unix ms, for maintenance to write. */
  pendingUses(): ReadonlyMap<string, number> {
    return new Map(this.#lastUses)
  }

  /** Removes uses that have been written. Keeps later uses of the same keys. */
  clearUses(written: ReadonlyMap<string, number>): void {
    for (const [id, at] of written) if (this.#lastUses.get(id) === at) this.#lastUses.delete(id)
  }
}
