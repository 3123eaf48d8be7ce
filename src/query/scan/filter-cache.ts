import type { Batch, Codes, Column, IdKind, TextField, Value } from "../../columns/batch.ts"
import { emptyCodes, present, presentIn } from "../../columns/column.ts"
import type { EventKind } from "../../event-kinds.ts"
import type { Selection } from "../structures/selection.ts"

/** Bytes per selection or column, not including its entries, and bytes per value, not including its characters. */
const objectBytes = 120
const valueBytes = 40
/**
 * A selection is sparse if at most one in this many events is selected. Columns for more events would take too much
 * memory.
 */
const sparseFactor = 8
/** For up to this many events, searching a list of codes is faster than creating a Map. */
const maxSearched = 64

/** An immutable batch. */
export type SealedBlock = Batch & { readonly block: number | string }

interface CachedBlock {
  selection: Selection | undefined
  sparse: SparseColumns | undefined
}

/** Caches which events of each block match a set of filters. */
export class FilterCache {
  readonly #byBlock = new Map<number | string, CachedBlock>()
  #isDisabled = false

  /**
   * `grow` reserves more memory, or returns false if there is no room. Once it has returned false, it is not called
   * again.
   */
  constructor(private readonly grow: (bytes: number) => boolean) {}

  /** Returns the cached selection of a block, or caches and returns the result of `select`. */
  selectionOf({ block }: SealedBlock, select: () => Selection | undefined): Selection | undefined {
    const cached = this.#byBlock.get(block)
    if (cached) return cached.selection
    const selection = select()
    if (this.#reserve(objectBytes + (selection?.at?.byteLength ?? 0)))
      this.#byBlock.set(block, { selection, sparse: undefined })
    return selection
  }

  /**
   * Returns the matching events as a batch with cached columns, or undefined if they are not sparse. `selectionOf` must
   * have been called before.
   */
  sparse(block: SealedBlock): Batch | undefined {
    const cached = this.#byBlock.get(block.block)
    const at = cached?.selection?.at
    if (!cached || !at || at.length * sparseFactor > block.count) return undefined
    cached.sparse ??= new SparseColumns(at, (bytes) => this.#reserve(bytes))
    return new SparseBatch(block, cached.sparse)
  }

  /** Returns the matching events as a batch, even if they are not sparse. Returns undefined if no event matches. */
  matching(block: SealedBlock, select: () => Selection | undefined): Batch | undefined {
    const selection = this.selectionOf(block, select)
    if (!selection?.at) return selection && block
    return this.sparse(block) ?? new SparseBatch(block, new SparseColumns(selection.at, () => false))
  }

  /**
   * Reserves memory. If there is no room left, returns false, drops all selections and columns, and caches nothing from
   * then on.
   */
  #reserve(bytes: number): boolean {
    if (!this.#isDisabled && !this.grow(bytes)) {
      this.#isDisabled = true
      this.#byBlock.clear()
    }
    return !this.#isDisabled
  }
}

/** The columns of some events of a block. Each column is computed on first use. */
class SparseColumns {
  readonly #columns = new Map<string, Column | undefined>()
  readonly #codes = new Map<string, Codes>()
  #keys: ReadonlyMap<string, number> | undefined

  constructor(
    /** Indexes of the events in the block. */
    readonly indexes: Uint32Array,
    /** Returns false if there is no room to cache the column. */
    private readonly reserve: (bytes: number) => boolean,
  ) {}

  codes<C extends Uint8Array | Uint32Array>(name: string, read: () => C): C {
    // Codes with the same name always have the same type.
    const cached = this.#codes.get(name) as C | undefined
    if (cached) return cached
    const codes = this.#gather(read())
    if (this.reserve(objectBytes + codes.byteLength)) this.#codes.set(name, codes)
    return codes
  }

