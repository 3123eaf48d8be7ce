import type { FieldError } from "../errors.ts"
import { fieldErrors } from "../http/validation.ts"
import { invalidBody, isPlainText, plainTextError } from "./event.ts"
import { checkIdentify, type IdentifyInput } from "./schema.ts"

/** Maximum size of the serialized traits, in bytes of UTF-8. */
const maxTraitBytes = 2_048

/** Traits that profiles also store as columns, where NUL ends a string. In other traits, JSON escapes NUL. */
const columnTraits = ["email", "name", "username"] as const

/** Validates the body of /identify. Throws `invalid_shape` with every invalid field. */
export function readIdentity(body: unknown): IdentifyInput {
  const errors = checkIdentify.accepts(body) ? identityErrors(body) : fieldErrors(checkIdentify, body)
  if (errors.length > 0) throw invalidBody(errors)
  // Checked above. The type assertion is needed because TypeBox's own type lacks the traits.
  return body as IdentifyInput
}

/**
 * The fields of an identify request that the schema cannot check completely, both in requests with a key and in those
 * from a page.
 */
interface Identity {
  profileId: string
  anonymousId?: string | null
  websiteId?: string
  traits?: object | null
}

/** Returns errors for strings that cannot be stored and for traits that are too large. */
export function identityErrors(input: Identity): FieldError[] {
  const errors: FieldError[] = []
  for (const field of ["profileId", "anonymousId", "websiteId"] as const) {
    if (!isPlainText(input[field] ?? "")) errors.push({ field, message: plainTextError })
  }
  errors.push(...columnTraitErrors({ ...input.traits }))
  const traits = JSON.stringify(input.traits ?? {})
  if (Buffer.byteLength(traits) > maxTraitBytes) {
    errors.push({ field: "traits", message: `must be at most ${maxTraitBytes} bytes of JSON` })
  }
  return errors
}

/** Returns errors for traits whose strings cannot be stored in a column. */
export function columnTraitErrors(traits: Readonly<Record<string, unknown>>): FieldError[] {
  return columnTraits
    .filter((trait) => typeof traits[trait] === "string" && !isPlainText(traits[trait]))
    .map((trait) => ({ field: `traits.${trait}`, message: plainTextError }))
}
