import type { Db, Statement } from "../db/driver.ts"
import { type FoundKey, hashKey, type Key, keysByHash } from "../keys.ts"
import { canonicalWebsiteId, listWebsites, type Website } from "../websites.ts"

/** Minimum ms between two rechecks. Creating a key and using it takes longer. */
const recheckInterval = 10

/** Maximum cached Authorization headers of valid keys, 300 bytes each. Clients send few distinct headers. */
const maxHeaders = 1_000
/** Maximum characters of a cached header. `Bearer` and a key have 44; more spaces between them are legal. */
const maxHeaderLength = 64

/** Websites and keys in memory. A running server consults them on every request. */
export class Registry {
  readonly #version: Statement
  #loadedVersion = -1
  /** ms */
  #checkedAt = Number.NEGATIVE_INFINITY
  #websites = new Map<string, Website>()
  #keys = new Map<string, FoundKey>()
  /** Text of an Authorization header → the key it names. Cleared with every change of a key. */
  readonly #keysByHeader = new Map<string, FoundKey>()
  /** Key id → last use in Unix ms, not written to the database yet. */
  readonly #lastUses = new Map<string, number>()

  /** `elapsed`: ms of a monotonic clock. */
  constructor(
    private readonly db: Db,
    private readonly elapsed: () => number,
  ) {
    this.#version = db.prepare("select version from registry").pluck()
    this.refresh()
  }

  /** Reloads websites and keys if any process has changed them. Otherwise, reads one row. */
  refresh(): void {
    const version = this.#version.get() as number
    if (version === this.#loadedVersion) return
    this.#websites = new Map(listWebsites(this.db).map((website) => [website.id, website]))
    this.#keys = keysByHash(this.db)
    this.#keysByHeader.clear()
    this.#loadedVersion = version
  }

  /**
   * Reloads before a request is rejected for an unknown or unsuitable website or key: the command line might just have
   * changed it. True if anything has changed. Reads one row, at most a hundred times per second.
   */
  recheck(): boolean {
    if (this.elapsed() - this.#checkedAt < recheckInterval) return false
    this.#checkedAt = this.elapsed()
    const before = this.#loadedVersion
    try {
      this.refresh()
    } catch {
      // The store also refreshes on a timer, and logs the error.
    }
    return this.#loadedVersion !== before
  }

  website(id: string): Website | undefined {
    return this.#find(id) ?? (this.recheck() ? this.#find(id) : undefined)
  }

  /** Nearly all ids are sent in canonical form, and are found without a conversion. */
  #find(id: string): Website | undefined {
    return this.#websites.get(id) ?? this.#websites.get(canonicalWebsiteId(id))
  }

  /** In order of creation. */
  websites(): Website[] {
    return [...this.#websites.values()]
  }

  key(secret: string): FoundKey | undefined {
    return this.#keys.get(hashKey(secret))
  }

  /**
   * The key that an earlier request used with the same header, if no key has changed since. It can be disabled, revoked
   * or expired.
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

  /** Key id → last use in Unix ms, to be written by maintenance. */
  pendingUses(): ReadonlyMap<string, number> {
    return new Map(this.#lastUses)
  }

  /** Drops uses that were written. Keeps a later use of the same key. */
  clearUses(written: ReadonlyMap<string, number>): void {
    for (const [id, at] of written) if (this.#lastUses.get(id) === at) this.#lastUses.delete(id)
  }
}
