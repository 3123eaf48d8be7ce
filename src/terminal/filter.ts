import { UserError } from "../errors.ts"
import { type OperatorInfo, operatorNames, operators } from "../query/operators.ts"

// Filters and steps as they are written on the command line, turned into those of the API. What is no filter is an error: taken for
// the name of a property, a slip of the pen would only find nothing.

const infos = operatorNames.map((name) => operators[name])
const bySign = new Map(infos.flatMap((info) => (info.sign === undefined ? [] : [[info.sign, info] as const])))
/** The longest first: `!^=` is not `!` and `^=`. */
const signs = [...bySign.keys()].sort((one, other) => other.length - one.length)
const escaped = signs.map((sign) => sign.replace(/[\^$|*+?.]/g, "\\$&")).join("|")
const signForm = new RegExp(`^(.+?)\\s*(${escaped})(.*)$`, "s")
/** A field without the characters of signs, then a word, then perhaps a value. */
const wordForm = new RegExp(`^([^=<>~]+?)\\s+(${operatorNames.join("|")})(?:\\s+(.*))?$`, "is")
/** What a field ends with, or a value begins with, where a sign is meant that there is not, such as `==`, `=~` or `*=`. */
const strayBefore = /[!^$*|:~]$/
const strayAfter = /^[=<>~]/
/** Fields that are plain enough to stand alone. Other keys of properties are written with `exists`. */
const plainField = /^[\p{L}\p{N}_.$@/-]+$/u

/** All operators, as the help and errors show them. */
export const operatorHelp = infos
  .map(({ name, sign }) => (sign === undefined ? name : `${sign} (${name})`))
  .join(", ")

/** `property.plan=pro` as the API's filter. Throws a Complaint. */
export function readFilter(text: string): object {
  const trimmed = text.trim()
  if (trimmed.startsWith("{")) return jsonOf(trimmed, text, "a filter such as {field, op, value}") as object
  const [, wordField, word = "", wordValue] = wordForm.exec(trimmed) ?? []
  if (wordField !== undefined) {
    const info = operators[word.toLowerCase() as OperatorInfo["name"]]
    return filterWith(wordField, info, wordValue ?? "", text)
  }
  const [, field = "", sign = "", value = ""] = signForm.exec(trimmed) ?? []
  const info = bySign.get(sign)
  if (info) {
    if (strayBefore.test(field) || strayAfter.test(value)) throw unknownOperator(text)
    return filterWith(field, info, value.trimStart(), text)
  }
  const present = trimmed.replace(/^!/, "")
  if (!plainField.test(present)) throw unknownOperator(text)
  return { field: present, op: "exists", value: present === trimmed }
}

function unknownOperator(text: string): UserError {
  return new UserError(
    `${text} has no operator that there is: use one of ${operatorHelp}`,
    `a value that begins with a sign goes into double quotes, and any other filter is written as JSON: {"field":"property.plan","op":"eq","value":"pro"}`,
  )
}

function filterWith(field: string, { name: op, takes }: OperatorInfo, value: string, text: string): object {
  switch (takes) {
    case "text":
      return { field, op, value: unquoted(value, text) }
    case "list":
      return { field, op, value: listOf(value, text) }
    case "number": {
      const number = value.trim() === "" ? Number.NaN : Number(value)
      if (Number.isFinite(number)) return { field, op, value: number }
      throw new UserError(`${text}: ${op} compares numbers, and ${value || "nothing"} is none`)
    }
    case "boolean": {
      const word = value.toLowerCase()
      if (["", "true", "false"].includes(word)) return { field, op, value: word !== "false" }
      throw new UserError(`${text}: ${op} takes true or false, and not ${value}`)
    }
  }
}

/** `"pro"` and `'pro'` as pro: a shell may have left the quotes there. */
function unquoted(value: string, text: string): string {
  const trimmed = value.trim()
  if (trimmed.length > 1 && trimmed.startsWith('"') && trimmed.endsWith('"')) {
    return String(jsonOf(trimmed, text, "text in double quotes"))
  }
  const isQuoted = trimmed.length > 1 && trimmed.startsWith("'") && trimmed.endsWith("'")
  return isQuoted ? trimmed.slice(1, -1) : value
}

/** `pro,free`, `"Paris, TX",Rome`, or a JSON array. */
function listOf(value: string, text: string): unknown[] {
  if (value.startsWith("[")) {
    const list = jsonOf(value, text, 'a list such as ["Paris, TX","Rome"]')
    if (Array.isArray(list)) return list
  }
  const items = [...`${value},`.matchAll(/\s*("(?:[^"\\]|\\.)*"|[^,]*?)\s*,/gs)].map(([, item = ""]) => item)
  if (items.some((item) => item === "" || (item.startsWith('"') && !/^".*"$/s.test(item)))) {
    throw new UserError(
      `${text}: a value of the list is empty or has no second quote; as JSON, such as ["pro",""], a list can have any values`,
    )
  }
  return items.map((item) => unquoted(item, text))
}

function jsonOf(json: string, text: string, what: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    throw new UserError(`${text}: ${json} is not JSON, and must be ${what} (${(error as Error).message})`)
  }
}

/** `bought where property.total>10 and path=/x`; JSON for names that have `where` in them. Throws a Complaint. */
export function readStep(text: string): object {
  if (text.trimStart().startsWith("{")) {
    return jsonOf(text, text, "a step such as {name, filters}") as object
  }
  const [, name = text, conditions = ""] = /^(.*?)\s+where\s+(.*)$/is.exec(text) ?? []
  const filters = conditions === "" ? [] : conditions.split(conjunction(conditions)).map(readFilter)
  return name === "*" ? { filters } : { name, filters }
}

/** `and`, where quotes come in pairs not between two of them. */
function conjunction(conditions: string): RegExp {
  const arePairs = conditions.split('"').length % 2 === 1
  return arePairs ? /\s+and\s+(?=(?:[^"]*"[^"]*")*[^"]*$)/i : /\s+and\s+/i
}
