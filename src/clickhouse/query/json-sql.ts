import { surrogateMark } from "./statement.ts"

// ClickHouse's JSON functions reject a document that contains half a surrogate pair or an integer of more than 64 bits.
// They also format some strings and numbers differently from JavaScript. The functions below return SQL that repairs
// such documents. They are rare, and all other documents skip the repair. In this file, each backslash in the SQL is
// doubled for the template string, and doubled again for ClickHouse's string literal.

/**
 * Regular expression for strings that count as numbers, escaped for a SQL literal. `numberOf` in
 * src/query/json-values.ts accepts the same strings.
 */
export const numberPattern = "^-?(?:0|[1-9][0-9]*)(?:\\\\.[0-9]+)?$"

/** Returns SQL that splits JSON into its strings and the parts between them. */
const tokens = (text: string) => `extractAll(${text}, '"(?:[^"\\\\\\\\]|\\\\\\\\.)*"|[^"]+')`

/** Takes the place of two backslashes while escapes are replaced. JSON text cannot contain this control character. */
const backslashes = "\\x01"

/** Returns SQL that applies one expression to the strings in JSON and another to the rest. */
function mapTokens(
  text: string,
  strings: (token: string) => string,
  rest: (token: string) => string,
): string {
  return `arrayStringConcat(arrayMap(token -> if(startsWith(token, '"'), ${strings("token")}, ${rest("token")}), ${tokens(text)}))`
}

/**
 * Returns SQL that applies `sql` to a string in which escaped backslashes are temporarily replaced, so that every
 * backslash that `sql` sees starts some other escape.
 */
function mapEscapes(text: string, sql: (text: string) => string): string {
  return `replaceAll(${sql(`replaceAll(${text}, '\\\\\\\\', '${backslashes}')`)}, '${backslashes}', '\\\\\\\\')`
}

/**
 * Returns SQL that appends .0 to integers of 18 or more digits, so that they are parsed as floats. Replaces twice,
 * because two adjacent integers in an array share a comma, and a single pass would match only one of the two.
 */
function withFractions(text: string): string {
  const once = (inner: string) =>
    `replaceRegexpAll(${inner}, '([:,\\\\[]-?[0-9]{18,})([,}\\\\]])', '\\\\1.0\\\\2')`
  return once(once(text))
}

/**
 * Returns SQL for the properties of an event as a document that the JSON functions can read. The document is empty if
 * there are no properties.
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

/** Returns SQL for the JSON of an object or array, formatted as JavaScript formats it. */
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
