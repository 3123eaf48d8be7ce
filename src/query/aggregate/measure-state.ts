import { copyInto } from "../../columns/typed-arrays.ts"

/** A measure that stores one number per group. */
export abstract class ScalarMeasure {
  protected values: Float64Array
  #groups = 0

  constructor(
    private readonly start: number,
    base?: ScalarMeasure,
  ) {
    this.values = base ? base.values.slice() : new Float64Array(8)
    this.#groups = base ? base.#groups : 0
  }

  grow(): void {
    if (this.#groups === this.values.length) {
      this.values = copyInto(new Float64Array(this.#groups * 2), this.values)
    }
    this.values[this.#groups++] = this.start
  }

  pack(): void {}

  value(group: number): number | null {
    return this.values[group] as number
  }
}

/** A measure that stores one object per group, created when first needed. */
export abstract class LazyMeasure<Item> {
  readonly #items: (Item | undefined)[]

  constructor(private readonly base?: LazyMeasure<Item>) {
    this.#items = base ? base.#items.map(() => undefined) : []
  }

  grow(): void {
    this.#items.push(undefined)
  }

  count(_group: number, _name: string, _events: number): void {}
  pack(): void {}

  /** Returns the object of a group for reading, or undefined if nothing has been added to the group. */
  protected of(group: number): Item | undefined {
    return this.#items[group] ?? this.base?.of(group)
  }

  /** Returns the object of a group for modification. Creates it if needed. */
  protected own(group: number): Item {
    let item = this.#items[group]
    if (item === undefined) {
      item = this.create(this.base?.of(group))
      this.#items[group] = item
    }
    return item
  }

  /** Iterates over the objects that are not part of the base. */
  protected *all(): Generator<Item> {
    for (const item of this.#items) if (item !== undefined) yield item
  }

  /** Creates an object with the initial contents of `base`. */
  protected abstract create(base: Item | undefined): Item
}
