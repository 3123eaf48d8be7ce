import type { Db, Statement } from "../db/driver.ts"
import { hashKey, type Key, keysByHash } from "../keys.ts"
import { canonicalWebsiteId, listWebsites, type Website } from "../websites.ts"

/** ms between two looks for what requests ask for in vain: whoever makes a key and uses it takes longer for that. */
const leastPause = 10

/** Websites and keys in memory, as a running server consults them on every request. */
export class Registry {
  readonly #version: Statement
  #seen = -1
  /** ms */
  #lookedAt = Number.NEGATIVE_INFINITY
  #websites = new Map<string, Website>()
  #keys = new Map<string, Key>()
  /** Key id → when it was last used, Unix ms; not yet written. */
  readonly #uses = new Map<string, number>()

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
    if (version === this.#seen) return
    this.#websites = new Map(listWebsites(this.db).map((website) => [website.id, website]))
    this.#keys = keysByHash(this.db)
    this.#seen = version
  }

  /**
   * Called before a request is refused for what is not here, or not as it should be: the command line may just have made or changed it.
   * True where something has changed. Costs one look at one row, and that a hundred times a second at most.
   */
  lookAgain(): boolean {
    if (this.elapsed() - this.#lookedAt < leastPause) return false
    this.#lookedAt = this.elapsed()
    const before = this.#seen
    try {
      this.refresh()
    } catch {
      // The store looks for changes from time to time too, and logs if it cannot.
    }
    return this.#seen !== before
  }

  website(id: string): Website | undefined {
    const canonical = canonicalWebsiteId(id)
    const known = this.#websites.get(canonical)
    return known ?? (this.lookAgain() ? this.#websites.get(canonical) : undefined)
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

  used(key: Pick<Key, "id">, now: number): void {
    this.#uses.set(key.id, now)
  }

  /** Key id → when it was last used, Unix ms: what is to be written behind. */
  uses(): ReadonlyMap<string, number> {
    return new Map(this.#uses)
  }

  /** These are written; what was used again since is not. */
  forgetUses(written: ReadonlyMap<string, number>): void {
    for (const [id, at] of written) if (this.#uses.get(id) === at) this.#uses.delete(id)
  }
}
