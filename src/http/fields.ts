import type { TSchema } from "@sinclair/typebox"
import type { TypeCheck } from "@sinclair/typebox/compiler"
import type { ValueError } from "@sinclair/typebox/errors"
import type { FieldError } from "../errors.ts"

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
