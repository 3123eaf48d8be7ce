import type { Batch, Codes, Column, IdKind, TextField, Value } from "../../columns/batch.ts"
import { emptyCodes, present, presentIn } from "../../columns/column-builder.ts"
import type { Selection } from "../structures/selection.ts"

/** Bytes that a selection, and a column, take beside what stands for each event, and a value beside its text. */
const objectBytes = 120
const valueBytes = 40
/** One event in so many, or fewer, is sparse. Columns of more take too much room beside those of all events. */
const sparseFrom = 8

/** A batch whose events are always the same. */
export type SealedBlock = Batch & { readonly block: number }

interface OfBlock {
  selection: Selection | undefined
  sparse: SparseColumns | undefined
}

/** Which events of whole blocks fit some filters. */
export class FilterCache {
  readonly #byBlock = new Map<number, OfBlock>()
  #isGivenUp = false

  /** `grow`: is told how many bytes it takes more; false: there is no room for it any more. */
  constructor(private readonly grow: (bytes: number) => boolean) {}

  /** What `select` gives, or gave when the block was first looked at. */
  of({ block }: SealedBlock, select: () => Selection | undefined): Selection | undefined {
    const known = this.#byBlock.get(block)
    if (known) return known.selection
    const selection = select()
    if (this.#takes(objectBytes + (selection?.at?.byteLength ?? 0)))
      this.#byBlock.set(block, { selection, sparse: undefined })
    return selection
  }

  /** The events that fit, as a batch of their own whose columns are kept; undefined where they are many. `of` comes first. */
  sparse(block: SealedBlock): Batch | undefined {
    const known = this.#byBlock.get(block.block)
    const at = known?.selection?.at
    if (!known || !at || at.length * sparseFrom > block.count) return undefined
    known.sparse ??= new SparseColumns(at, (bytes) => this.#takes(bytes))
    return new SparseBatch(block, known.sparse)
  }

  /** Lets go of all where it takes too much, as then nobody finds it again. */
  #takes(bytes: number): boolean {
    if (!this.#isGivenUp && !this.grow(bytes)) {
      this.#isGivenUp = true
      this.#byBlock.clear()
    }
    return !this.#isGivenUp
  }
}

/** Columns of some events of a block, each made when it is first asked for. */
class SparseColumns {
  readonly #columns = new Map<string, Column | undefined>()
  readonly #codes = new Map<string, Codes>()
  #keys: ReadonlyMap<string, number> | undefined

  constructor(
    /** Where they stand among all of the block. */
    readonly places: Uint32Array,
    /** False: it is not to be kept. */
    private readonly takes: (bytes: number) => boolean,
  ) {}

  codes<Of extends Uint8Array | Uint32Array>(name: string, all: () => Of): Of {
    // Of one name they are always of one type.
    const known = this.#codes.get(name) as Of | undefined
    if (known) return known
    const codes = this.#those(all())
    if (this.takes(objectBytes + codes.byteLength)) this.#codes.set(name, codes)
    return codes
  }

  column(name: string, all: () => Column | undefined): Column | undefined {
    if (this.#columns.has(name)) return this.#columns.get(name)
    const whole = all()
    const column = whole && this.#own(whole)
    if (this.takes(objectBytes + bytesOf(column))) this.#columns.set(name, column)
    return column
  }

  keys(all: () => ReadonlyMap<string, number>): ReadonlyMap<string, number> {
    this.#keys ??= all()
    return this.#keys
  }

  /** With their own values alone. */
  #own({ codes, values }: Column): Column {
    const theirs = this.#those(codes)
    const own: Value[] = []
    const through = new Map([[0, 0]])
    const to = emptyCodes(theirs.length, Math.min(theirs.length, values.length))
    for (let index = 0; index < theirs.length; index++) {
      const code = theirs[index] as number
      let another = through.get(code)
      if (another === undefined) {
        another = own.push(values[code - 1] as Value)
        through.set(code, another)
      }
      to[index] = another
    }
    return { codes: to, values: own }
  }

  #those<Of extends Codes>(all: Of): Of {
    const { places } = this
    // As wide as all; TypeScript does not know that `slice` keeps the type.
    const to = all.slice(0, places.length) as Of
    for (let index = 0; index < places.length; index++) to[index] = all[places[index] as number] as number
    return to
  }
}

function bytesOf(column: Column | undefined): number {
  if (!column) return 0
  const ofValue = (value: Value) => valueBytes + (typeof value === "string" ? value.length * 2 : 0)
  return column.values.reduce((sum: number, value) => sum + ofValue(value), column.codes.byteLength)
}

/** Some events of a block as a batch, which reads what is not known of them yet from the block. */
class SparseBatch implements Batch {
  readonly website: number
  readonly name: string
  readonly crawler: boolean
  readonly count: number
  readonly base: number

  constructor(
    private readonly all: Batch,
    private readonly columns: SparseColumns,
  ) {
    this.website = all.website
    this.name = all.name
    this.crawler = all.crawler
    this.count = columns.places.length
    this.base = all.base
  }

  get receipt(): Batch["receipt"] {
    const { after, last, ids } = this.all.receipt
    const own = ids && Float64Array.from(this.columns.places, (place) => ids[place] as number)
    return { after, last, ...(own ? { ids: own } : {}) }
  }

  times = () => this.columns.codes("times", () => this.all.times())
  visitors = () => this.#ids("visitors")
  sessions = () => this.#ids("sessions")
  profiles = () => this.#ids("profiles")
  propertied = () => this.columns.codes("propertied", () => this.all.propertied())
  withProperties = () => present(this.propertied())

  column(field: TextField): Column {
    // A batch has a column for each field, be it empty.
    return this.columns.column(field, () => this.all.column(field)) as Column
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
