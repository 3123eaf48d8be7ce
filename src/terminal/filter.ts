import { messageOf, UserError } from "../errors.ts"
import { type OperatorInfo, operatorNames, operators } from "../query/operators.ts"

// Converts filters and steps from command-line syntax to API syntax. Invalid syntax is an error, because a typo that is
// taken for a property name would silently match nothing.

const infos = operatorNames.map((name) => operators[name])
const bySymbol = new Map(
  infos.flatMap((info) => (info.symbol === undefined ? [] : [[info.symbol, info] as const])),
)
/** Sorted by length, longest first, so that `!^=` is read as one operator. */
const symbols = [...bySymbol.keys()].sort((a, b) => b.length - a.length)
const escaped = symbols.map((symbol) => symbol.replace(/[\^$|*+?.]/g, "\\$&")).join("|")
const symbolForm = new RegExp(`^(.+?)\\s*(${escaped})(.*)$`, "s")
/** Matches a field without operator symbols, an operator name, and an optional value. */
const wordForm = new RegExp(`^([^=<>~]+?)\\s+(${operatorNames.join("|")})(?:\\s+(.*))?$`, "is")
/** Matches the end of a field or the start of a value if it reveals an unknown operator, such as `==`, `=~` or `*=`. */
const strayBefore = /[!^$*|:~]$/
const strayAfter = /^[=<>~]/
/** Fields that can be written without an operator, meaning "is set". Other property keys need `exists`. */
const plainField = /^[\p{L}\p{N}_.$@/-]+$/u

/** Lists all operators, for the help text and for errors. */
export const operatorHelp = infos
  .map(({ name, symbol }) => (symbol === undefined ? name : `${symbol} (${name})`))
  .join(", ")

/**
 * Parses a filter such as `property.plan=pro` into the format of the API. Throws a UserError if the syntax is invalid.
 */
export function readFilter(text: string): object {
  const trimmed = text.trim()
  if (trimmed.startsWith("{")) return jsonOf(trimmed, text, "a filter such as {field, op, value}") as object
  const [, wordField, word = "", wordValue] = wordForm.exec(trimmed) ?? []
  if (wordField !== undefined) {
    const info = operators[word.toLowerCase() as OperatorInfo["name"]]
    return filterWith(wordField, info, wordValue ?? "", text)
  }
  const [, field = "", symbol = "", value = ""] = symbolForm.exec(trimmed) ?? []
  const info = bySymbol.get(symbol)
  if (info) {
    if (strayBefore.test(field) || strayAfter.test(value)) throw unknownOperator(text)
    return filterWith(field, info, value.trimStart(), text)
  }
  const name = trimmed.replace(/^!/, "")
  if (!plainField.test(name)) throw unknownOperator(text)
  return { field: name, op: "exists", value: name === trimmed }
}

function unknownOperator(text: string): UserError {
  return new UserError(
    `${text} has no known operator: use one of ${operatorHelp}`,
    `put a value that starts with an operator in double quotes, or write the filter as JSON: {"field":"property.plan","op":"eq","value":"pro"}`,
  )
}

function filterWith(
  field: string,
  { name: op, operandType }: OperatorInfo,
  value: string,
  text: string,
): object {
  switch (operandType) {
    case "text":
      return { field, op, value: unquoted(value, text) }
    case "list":
      return { field, op, value: listOf(value, text) }
    case "number": {
      const number = value.trim() === "" ? Number.NaN : Number(value)
      if (Number.isFinite(number)) return { field, op, value: number }
      throw new UserError(`${text}: ${op} compares numbers, but ${value || "an empty value"} is not a number`)
    }
    case "boolean": {
      const word = value.toLowerCase()
      if (["", "true", "false"].includes(word)) return { field, op, value: word !== "false" }
      throw new UserError(`${text}: ${op} takes true or false, not ${value}`)
    }
  }
}

/** Removes quotes that the shell might leave in place: `"pro"` and `'pro'` become pro. */
function unquoted(value: string, text: string): string {
  const trimmed = value.trim()
  if (trimmed.length > 1 && trimmed.startsWith('"') && trimmed.endsWith('"')) {
    return String(jsonOf(trimmed, text, "text in double quotes"))
  }
  const isQuoted = trimmed.length > 1 && trimmed.startsWith("'") && trimmed.endsWith("'")
  return isQuoted ? trimmed.slice(1, -1) : value
}

/** Parses a list such as `pro,free`, `"Paris, TX",Rome` or a JSON array. */
function listOf(value: string, text: string): unknown[] {
  if (value.startsWith("[")) {
    const list = jsonOf(value, text, 'a list such as ["Paris, TX","Rome"]')
    if (Array.isArray(list)) return list
  }
  const items = [...`${value},`.matchAll(/\s*("(?:[^"\\]|\\.)*"|[^,]*?)\s*,/gs)].map(([, item = ""]) => item)
  if (items.some((item) => item === "" || (item.startsWith('"') && !/^".*"$/s.test(item)))) {
    throw new UserError(
      `${text}: a value in the list is empty or lacks its closing quote; write such a list as JSON: ["pro",""]`,
    )
  }
  return items.map((item) => unquoted(item, text))
}

function jsonOf(json: string, text: string, expected: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    throw new UserError(`${text}: ${json} is not valid JSON; expected ${expected} (${messageOf(error)})`)
  }
}

/**
 * Parses a step such as `bought where property.total>10 and path=/x`. A step whose name contains `where` must be
 * written as JSON. Throws a UserError if the syntax is invalid.
 */
export function readStep(text: string): object {
  if (text.trimStart().startsWith("{")) {
    return jsonOf(text, text, "a step such as {name, filters}") as object
  }
  const [, name = text, conditions = ""] = /^(.*?)\s+where\s+(.*)$/is.exec(text) ?? []
  const filters = conditions === "" ? [] : conditions.split(conjunction(conditions)).map(readFilter)
  return name === "*" ? { filters } : { name, filters }
}

/** Returns a pattern that matches `and`. If all quotes are closed, it does not match inside quotes. */
function conjunction(conditions: string): RegExp {
  const quotesAreClosed = conditions.split('"').length % 2 === 1
  return quotesAreClosed ? /\s+and\s+(?=(?:[^"]*"[^"]*")*[^"]*$)/i : /\s+and\s+/i
}
