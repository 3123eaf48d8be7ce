import type { TObject, TSchema } from "@sinclair/typebox"

/** A JSON object in the document. */
export type Json = Record<string, unknown>

/** Returns a reference into the document's `components`. */
export function ref(name: string): Json {
  return { $ref: `#/components/${name}` }
}

/**
 * Converts a TypeBox schema to JSON Schema. Removes TypeBox's symbols and the error messages, which are strings named
 * `expected`. Keeps a schema with this name, because it describes a property. Converts unions to a shorter equivalent
 * form if there is one.
 */
export function publicSchema(schema: TSchema): Json {
  return JSON.parse(JSON.stringify(schema), (key, value) => {
    if (key === "expected" && typeof value === "string") return undefined
    if (!Array.isArray(value?.anyOf)) return value
    const { anyOf, ...rest } = value
    const short = enumOf(anyOf) ?? typesOf(anyOf) ?? nullableOf(anyOf)
    return short ? { ...short, ...rest } : value
  })
}

/** Returns the fields of an object schema as JSON Schema. */
export function publishedFields({ properties }: TObject): Record<string, Json> {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, publicSchema(schema)]))
}

/** Converts a union of constants of one type to an `enum`. Returns undefined for other unions. */
function enumOf(anyOf: Json[]): Json | undefined {
  const type = anyOf[0]?.type
  if (!anyOf.every((option) => "const" in option && option.type === type)) return undefined
  return { type, enum: anyOf.map((option) => option.const) }
}

function typesOf(anyOf: Json[]): Json | undefined {
  if (!anyOf.every((option) => Object.keys(option).join() === "type")) return undefined
  return { type: anyOf.map((option) => option.type) }
}

/**
 * Converts a nullable scalar to a list of types. Returns undefined for other unions, and for scalars with `enum` or
 * `const`, which would exclude null.
 */
function nullableOf(anyOf: Json[]): Json | undefined {
  const [scalar, another] = anyOf.filter((option) => option.type !== "null")
  if (!scalar || another || scalar.type === "array" || "enum" in scalar || "const" in scalar) return undefined
  return { ...scalar, type: [scalar.type, "null"] }
}

/** Returns the schema of a JSON object with exactly these fields. */
export function exactly(properties: Json, optional: readonly string[] = []): Json {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: "object", properties, required, additionalProperties: false }
}
