import type { Batch, IdKind } from "../../columns/batch.ts"
import { IdSet } from "../structures/id-set.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { indexAt, type Selection, sizeOf } from "../structures/selection.ts"
import type { Measurement } from "./measurement.ts"

/**
 * Counts distinct ids of few groups, with a set per group; see `GroupedIds` for many. Most groups have a single id, which is
 * stored in place of a set.
 */
export class DistinctIds implements Measurement {
  /** A set, a single id, or 0 for the contents of the base. */
  readonly #sets: (IdSet | number)[]

  constructor(
    private readonly kind: IdKind,
    private readonly range: number,
    private readonly budget: MemoryBudget,
    private readonly base?: DistinctIds,
  ) {
    this.#sets = base ? base.#sets.map(() => 0) : []
  }

  grow(): void {
    this.#sets.push(0)
  }

  count(): void {}

  addAll(group: number, batch: Batch, selection: Selection): void {
    const ids = batch[this.kind]()
    if (sizeOf(selection) === 1) this.#add(group, ids[indexAt(selection, 0)] as number)
    else this.#own(group).addAll(ids, selection)
  }

  addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    const ids = batch[this.kind]()
    for (let n = 0; n < groups.length; n++)
      this.#add(groups[n] as number, ids[indexAt(selection, n)] as number)
  }

  #add(group: number, id: number): void {
    const own = this.#sets[group] as IdSet | number
    if (typeof own === "object") own.add(id)
    else if (id !== 0 && own !== id) {
      const known = this.#of(group)
      if (known === 0) this.#sets[group] = id
      else if (known !== id) this.#own(group).add(id)
    }
  }

  merge(group: number, other: DistinctIds, from: number): void {
    const ids = other.#of(from)
    if (typeof ids === "number") this.#add(group, ids)
    else this.#own(group).merge(ids)
  }

  pack(): void {
    for (const set of this.#sets) if (typeof set === "object") set.pack()
  }

  value(group: number): number {
    const ids = this.#of(group)
    return typeof ids === "number" ? Math.min(ids, 1) : ids.size
  }

  #of(group: number): IdSet | number {
    return this.#sets[group] || (this.base ? this.base.#of(group) : 0)
  }

  /** Returns a set that can be modified. */
  #own(group: number): IdSet {
    const own = this.#sets[group] as IdSet | number
    if (typeof own === "object") return own
    const known = this.#of(group)
    const set =
      typeof known === "object"
        ? IdSet.over(known, this.range, this.budget)
        : new IdSet(this.range, this.budget)
    if (typeof known === "number") set.add(known)
    this.#sets[group] = set
    return set
  }
}
