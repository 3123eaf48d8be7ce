import { Type } from "@sinclair/typebox"

// Fields of requests to several routes, and of their answers. `expected` is what the error says the field must be.

export const strict = { additionalProperties: false }

/** Of a text that stands in a line. */
export const noControls = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$"

export const name = Type.String({
  minLength: 1,
  maxLength: 256,
  pattern: noControls,
  description: "For people to tell them apart",
  expected: "must be a string of 1 to 256 characters, none of them a control character",
})

export const expiresAt = Type.Union([Type.Null(), Type.String(), Type.Number()], {
  description: "When it stops working: an ISO 8601 date or Unix ms; null: never",
  expected: "must be a date in the future, as ISO 8601 or Unix milliseconds, or null",
})

export function time(description: string) {
  return Type.String({ format: "date-time", description })
}

export function timeOrNull(description: string) {
  return Type.Union([Type.Null(), Type.String({ format: "date-time" })], { description })
}

/** Entries of a list in one request: far above what anybody has, far below what would be slow to look through. */
export const maxListed = 1_000

export const websiteId = Type.String({
  pattern: "^[A-Za-z0-9._-]{1,255}$",
  description: "The id that pages and events carry",
  expected: "must be 1 to 255 of A-Z, a-z, 0-9, '.', '_' and '-'",
})

/** Of whoever may make requests. */
export const grantedWebsites = Type.Union(
  [Type.Null(), Type.Array(websiteId, { minItems: 1, maxItems: maxListed })],
  {
    description: "The websites that this is limited to; null: all there are and will be",
    expected: `must be null or a list of 1 to ${maxListed} website ids`,
  },
)
