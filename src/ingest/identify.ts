import { type FieldError, RequestError } from "../errors.ts"
import { fieldErrors } from "../http/validation.ts"
import { badText, isPlainText } from "./event.ts"
import { checkIdentify, type IdentifyInput } from "./schema.ts"

/** UTF-8 bytes of the serialised traits. */
const maxTraitBytes = 2_048

/** The traits that profiles keep as columns too, where a NUL ends a text; the others stay JSON, which escapes it. */
const columnTraits = ["email", "name", "username"] as const

/** Checks the JSON of POST /identify. Throws `invalid_shape` with every bad field named. */
export function readIdentity(body: unknown): IdentifyInput {
  const errors = checkIdentify.Check(body) ? moreErrors(body) : fieldErrors(checkIdentify, body)
  if (errors.length === 0) return body as IdentifyInput
  const fields = errors.filter((error) => error.field !== "")
  throw new RequestError("invalid_shape", fields.length > 0 ? { fields } : {})
}

function moreErrors(input: IdentifyInput): FieldError[] {
  const errors: FieldError[] = []
  for (const field of ["profileId", "anonymousId", "websiteId"] as const) {
    if (!isPlainText(input[field] ?? "")) errors.push({ field, message: badText })
  }
  errors.push(...columnTraitErrors(input.traits ?? {}))
  const traits = JSON.stringify(input.traits ?? {})
  if (Buffer.byteLength(traits) > maxTraitBytes) {
    errors.push({ field: "traits", message: `must be at most ${maxTraitBytes} bytes of JSON` })
  }
  return errors
}

export function columnTraitErrors(traits: Readonly<Record<string, unknown>>): FieldError[] {
  return columnTraits
    .filter((trait) => typeof traits[trait] === "string" && !isPlainText(traits[trait]))
    .map((trait) => ({ field: `traits.${trait}`, message: badText }))
}
