import type { Value } from "../columns/batch.ts"
import { numberOf } from "./json.ts"

/** What a filter compares with, in the forms that operators need. */
interface Operand {
  text: string
  list: ReadonlySet<string>
  /** NaN where it is no number. */
  number: number
  boolean: boolean
}

/** Whether a value fits; `text` is what it is compared as, and both are undefined where it is missing. */
export type Test = (text: string | undefined, value: Value | undefined) => boolean

interface Named {
  /** In the words of the dashboard, behind the name of a field. */
  label: string
  /** In `--where`, between field and value; left out: the operator's name alone. */
  sign?: string
}

/** An operator that says something of a value that is there. */
interface Positive extends Named {
  /** What it is given. */
  takes: "text" | "number" | "list" | "boolean"
  /** Of one that takes a boolean: its label with false. */
  labelOfFalse?: string
  /**
   * How ids that fit are found, which are numbers in the columns: `equality` looks the operand up, `text` tests the text of every
   * id, `presence` needs no text.
   */
  lookup: "equality" | "text" | "presence"
  test: (operand: Operand) => Test
}

/** An operator that is true wherever another one is false, and so where the value is missing. */
interface Negative<Opposite extends string> extends Named {
  negates: Opposite
}

const isNumber = (compare: (value: number) => boolean): Test => {
  return (_, value) => {
    const number = numberOf(value)
    return number !== undefined && compare(number)
  }
}

// In the order in which they are listed everywhere. One row is all that an operator needs.
const rows = {
  eq: {
    label: "is",
    sign: "=",
    takes: "text",
    lookup: "equality",
    test: (operand) => (text) => text === operand.text,
  },
  ne: { label: "is not", sign: "!=", negates: "eq" },
  in: {
    label: "is one of",
    takes: "list",
    lookup: "equality",
    test: (operand) => (text) => text !== undefined && operand.list.has(text),
  },
  not_in: { label: "is none of", negates: "in" },
  contains: {
    label: "contains",
    sign: "~",
    takes: "text",
    lookup: "text",
    test: (operand) => (text) => text?.includes(operand.text) ?? false,
  },
  not_contains: { label: "does not contain", sign: "!~", negates: "contains" },
  starts_with: {
    label: "begins with",
    sign: "^=",
    takes: "text",
    lookup: "text",
    test: (operand) => (text) => text?.startsWith(operand.text) ?? false,
  },
  not_starts_with: { label: "does not begin with", sign: "!^=", negates: "starts_with" },
  ends_with: {
    label: "ends with",
    sign: "$=",
    takes: "text",
    lookup: "text",
    test: (operand) => (text) => text?.endsWith(operand.text) ?? false,
  },
  gt: {
    label: "is above",
    sign: ">",
    takes: "number",
    lookup: "text",
    test: (operand) => isNumber((value) => value > operand.number),
  },
  gte: {
    label: "is at least",
    sign: ">=",
    takes: "number",
    lookup: "text",
    test: (operand) => isNumber((value) => value >= operand.number),
  },
  lt: {
    label: "is below",
    sign: "<",
    takes: "number",
    lookup: "text",
    test: (operand) => isNumber((value) => value < operand.number),
  },
  lte: {
    label: "is at most",
    sign: "<=",
    takes: "number",
    lookup: "text",
    test: (operand) => isNumber((value) => value <= operand.number),
  },
  exists: {
    label: "is there",
    labelOfFalse: "is missing",
    takes: "boolean",
    lookup: "presence",
    test: (operand) => (text) => (text !== undefined) === operand.boolean,
  },
} as const satisfies Record<string, Positive | Negative<string>>

export type Operator = keyof typeof rows
type PositiveOperator = {
  [Name in Operator]: (typeof rows)[Name] extends { negates: string } ? never : Name
}[Operator]

const table: { readonly [Name in Operator]: Positive | Negative<PositiveOperator> } = rows

function positiveOf(op: Operator): Positive {
  const row = table[op]
  return "negates" in row ? rows[row.negates] : row
}

/** What there is to know of an operator besides what it tests. */
export interface OperatorInfo extends Named, Pick<Positive, "takes" | "labelOfFalse" | "lookup"> {
  name: Operator
  /** True where its opposite is false, and so where the value is missing. */
  isNegation: boolean
}

export const operatorNames = Object.keys(rows) as Operator[]

export const operators = Object.fromEntries(
  operatorNames.map((name): [Operator, OperatorInfo] => {
    const { test: _, ...positive } = positiveOf(name)
    const { label, sign } = table[name]
    const signed = sign === undefined ? {} : { sign }
    return [name, { ...positive, name, label, ...signed, isNegation: "negates" in table[name] }]
  }),
) as Record<Operator, OperatorInfo>

/** What a filter says of a value. */
export interface Condition {
  op: Operator
  value: string | number | boolean | readonly (string | number | boolean)[]
}

/** Of a negation: the test of its opposite. */
export function positiveTestOf({ op, value }: Condition): Test {
  const list = [value].flat().map(String)
  const [text = ""] = list
  return positiveOf(op).test({
    text,
    list: new Set(list),
    number: Number(text),
    boolean: text !== "false",
  })
}

export function testOf(condition: Condition): Test {
  const test = positiveTestOf(condition)
  return operators[condition.op].isNegation ? (text, value) => !test(text, value) : test
}

/** The texts of which a value must be one; undefined where the operator does not list them. */
export function requiredTexts({ op, value }: Condition): string[] | undefined {
  const { lookup, isNegation } = operators[op]
  return lookup === "equality" && !isNegation ? [value].flat().map(String) : undefined
}
