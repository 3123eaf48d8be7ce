import { RequestError } from "../errors.ts"
import { closeBrace, closeBracket, comma, endOfString, openBrace, openBracket, quote } from "../json-text.ts"

/** A body with more characters is parsed and validated in steps. The most expensive body of this size takes 5 ms. */
export const largeBody = 65_536

/**
 * Maximum number of levels of nested objects and arrays in a body. A valid batch has at most 66: two around the
 * properties of an event, and 64 in these properties. Up to 128 levels are parsed, so that the error can name the
 * field. The check runs before the parser, which would take 100 ms for a million levels (2 KB of gzip).
 */
export const maxNesting = 128
/**
 * Maximum number of values in a body or, if the body is an array, in each of its items. This is twice as many as the
 * properties of an event can hold. The parser cannot be interrupted. It takes 15 ms for this many distinct keys, and
 * would take 80 ms for the 170,000 that fit into 2 MiB.
 */
const maxValues = 32_768
/**
 * If an item of an array has more values than this, it is parsed by `parseWide`, the parser of the route. The same
 * applies to a body that is not an array.
 */
const wideValues = 256
/** A step of parsing ends after items with this many values in total. A step takes about 1 ms. */
const valuesPerStep = 2_048
/** Number of characters after which a step of scanning or parsing ends. A step takes about 1 ms. */
const charactersPerStep = 131_072

/**
 * Parses JSON like `JSON.parse`, but parses the items of an array in steps of a few ms. Throws `nesting_too_deep`,
 * `too_many_values` or `invalid_json`. `parseWide`: parses an item with more than `wideValues` values.
 */
export function* parseInSteps(text: string, parseWide = parse): Generator<void, unknown> {
  const first = text.search(/[^ \t\n\r]/)
  const isArray = text.charCodeAt(first) === openBracket
  const items: unknown[] = []
  let chunks = 0
  /** Start of the items that have not been parsed yet, and start of the current item. */
  let [start, itemStart] = [first + 1, first + 1]
  /** Parses the items up to `end`. `isWide`: the current item has more than `wideValues` values. */
  const parseItems = (end: number, isWide: boolean) => {
    if (isWide) {
      if (itemStart > start) parseItems(itemStart - 1, false)
      items.push(parseWide(text.slice(itemStart, end)))
      chunks++
      start = end + 1
      return
    }
    // The type assertion is safe because the text is in brackets, so that it is a list or does not parse.
    const parsed = parse(`[${text.slice(start, end)}]`) as unknown[]
    // Only an empty array has no items. In any other case, there is a comma before or after this text, so it must not
    // be empty.
    if (parsed.length === 0 && !(chunks === 0 && text.charCodeAt(end) === closeBracket)) throw invalidJson()
    for (const item of parsed) items.push(item)
    chunks++
    start = end + 1
  }
  let [depth, values, chunkValues, end] = [0, 0, 0, -1]
  let yieldAt = charactersPerStep
  for (let index = Math.max(first, 0); index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case quote:
        index = endOfString(text, index)
        break
      case openBracket:
      case openBrace:
        if (++depth > maxNesting) throw new RequestError("nesting_too_deep")
        values++
        break
      case comma:
        if (isArray && depth === 1) {
          const isWide = values > wideValues
          chunkValues += values
          values = 0
          if (isWide || chunkValues >= valuesPerStep || index - start >= charactersPerStep) {
            parseItems(index, isWide)
            chunkValues = 0
            yield
          }
          itemStart = index + 1
        } else values++
        break
      case closeBracket:
      case closeBrace:
        if (--depth === 0 && end < 0) end = index
    }
    if (values > maxValues) throw new RequestError("too_many_values")
    if (index < yieldAt) continue
    yieldAt = index + charactersPerStep
    yield
  }
  const isWide = values > wideValues
  if (!isArray) return isWide ? parseWide(text) : parse(text)
  // The items were parsed separately, so the text around them is checked here.
  if (end < 0 || text.charCodeAt(end) !== closeBracket || /[^ \t\n\r]/.test(text.slice(end + 1)))
    throw invalidJson()
  parseItems(end, isWide)
  return items
}

/** Parses JSON. Throws `invalid_json`. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalidJson()
  }
}

function invalidJson(): RequestError {
  return new RequestError("invalid_json")
}

/** True if objects and arrays are nested more than `limit` levels deep. The result for invalid JSON is unspecified. */
export function isNestedDeeper(text: string, limit: number): boolean {
  // Most bodies have so few brackets that they need not be scanned. Counting them takes a tenth of the time.
  if (countUpTo(text, "{", limit) + countUpTo(text, "[", limit) <= limit) return false
  let depth = 0
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case quote:
        index = endOfString(text, index)
        break
      case openBracket:
      case openBrace:
        if (++depth > limit) return true
        break
      case closeBracket:
      case closeBrace:
        depth--
    }
  }
  return false
}

/** Returns how often a character occurs in a text. Stops counting above `limit`. */
function countUpTo(text: string, character: string, limit: number): number {
  let count = 0
  for (let at = text.indexOf(character); at >= 0 && count <= limit; at = text.indexOf(character, at + 1))
    count++
  return count
}

/** A large body blocks the event loop for this many ms before other requests are served. */
const sliceMs = 4

/**
 * Parses and validates large bodies, one at a time. The work runs in slices, and other requests are served in between.
 * Otherwise, the largest valid body would delay them by 150 ms.
 */
export class LargeBodies {
  readonly #waiting: (() => void)[] = []
  #isRunning = false

  /** `elapsed`: monotonic clock, in ms. */
  constructor(private readonly elapsed: () => number) {}

  /**
   * Runs all steps. `isContinued`: an earlier part of the same work has already run. Such work goes to the front of the
   * queue, because its intermediate result takes up memory.
   */
  async run<Result>(steps: Generator<void, Result>, isContinued = false): Promise<Result> {
    if (this.#isRunning) {
      await new Promise<void>((resolve) => {
        if (isContinued) this.#waiting.unshift(resolve)
        else this.#waiting.push(resolve)
      })
    }
    this.#isRunning = true
    try {
      let end = this.elapsed() + sliceMs
      for (;;) {
        const step = steps.next()
        if (step.done) return step.value
        if (this.elapsed() < end) continue
        await new Promise((resolve) => setImmediate(resolve))
        end = this.elapsed() + sliceMs
      }
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#isRunning = false
    }
  }
}
