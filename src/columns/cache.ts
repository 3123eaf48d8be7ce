/** Things larger than this share of the memory are not kept: they would push out all others. */
const largestShare = 1 / 2

interface Thing {
  state: string
  thing: unknown
  bytes: number
  isSpare: boolean
}

/**
 * What was found and counted of blocks, in memory for the next question about them. Where there is too much, things go that others
 * were made of, and then those that were not asked for the longest.
 */
export class Cache {
  /** The one asked for last comes last. */
  readonly #things = new Map<string, Thing>()
  /** Keys, as above. */
  readonly #spare = new Set<string>()
  #bytes = 0

  /**
   * `memory`: bytes; 0: nothing is kept. `chosenFrom`: events that a block has where it is kept which of them fit; of fewer that is as
   * quickly found out again.
   */
  constructor(
    readonly memory: number,
    readonly chosenFrom = 1_024,
  ) {}

  get bytes(): number {
    return this.#bytes
  }

  /** `key` says what it is, and so of which type; `state`, which blocks it was counted of. */
  find<Kind>(key: string, state: string): Kind | undefined {
    const found = this.#things.get(key)
    if (found?.state !== state) return undefined
    this.#drop(key)
    this.#add(key, found)
    return found.thing as Kind
  }

  /** In the place of what it was before. `isSpare`: others were made of it. False where it is too large. */
  put(key: string, state: string, thing: unknown, bytes: number, isSpare: boolean): boolean {
    this.#drop(key)
    if (bytes > this.memory * largestShare) return false
    this.#add(key, { state, thing, bytes, isSpare })
    this.#makeRoom()
    return true
  }

  /** What was put has become larger. False where it is gone, or goes since it is too large now. */
  grow(key: string, thing: unknown, bytes: number): boolean {
    const found = this.#things.get(key)
    if (!found || found.thing !== thing) return false
    found.bytes += bytes
    this.#bytes += bytes
    if (found.bytes > this.memory * largestShare) this.#drop(key)
    else this.#makeRoom()
    return this.#things.get(key) === found
  }

  /** Drops entries until those left take no more than `bytes`. */
  shrink(bytes: number): void {
    this.#makeRoom(Math.max(0, bytes))
  }

  #makeRoom(memory = this.memory): void {
    for (const keys of [this.#spare, this.#things.keys()]) {
      for (const oldest of keys) {
        if (this.#bytes <= memory) return
        this.#drop(oldest)
      }
    }
  }

  #add(key: string, thing: Thing): void {
    this.#things.set(key, thing)
    if (thing.isSpare) this.#spare.add(key)
    this.#bytes += thing.bytes
  }

  #drop(key: string): void {
    this.#bytes -= this.#things.get(key)?.bytes ?? 0
    this.#things.delete(key)
    this.#spare.delete(key)
  }
}
