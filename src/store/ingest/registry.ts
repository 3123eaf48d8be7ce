import type { Db, Statement } from "../db/driver.ts"
import { hashKey, type Key, keysByHash } from "../keys.ts"
import { canonicalWebsiteId, listWebsites, type Website } from "../websites.ts"

/** ms between two looks for what requests ask for in vain: whoever makes a key and uses it takes longer for that. */
const recheckInterval = 10

/** Websites and keys in memory, as a running server consults them on every request. */
export class Registry {
  readonly #version: Statement
  #loadedVersion = -1
  /** ms */
  #checkedAt = Number.NEGATIVE_INFINITY
  #websites = new Map<string, Website>()
  #keys = new Map<string, Key>()
  /** Key id → when it was last used, Unix ms; not yet written. */
  readonly #lastUses = new Map<string, number>()

  /** `elapsed`: ms of a clock that is never set. */
  constructor(
    private readonly db: Db,
    private readonly elapsed: () => number,
  ) {
    this.#version = db.prepare("select version from registry").pluck()
    this.refresh()
  }

  /** Reads again if this or another process has changed a website or a key. Costs one look at one row. */
  refresh(): void {
    const version = this.#version.get() as number
    if (version === this.#loadedVersion) return
    this.#websites = new Map(listWebsites(this.db).map((website) => [website.id, website]))
    this.#keys = keysByHash(this.db)
    this.#loadedVersion = version
  }

  /**
   * Called before a request is refused for what is not here, or not as it should be: the command line may just have made or changed it.
   * True where something has changed. Costs one look at one row, and that a hundred times a second at most.
   */
  recheck(): boolean {
    if (this.elapsed() - this.#checkedAt < recheckInterval) return false
    this.#checkedAt = this.elapsed()
    const before = this.#loadedVersion
    try {
      this.refresh()
    } catch {
      // The store looks for changes from time to time too, and logs if it cannot.
    }
    return this.#loadedVersion !== before
  }

  website(id: string): Website | undefined {
    const canonical = canonicalWebsiteId(id)
    const known = this.#websites.get(canonical)
    return known ?? (this.recheck() ? this.#websites.get(canonical) : undefined)
  }

  /** In the order of their making. */
  websites(): Website[] {
    return [...this.#websites.values()]
  }

  key(secret: string): Key | undefined {
    return this.#keys.get(hashKey(secret))
  }

  isEmpty(): boolean {
    return this.#websites.size === 0 && this.#keys.size === 0
  }

  recordUse(key: Pick<Key, "id">, now: number): void {
    this.#lastUses.set(key.id, now)
  }

  /** Key id → when it was last used, Unix ms: what is to be written behind. */
  pendingUses(): ReadonlyMap<string, number> {
    return new Map(this.#lastUses)
  }

  /** These are written; what was used again since is not. */
  clearUses(written: ReadonlyMap<string, number>): void {
    for (const [id, at] of written) if (this.#lastUses.get(id) === at) this.#lastUses.delete(id)
  }
}
