import type { Static, TSchema } from "@sinclair/typebox"
import type { TypeCheck } from "@sinclair/typebox/compiler"
import type { ValueError } from "@sinclair/typebox/errors"
import { type FieldError, RequestError } from "../errors.ts"

/** Bad fields that one answer names; the rest says nothing new. */
export const maxErrors = 100

/**
 * What `value` has that its schema does not allow, the first fault of each field, in the words of the schema's `expected`
 * where it has some. The field '' is the value as a whole.
 */
export function fieldErrors(check: TypeCheck<TSchema>, value: unknown): FieldError[] {
  const found = new Map<string, FieldError>()
  for (const { path, schema, message } of withInner(check.Errors(value))) {
    const field = path.slice(1).replaceAll("/", ".").replaceAll("~1", "/").replaceAll("~0", "~")
    if (!found.has(field)) found.set(field, { field, message: schema.expected ?? message })
    if (found.size >= maxErrors) break
  }
  return [...found.values()]
}

/** An object where a union takes one has the faults of its fields, not that of the union. */
function* withInner(errors: Iterable<ValueError>): Iterable<ValueError> {
  for (const error of errors) {
    const { value, schema } = error
    const variant: number = schema.anyOf?.findIndex((one: TSchema) => one.type === "object") ?? -1
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value)
    const inner = isObject ? error.errors[variant] : undefined
    if (inner) yield* withInner(inner)
    else yield error
  }
}

/** What TypeBox says where a schema has no words of its own. */
const wording: Record<string, string> = {
  "Unexpected property": "is not a field of this request",
  "Expected object": "must be a JSON object",
}

/** `value` as its schema says. Throws `invalid_shape` with each bad field named. `words`: what to say for TypeBox's messages. */
export function checked<Schema extends TSchema>(
  check: TypeCheck<Schema>,
  value: unknown,
  words: Record<string, string> = {},
): Static<Schema> {
  if (check.Check(value)) return value
  const said = { ...wording, ...words }
  throw invalid(
    fieldErrors(check, value).map(({ field, message }) => ({ field, message: said[message] ?? message })),
  )
}

/** What is wrong with a text that its pattern cannot tell: half a surrogate pair is no UTF-8. `expected`: what the field must be. */
export function malformed(field: string, text: string | undefined, expected: string): FieldError[] {
  return text === undefined || text.isWellFormed() ? [] : [{ field, message: expected }]
}

/** The refusal's detail is for people, who see no list of fields. */
export function invalid(fields: FieldError[]): RequestError {
  const detail = fields.map(({ field, message }) => `${field || "the body"} ${message}`).join("; ")
  return new RequestError("invalid_shape", { fields, detail })
}
