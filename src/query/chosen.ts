import type { Batch, Codes, Column, Kind, TextField, Value } from "../columns/batch.ts"
import { emptyCodes, present } from "../columns/builder.ts"
import type { Selection } from "./selection.ts"

/** Bytes that a selection, and a column, take beside what stands for each event, and a value beside its text. */
const objectBytes = 120
const valueBytes = 40
/** Of as many events or more one is meant where their columns are kept: else these take little less room than those of all. */
const fewOf = 8

/** Which events of whole blocks fit some filters. */
export class Chosen {
  readonly #byBlock = new Map<number, { selection: Selection | undefined; few: Few | undefined }>()

  /** `grow`: is told how many bytes it takes more. */
  constructor(private readonly grow: (bytes: number) => void) {}

  /** What `select` gives, or gave when the block was first looked at. */
  of(block: number, select: () => Selection | undefined): Selection | undefined {
    const known = this.#byBlock.get(block)
    if (known) return known.selection
    const selection = select()
    this.#byBlock.set(block, { selection, few: undefined })
    this.grow(objectBytes + (selection?.at?.byteLength ?? 0))
    return selection
  }

  /** The events that fit, as a batch of their own whose columns are kept; undefined where they are many. `of` comes first. */
  fewOf(block: Batch & { readonly block: number }): Batch | undefined {
    const known = this.#byBlock.get(block.block)
    const at = known?.selection?.at
    if (!known || !at || at.length * fewOf > block.count) return undefined
    known.few ??= new Few(at, this.grow)
    return new FewOf(block, known.few)
  }
}

/** Columns of some events of a block, each made when it is first asked for. */
class Few {
  readonly #columns = new Map<string, Column | undefined>()
  readonly #numbers = new Map<string, Uint32Array>()
  #keys: ReadonlyMap<string, number> | undefined

  constructor(
    /** Where they stand among all of the block. */
    readonly places: Uint32Array,
    private readonly grow: (bytes: number) => void,
  ) {}

  numbers(name: string, all: () => Uint32Array): Uint32Array {
    let numbers = this.#numbers.get(name)
    if (!numbers) {
      numbers = this.#those(all(), new Uint32Array(this.places.length))
      this.#numbers.set(name, numbers)
      this.grow(objectBytes + numbers.byteLength)
    }
    return numbers
  }

  column(name: string, all: () => Column | undefined): Column | undefined {
    if (!this.#columns.has(name)) {
      const column = all()
      this.#columns.set(name, column && this.#column(column))
    }
    return this.#columns.get(name)
  }

  keys(all: () => ReadonlyMap<string, number>): ReadonlyMap<string, number> {
    this.#keys ??= all()
    return this.#keys
  }

  /** With their own values alone. */
  #column({ codes, values }: Column): Column {
    const theirs = this.#those(codes, new Uint32Array(this.places.length))
    const own: Value[] = []
    const through = new Map([[0, 0]])
    const to = emptyCodes(theirs.length, Math.min(theirs.length, values.length))
    let bytes = objectBytes + to.byteLength
    for (let index = 0; index < theirs.length; index++) {
      const code = theirs[index] as number
      let another = through.get(code)
      if (another === undefined) {
        const value = values[code - 1] as Value
        another = own.push(value)
        through.set(code, another)
        bytes += valueBytes + (typeof value === "string" ? value.length * 2 : 0)
      }
      to[index] = another
    }
    this.grow(bytes)
    return { codes: to, values: own }
  }

  #those<To extends Codes>(all: Codes, to: To): To {
    const { places } = this
    for (let index = 0; index < places.length; index++) to[index] = all[places[index] as number] as number
    return to
  }
}

/** Some events of a block as a batch, which reads what is not known of them yet from the block. */
class FewOf implements Batch {
  readonly website: number
  readonly name: string
  readonly crawler: boolean
  readonly count: number
  readonly base: number

  constructor(
    private readonly all: Batch,
    private readonly few: Few,
  ) {
    this.website = all.website
    this.name = all.name
    this.crawler = all.crawler
    this.count = few.places.length
    this.base = all.base
  }

  times = () => this.few.numbers("times", () => this.all.times())
  visitors = () => this.#ids("visitors")
  sessions = () => this.#ids("sessions")
  profiles = () => this.#ids("profiles")

  column(field: TextField): Column {
    return this.few.column(field, () => this.all.column(field)) as Column
  }

  property(key: string): Column | undefined {
    return this.few.column(`property.${key}`, () => this.all.property(key))
  }

  keys(): ReadonlyMap<string, number> {
    return this.few.keys(() => {
      const counted = [...this.all.keys().keys()].map((key): [string, number] => {
        const column = this.property(key)
        return [key, column ? present(column.codes) : 0]
      })
      return new Map(counted.filter(([, events]) => events > 0))
    })
  }

  withProperties(): number {
    return present(this.propertied())
  }

  propertied(): Uint8Array {
    return Uint8Array.from(this.few.numbers("propertied", () => Uint32Array.from(this.all.propertied())))
  }

  #ids(kind: Kind): Uint32Array {
    return this.few.numbers(kind, () => this.all[kind]())
  }
}
