/** A value that can be a parameter of a statement. */
export type Bindable = string | number | boolean | null | readonly Bindable[]

/** ClickHouse types of the parameters. */
export type BindType = "String" | "Int64" | "Int32" | "UInt64" | "Float64" | "Array(String)" | "Array(Int64)"

/** The parameters of a statement. Values are never part of the statement's text. */
export class Parameters {
  readonly values: Record<string, string> = {}
  readonly #names = new Map<string, string>()

  /**
   * Adds a value and returns its placeholder, such as `{p0:String}`. Equal values share a placeholder, so that
   * ClickHouse sees equal expressions.
   */
  bind(type: BindType, value: Bindable): string {
    const text = formatValue(value, false)
    const key = `${type} ${text}`
    let name = this.#names.get(key)
    if (name === undefined) {
      name = `p${this.#names.size}`
      this.#names.set(key, name)
      this.values[name] = text
    }
    return `{${name}:${type}}`
  }
}

const escapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "'": "\\'",
  "\t": "\\t",
  "\n": "\\n",
  "\r": "\\r",
  "\0": "\\0",
}

/** Formats a value as ClickHouse expects it in a parameter. Strings in arrays are quoted. */
function formatValue(value: Bindable, isInArray: boolean): string {
  if (value === null) return isInArray ? "NULL" : "\\N"
  if (typeof value === "string") {
    const text = markSurrogates(value).replace(/[\\'\t\n\r\0]/g, (char) => escapes[char] as string)
    return isInArray ? `'${text}'` : text
  }
  if (typeof value !== "object") return String(value)
  return `[${value.map((one) => formatValue(one, true)).join(",")}]`
}

/**
 * A JavaScript or JSON string can contain an unpaired surrogate, but UTF-8 cannot. In statements and results, this
 * noncharacter and the four hexadecimal digits of the surrogate take its place.
 */
export const surrogateMark = "\ufdd0"
const marked = new RegExp(`${surrogateMark}(d[89a-f][0-9a-f]{2})`, "g")

function markSurrogates(text: string): string {
  if (text.isWellFormed()) return text
  // Without the flag `u`, the pattern would also match the halves of complete pairs.
  return text.replace(/\p{Surrogate}/gu, (half) => `${surrogateMark}${half.charCodeAt(0).toString(16)}`)
}

/** Restores unpaired surrogates in a string from a result. */
export function unmarkSurrogates(text: string): string {
  return text.includes(surrogateMark)
    ? text.replace(marked, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
    : text
}
