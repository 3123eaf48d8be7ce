import type { IdKind } from "../columns/batch.ts"
import { acquisitionFields, clientFields } from "../store/contexts.ts"

const withoutIds = <Name extends string>(names: readonly Name[]) =>
  // The type assertion is needed because `Object.fromEntries` does not preserve the types of the keys.
  Object.fromEntries(names.map((name) => [name, undefined])) as Record<Name, undefined>

/**
 * Fields of an event. A field that holds IDs is mapped to its kind of dictionary IDs. All fields except `event_name`
 * and `kind` can be missing.
 */
export const idKinds = {
  event_name: undefined,
  kind: undefined,
  namespace: undefined,
  source: undefined,
  path: undefined,
  /** Read from the property `query_string`. */
  query_string: undefined,
  profile_id: "profiles",
  anonymous_id: "visitors",
  session_id: "sessions",
  website_id: undefined,
  ...withoutIds(clientFields),
  ...withoutIds(acquisitionFields),
} as const satisfies Record<string, IdKind | undefined>

export type Field = keyof typeof idKinds

export const fields = Object.keys(idKinds) as Field[]

/** Fields that have the same value for all events of a batch. */
export const batchFields = ["event_name", "kind", "website_id"] as const satisfies readonly Field[]

export type BatchField = (typeof batchFields)[number]

export function isBatchField(field: string): field is BatchField {
  // The type assertion is needed because `includes` only accepts elements of the array.
  return (batchFields as readonly string[]).includes(field)
}

/**
 * Fields that identify visitors, sessions and profiles. Queries can only group or filter by them with the scope
 * `read:data`.
 */
export const idFields: readonly Field[] = fields.filter((field) => idKinds[field])

/**
 * A property, such as `property.plan`, `property.cart.total` (nested) or `property.items.0.sku` (in an array). At every
 * level, a key that contains dots takes precedence over nested keys. JSON null counts as missing.
 */
export type Property = `property.${string}`

export type Dimension = Field | Property
