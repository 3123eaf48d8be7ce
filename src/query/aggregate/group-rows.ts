import type { Group, GroupKey } from "../query.ts"

/** Measured bytes of a row, not counting its cells: its bucket, and strings that nothing else references. */
const rowBytes = 60
const cellBytes = 8

/**
 * Groups as rows of dimension values and measures. Rows are not stored as objects, because many queries need objects
 * for only a few of them.
 */
export class GroupRows {
  /** The dimension values of row n start at index n * `dimensions`. */
  readonly #by: (string | null)[] = []
  readonly #buckets: number[] = []
  /** The values of row n start at index n * `measures`. */
  readonly #values: (number | null)[] = []

  constructor(
    readonly dimensions: number,
    readonly measures: number,
  ) {}

  get count(): number {
    return this.#buckets.length
  }

  /** Memory used, in bytes. */
  get bytes(): number {
    return this.count * this.bytesPerRow
  }

  get bytesPerRow(): number {
    return rowBytes + (this.dimensions + this.measures) * cellBytes
  }

  add(
    by: (dimension: number) => string | null,
    bucket: number,
    value: (measure: number) => number | null,
  ): void {
    for (let dimension = 0; dimension < this.dimensions; dimension++) this.#by.push(by(dimension))
    for (let measure = 0; measure < this.measures; measure++) this.#values.push(value(measure))
    this.#buckets.push(bucket)
  }

  fieldOf(row: number, dimension: number): string | null {
    return this.#by[row * this.dimensions + dimension] ?? null
  }

  valueOf(row: number, measure: number): number | null {
    return this.#values[row * this.measures + measure] ?? null
  }

  bucketOf(row: number): number {
    return this.#buckets[row] as number
  }

  /** Writes the dimension values of a row to `by`. */
  copyTo(by: (string | null)[], row: number): void {
    for (let dimension = 0; dimension < this.dimensions; dimension++)
      by[dimension] = this.fieldOf(row, dimension)
  }

  byOf(row: number): GroupKey {
    return this.#by.slice(row * this.dimensions, (row + 1) * this.dimensions)
  }

  valuesOf(row: number): (number | null)[] {
    return this.#values.slice(row * this.measures, (row + 1) * this.measures)
  }

  /** Returns the row as an object. */
  groupOf(row: number): Group {
    return { by: this.byOf(row), bucket: this.bucketOf(row), values: this.valuesOf(row) }
  }

  *groups(): Generator<Group> {
    for (let row = 0; row < this.count; row++) yield this.groupOf(row)
  }
}
