import type { TSchema } from "@sinclair/typebox"

/** JSON that is published, not worked with. */
export type Json = Record<string, unknown>

/** A reference into the document's `components`. */
export function ref(name: string): Json {
  return { $ref: `#/components/${name}` }
}

/**
 * A TypeBox schema as JSON Schema: without TypeBox's symbols, without `expected`, the wording of our own errors (that is
 * a string; a property of the name would be a schema), and with each union in the shortest form that says the same.
 */
export function published(schema: TSchema): Json {
  return JSON.parse(JSON.stringify(schema), (key, value) => {
    if (key === "expected" && typeof value === "string") return undefined
    if (!Array.isArray(value?.anyOf)) return value
    const { anyOf, ...rest } = value
    const shorter = choice(anyOf) ?? types(anyOf) ?? nullable(anyOf)
    return shorter ? { ...shorter, ...rest } : value
  })
}

/** Constants of one type are an `enum`. */
function choice(anyOf: Json[]): Json | undefined {
  const type = anyOf[0]?.type
  if (!anyOf.every((one) => "const" in one && one.type === type)) return undefined
  return { type, enum: anyOf.map((one) => one.const) }
}

function types(anyOf: Json[]): Json | undefined {
  if (!anyOf.every((one) => Object.keys(one).join() === "type")) return undefined
  return { type: anyOf.map((one) => one.type) }
}

/** Null beside one scalar, whose keywords say nothing of null, but for `enum` and `const`. */
function nullable(anyOf: Json[]): Json | undefined {
  const [other, more] = anyOf.filter((one) => one.type !== "null")
  if (!other || more || other.type === "array" || "enum" in other || "const" in other) return undefined
  return { ...other, type: [other.type, "null"] }
}

/** A JSON object of exactly these fields. */
export function exactly(properties: Json, optional: readonly string[] = []): Json {
  const required = Object.keys(properties).filter((name) => !optional.includes(name))
  return { type: "object", properties, required, additionalProperties: false }
}
