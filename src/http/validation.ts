import type { Static, TSchema } from "@sinclair/typebox"
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler"
import type { ValueError } from "@sinclair/typebox/errors"
import { type FieldError, RequestError } from "../errors.ts"

/**
 * Checks values against a schema. The schema is compiled when it is first used, because a process uses only a few of
 * the schemas that it loads.
 */
export class SchemaCheck<Schema extends TSchema> {
  #compiled: TypeCheck<Schema> | undefined

  constructor(readonly schema: Schema) {}

  accepts(value: unknown): value is Static<Schema> {
    return this.#check().Check(value)
  }

  /** Returns the errors of an invalid value. */
  errors(value: unknown): Iterable<ValueError> {
    return this.#check().Errors(value)
  }

  #check(): TypeCheck<Schema> {
    this.#compiled ??= TypeCompiler.Compile(this.schema)
    return this.#compiled
  }
}

/** Maximum number of invalid fields in one response. */
export const maxFieldErrors = 100

/**
 * Lists the invalid fields of `value` with the first error of each. The message is `expected` from the schema, or
 * TypeBox's message. The field '' stands for the whole value.
 */
export function fieldErrors(check: SchemaCheck<TSchema>, value: unknown): FieldError[] {
  const found = new Map<string, FieldError>()
  for (const { path, schema, message } of flattenUnionErrors(check.errors(value))) {
    const field = path.slice(1).replaceAll("/", ".").replaceAll("~1", "/").replaceAll("~0", "~")
    if (!found.has(field)) found.set(field, { field, message: schema.expected ?? message })
    if (found.size >= maxFieldErrors) break
  }
  return [...found.values()]
}

/**
 * If a union accepts objects and the value is an object, yields the errors of the object's fields instead of the
 * union's error.
 */
function* flattenUnionErrors(errors: Iterable<ValueError>): Iterable<ValueError> {
  for (const error of errors) {
    const { value, schema } = error
    const objectVariant: number =
      schema.anyOf?.findIndex((variant: TSchema) => variant.type === "object") ?? -1
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value)
    const inner = isObject ? error.errors[objectVariant] : undefined
    if (inner) yield* flattenUnionErrors(inner)
    else yield error
  }
}

/** Replacements for TypeBox's messages, for schemas without `expected`. */
export const defaultMessages: Record<string, string> = {
  "Unexpected property": "is not a field of this request",
  "Expected object": "must be a JSON object",
}

/**
 * Validates `value`. Throws `invalid_shape` with every invalid field. `messages`: replacements in addition to
 * `defaultMessages`.
 */
export function validate<Schema extends TSchema>(
  check: SchemaCheck<Schema>,
  value: unknown,
  messages: Record<string, string> = {},
): Static<Schema> {
  if (check.accepts(value)) return value
  const replacements = { ...defaultMessages, ...messages }
  throw invalidShape(
    fieldErrors(check, value).map(({ field, message }) => ({
      field,
      message: replacements[message] ?? message,
    })),
  )
}

/**
 * Returns a list with one error if the text has lone surrogates, which patterns cannot detect and UTF-8 cannot encode.
 * Otherwise, the list is empty. `message`: what the field must be.
 */
export function unicodeErrors(field: string, text: string | undefined, message: string): FieldError[] {
  return text === undefined || text.isWellFormed() ? [] : [{ field, message }]
}

/** Creates an `invalid_shape` error. Its detail repeats the fields as readable text. */
export function invalidShape(fields: FieldError[]): RequestError {
  const detail = fields.map(({ field, message }) => `${field || "the body"} ${message}`).join("; ")
  return new RequestError("invalid_shape", { fields, detail })
}