  column(name: string, read: () => Column | undefined): Column | undefined {
    if (this.#columns.has(name)) return this.#columns.get(name)
    const all = read()
    const column = all && this.#reencode(all)
    if (this.reserve(objectBytes + bytesOf(column))) this.#columns.set(name, column)
    return column
  }

  keys(read: () => ReadonlyMap<string, number>): ReadonlyMap<string, number> {
    this.#keys ??= read()
    return this.#keys
  }

  /** Returns a column with only the events at `indexes`, and only the values of these events. */
  #reencode(column: Column): Column {
    const values = column.numbers ?? column.values
    const gathered = this.#gather(column.codes)
    const ownValues: Value[] = []
    const distinctCodes: number[] = []
    const ownCodeOf = gathered.length > maxSearched ? new Map<number, number>() : undefined
    const ownCodes = emptyCodes(gathered.length, Math.min(gathered.length, values.length))
    for (let index = 0; index < gathered.length; index++) {
      const code = gathered[index] as number
      if (code === 0) continue
      let ownCode = ownCodeOf ? (ownCodeOf.get(code) ?? 0) : distinctCodes.indexOf(code) + 1
      if (ownCode === 0) {
        ownCode = ownValues.push(values[code - 1] as Value)
        if (ownCodeOf) ownCodeOf.set(code, ownCode)
        else distinctCodes.push(code)
      }
      ownCodes[index] = ownCode
    }
    return { codes: ownCodes, values: ownValues }
  }

  #gather<C extends Codes>(all: C): C {
    const { indexes } = this
    // The type assertion is needed because TypeScript does not know that `slice` preserves the element type.
    const gathered = all.slice(0, indexes.length) as C
    for (let n = 0; n < indexes.length; n++) gathered[n] = all[indexes[n] as number] as number
    return gathered
  }
}

function bytesOf(column: Column | undefined): number {
  if (!column) return 0
  const bytesOfValue = (value: Value) => valueBytes + (typeof value === "string" ? value.length * 2 : 0)
  return column.values.reduce((sum: number, value) => sum + bytesOfValue(value), column.codes.byteLength)
}

/** A batch with only some of the events in a block. Columns that are not cached yet are read from the block. */
class SparseBatch implements Batch {
  readonly website: number
  readonly count: number
  readonly base: number

  readonly names?: () => Column

  constructor(
    private readonly all: Batch,
    private readonly columns: SparseColumns,
  ) {
    this.website = all.website
    this.count = columns.indexes.length
    this.base = all.base
    // The block has this column, so the result is never undefined.
    if (all.names) this.names = () => columns.column("names", () => all.names?.()) as Column
  }

  // The following properties are getters, because reading them from a joined batch throws an error.
  get name(): string {
    return this.all.name
  }

  get kind(): EventKind {
    return this.all.kind
  }

  get crawler(): boolean {
    return this.all.crawler
  }

  get receipt(): Batch["receipt"] {
    const { after, last, ids } = this.all.receipt
    const ownIds = ids && Float64Array.from(this.columns.indexes, (index) => ids[index] as number)
    return { after, last, ...(ownIds ? { ids: ownIds } : {}) }
  }

  times = () => this.columns.codes("times", () => this.all.times())
  visitors = () => this.#ids("visitors")
  sessions = () => this.#ids("sessions")
  profiles = () => this.#ids("profiles")
  hasProperties = () => this.columns.codes("propertied", () => this.all.hasProperties())

  withProperties(): number {
    const all = this.all.withProperties()
    if (all === 0) return 0
    return all === this.all.count ? this.count : present(this.hasProperties())
  }

  column(field: TextField): Column | undefined {
    return this.columns.column(field, () => this.all.column(field))
  }

  property(key: string): Column | undefined {
    return this.columns.column(`property.${key}`, () => this.all.property(key))
  }

  keys(): ReadonlyMap<string, number> {
    return this.columns.keys(() => {
      const counted = [...this.all.keys().keys()].map((key): [string, number] => {
        const column = this.property(key)
        return [key, column ? presentIn(column) : 0]
      })
      return new Map(counted.filter(([, events]) => events > 0))
    })
  }

  #ids(kind: IdKind): Uint32Array {
    return this.columns.codes(kind, () => this.all[kind]())
  }
}
