/** An amount of memory in bytes, reserved piece by piece. */
export interface Memory {
  readonly available: number
  /** Reserves memory, or releases it if `bytes` is negative. */
  reserve(bytes: number): void
}

/**
 * Limits the memory of one query, in bytes. The budget only counts bytes. Callers must reserve memory before they
 * allocate it.
 *
 * What a child reserves is also reserved from its parent. Use a child for intermediate results that are released
 * together:
 *
 * ```ts
 * const budget = new MemoryBudget(1_048_576)
 * const scratch = budget.child()
 * scratch.reserve(ids.byteLength) // throws OutOfMemoryBudgetError above 1 MiB
 * const total = count(ids)
 * scratch.release() // budget.reserved is 0 again
 * ```
 */
export class MemoryBudget implements Memory {
  #reserved = 0

  /** Every reservation is also made in `parent`, so `reserve` throws if the parent has no room. */
  constructor(
    readonly limit: number,
    private readonly parent?: Memory,
  ) {}

  get reserved(): number {
    return this.#reserved
  }

  get available(): number {
    const remaining = this.limit - this.#reserved
    return this.parent ? Math.min(remaining, this.parent.available) : remaining
  }

  /** Throws OutOfMemoryBudgetError if the limit would be exceeded. */
  reserve(bytes: number): void {
    if (bytes > 0 && this.#reserved + bytes > this.limit) throw new OutOfMemoryBudgetError()
    this.parent?.reserve(bytes)
    this.#reserved += bytes
  }

  /**
   * Creates a budget within this one, for memory that is released before the query ends. If `share` is given, the new
   * budget is limited to this share of what this budget has left.
   */
  child(share?: number): MemoryBudget {
    const limit = share === undefined ? this.limit : Math.floor((this.limit - this.#reserved) * share)
    return new MemoryBudget(limit, this)
  }

  /** Releases everything that this budget has reserved. */
  release(): void {
    this.parent?.reserve(-this.#reserved)
    this.#reserved = 0
  }
}

/** Thrown if a query needs more memory than its budget allows. */
export class OutOfMemoryBudgetError extends Error {}
