import { surrogateMark } from "./statement.ts"

// ClickHouse's JSON functions reject a document that contains half a surrogate pair or an integer of more than 64 bits,
// and they write some texts differently from JavaScript. The functions below repair such documents. They are rare, and
// other documents skip the repair. In the SQL, a backslash is doubled for the template string and again for
// ClickHouse's literal.

/** Regular expression for a number as text, escaped for a literal. See `numberOf` in src/query/json-values.ts. */
export const numberPattern = "^-?(?:0|[1-9][0-9]*)(?:\\\\.[0-9]+)?$"

/** Splits a JSON text into its strings and the parts between them. */
const tokens = (text: string) => `extractAll(${text}, '"(?:[^"\\\\\\\\]|\\\\\\\\.)*"|[^"]+')`

/** Stands for two backslashes while escapes are replaced. JSON text never contains control characters. */
const backslashes = "\\x01"

/** Applies one SQL expression to the strings in a JSON text and another to the rest. */
function mapTokens(
  text: string,
  strings: (token: string) => string,
  rest: (token: string) => string,
): string {
  return `arrayStringConcat(arrayMap(token -> if(startsWith(token, '"'), ${strings("token")}, ${rest("token")}), ${tokens(text)}))`
}

/**
 * Applies SQL to a string after replacing escaped backslashes, so that each backslash starts another kind of escape.
 */
function mapEscapes(text: string, sql: (text: string) => string): string {
  return `replaceAll(${sql(`replaceAll(${text}, '\\\\\\\\', '${backslashes}')`)}, '${backslashes}', '\\\\\\\\')`
}

/**
 * Turns integers that are too long into numbers with a fraction. Replaces twice, because neighbors in an array share a
 * comma.
 */
function withFractions(text: string): string {
  const once = (inner: string) =>
    `replaceRegexpAll(${inner}, '([:,\\\\[]-?[0-9]{18,})([,}\\\\]])', '\\\\1.0\\\\2')`
  return once(once(text))
}

/**
 * Returns the properties of an event as a document that the JSON functions can read. Empty if there are no properties.
 */
export function documentOf(properties: string): string {
  const text = `assumeNotNull(${properties})`
  const repaired = mapTokens(
    text,
    (token) =>
      mapEscapes(
        token,
        (inner) => `replaceRegexpAll(${inner}, '\\\\\\\\u(d[89a-f][0-9a-f]{2})', '${surrogateMark}\\\\1')`,
      ),
    withFractions,
  )
  return `multiIf(isNull(${properties}), '', match(${text}, '\\\\\\\\u|[0-9]{18}'), ${repaired}, ${text})`
}

/** Returns the JSON of an object or array, formatted as JavaScript formats it. */
export function canonicalText(raw: string): string {
  const strings = (token: string) =>
    mapEscapes(token, (inner) => {
      const lower = "ABCDEF"
        .split("")
        .reduce(
          (sql, digit) => `replaceAll(${sql}, '\\\\u001${digit}', '\\\\u001${digit.toLowerCase()}')`,
          inner,
        )
      const separators = `replaceAll(replaceAll(${lower}, '\\\\u2028', '\\xE2\\x80\\xA8'), '\\\\u2029', '\\xE2\\x80\\xA9')`
      return `replaceRegexpAll(${separators}, '${surrogateMark}(d[89a-f][0-9a-f]{2})', '\\\\\\\\u\\\\1')`
    })
  const repaired = mapTokens(
    raw,
    strings,
    (token) => `replaceRegexpAll(${token}, '([0-9])e([0-9])', '\\\\1e+\\\\2')`,
  )
  return `if(match(${raw}, '\\\\\\\\u|[0-9]e[0-9]|${surrogateMark}'), ${repaired}, ${raw})`
}
