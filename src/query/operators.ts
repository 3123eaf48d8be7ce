import type { Value } from "../columns/batch.ts"
import { numberOf } from "./json-values.ts"

/** The value of a filter, in each form that operators need. */
interface Operand {
  text: string
  list: ReadonlySet<string>
  /** NaN if the value is not a number. */
  number: number
  boolean: boolean
}

/**
 * Returns true if a value matches. `text` is the result of `textOf`. Both arguments are undefined if the value is
 * missing.
 */
export type ValuePredicate = (text: string | undefined, value: Value | undefined) => boolean

interface OperatorLabel {
  /** Shown after the name of a field in the dashboard. */
  label: string
  /** Used between field and value in `--where`. If absent, only the name of the operator is accepted. */
  symbol?: string
}

/** An operator that tests a value. */
interface PositiveDefinition extends OperatorLabel {
  operandType: "text" | "number" | "list" | "boolean"
  /** The label if the operand is false. Only set for operators with a boolean operand. */
  falseLabel?: string
  /**
   * How to find matching values in columns that contain dictionary IDs instead of texts. `equality` looks the operand
   * up in the dictionary, `text` tests the text of every ID, and `presence` needs no text.
   */
  lookup: "equality" | "text" | "presence"
  /** True if matching ignores case, so a matching string does not necessarily contain the operand itself. */
  ignoresCase?: true
  test: (operand: Operand) => ValuePredicate
}

/** The negation of another operator. It also matches if the value is missing. */
interface NegativeDefinition<Opposite extends string> extends OperatorLabel {
  negates: Opposite
}

const isNumber = (compare: (value: number) => boolean): ValuePredicate => {
  return (_, value) => {
    const number = numberOf(value)
    return number !== undefined && compare(number)
  }
}

// Lists of operators use this order. CONTRIBUTING.md describes how to add an operator.
const definitions = {
  eq: {
    label: "is",
    symbol: "=",
    operandType: "text",
    lookup: "equality",
    test: (operand) => (text) => text === operand.text,
  },
  ne: { label: "is not", symbol: "!=", negates: "eq" },
  in: {
    label: "is one of",
    operandType: "list",
    lookup: "equality",
    test: (operand) => (text) => text !== undefined && operand.list.has(text),
  },
  not_in: { label: "is none of", negates: "in" },
  contains: {
    label: "contains",
    symbol: "~",
    operandType: "text",
    lookup: "text",
    test: (operand) => (text) => text?.includes(operand.text) ?? false,
  },
  not_contains: { label: "does not contain", symbol: "!~", negates: "contains" },
  contains_any_case: {
    label: "contains (any case)",
    operandType: "text",
    lookup: "text",
    ignoresCase: true,
    test: (operand) => {
      const part = operand.text.toLowerCase()
      return (text) => text?.toLowerCase().includes(part) ?? false
    },
  },
  starts_with: {
    label: "starts with",
    symbol: "^=",
    operandType: "text",
    lookup: "text",
    test: (operand) => (text) => text?.startsWith(operand.text) ?? false,
  },
  not_starts_with: { label: "does not start with", symbol: "!^=", negates: "starts_with" },
  ends_with: {
    label: "ends with",
    symbol: "$=",
    operandType: "text",
    lookup: "text",
    test: (operand) => (text) => text?.endsWith(operand.text) ?? false,
  },
  gt: {
    label: "is above",
    symbol: ">",
    operandType: "number",
    lookup: "text",
    test: (operand) => isNumber((value) => value > operand.number),
  },
  gte: {
    label: "is at least",
    symbol: ">=",
    operandType: "number",
    lookup: "text",
    test: (operand) => isNumber((value) => value >= operand.number),
  },
  lt: {
    label: "is below",
    symbol: "<",
    operandType: "number",
    lookup: "text",
    test: (operand) => isNumber((value) => value < operand.number),
  },
  lte: {
    label: "is at most",
    symbol: "<=",
    operandType: "number",
    lookup: "text",
    test: (operand) => isNumber((value) => value <= operand.number),
  },
  exists: {
    label: "is set",
    falseLabel: "is not set",
    operandType: "boolean",
    lookup: "presence",
    test: (operand) => (text) => (text !== undefined) === operand.boolean,
  },
} as const satisfies Record<string, PositiveDefinition | NegativeDefinition<string>>

export type Operator = keyof typeof definitions
type PositiveOperator = {
  [Name in Operator]: (typeof definitions)[Name] extends { negates: string } ? never : Name
}[Operator]

const table: { readonly [Name in Operator]: PositiveDefinition | NegativeDefinition<PositiveOperator> } =
  definitions

function positiveDefinition(op: Operator): PositiveDefinition {
  const row = table[op]
  return "negates" in row ? definitions[row.negates] : row
}

/** Describes an operator, without its test. */
export interface OperatorInfo
  extends OperatorLabel,
    Pick<PositiveDefinition, "operandType" | "falseLabel" | "lookup" | "ignoresCase"> {
  name: Operator
  /**
   * True for a negation. It matches whenever the negated operator does not match, including when the value is missing.
   */
  isNegation: boolean
}

export const operatorNames = Object.keys(definitions) as Operator[]

export const operators = Object.fromEntries(
  operatorNames.map((name): [Operator, OperatorInfo] => {
    const { test: _, ...positive } = positiveDefinition(name)
    const { label, symbol } = table[name]
    const withSymbol = symbol === undefined ? {} : { symbol }
    return [name, { ...positive, name, label, ...withSymbol, isNegation: "negates" in table[name] }]
  }),
) as Record<Operator, OperatorInfo>

/** A filter without its field. */
export interface Condition {
  op: Operator
  value: string | number | boolean | readonly (string | number | boolean)[]
}

/** Returns the predicate of the operator, or of the operator that it negates. */
export function positivePredicateOf({ op, value }: Condition): ValuePredicate {
  const list = [value].flat().map(String)
  const [text = ""] = list
  return positiveDefinition(op).test({
    text,
    list: new Set(list),
    number: Number(text),
    boolean: text !== "false",
  })
}

export function predicateOf(condition: Condition): ValuePredicate {
  const test = positivePredicateOf(condition)
  return operators[condition.op].isNegation ? (text, value) => !test(text, value) : test
}

/** Returns the only strings that can match, or undefined if the operator allows an unlimited number of strings. */
export function requiredTexts({ op, value }: Condition): string[] | undefined {
  const { lookup, isNegation } = operators[op]
  return lookup === "equality" && !isNegation ? [value].flat().map(String) : undefined
}

/**
 * Returns a substring that every string must contain to match the operator (or the operator that it negates). Returns
 * undefined if there is no such substring.
 */
export function requiredPart({ op, value }: Condition): string | undefined {
  const { lookup, operandType, ignoresCase } = operators[op]
  const [part] = [value].flat().map(String)
  return lookup !== "presence" && operandType === "text" && !ignoresCase ? part || undefined : undefined
}

/** Returns true if a string matches a pattern, in which each `*` matches any number of characters, including none. */
export function matchesPattern(text: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.split("*")
  const last = rest.pop()
  if (last === undefined) return text === pattern
  if (!text.startsWith(first)) return false
  // Matching each part as early as possible leaves the most room for the remaining parts.
  let at = first.length
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return text.length - last.length >= at && text.endsWith(last)
}
