import { Type } from "@sinclair/typebox"

// Fields shared by several routes. `expected` completes the error message "<field> …".

export const strict = { additionalProperties: false }

/** Matches strings without line breaks and other control characters. */
export const noControls = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$"

export const name = Type.String({
  minLength: 1,
  maxLength: 256,
  pattern: noControls,
  description: "Display name",
  expected: "must be a string of 1 to 256 characters without control characters",
})

export const expiresAt = Type.Union([Type.Null(), Type.String(), Type.Number()], {
  description: "Expiry: an ISO 8601 date or Unix ms; null: never",
  expected: "must be a date in the future, as ISO 8601 or Unix milliseconds, or null",
})

export function time(description: string) {
  return Type.String({ format: "date-time", description })
}

export function timeOrNull(description: string) {
  return Type.Union([Type.Null(), Type.String({ format: "date-time" })], { description })
}

/** Maximum number of entries in a list in a request. This is far more than anyone needs, but still fast to check. */
export const maxListEntries = 1_000

export const websiteId = Type.String({
  pattern: "^[A-Za-z0-9._-]{1,255}$",
  description: "The website's id, sent by pages and in events",
  expected: "must be 1 to 255 characters from A-Z, a-z, 0-9, '.', '_' and '-'",
})

/** The websites that a key, user or link can access. */
export const grantedWebsites = Type.Union(
  [Type.Null(), Type.Array(websiteId, { minItems: 1, maxItems: maxListEntries })],
  {
    description: "Accessible websites; null: all, including future ones",
    expected: `must be null or a list of 1 to ${maxListEntries} website ids`,
  },
)

/** Fields that describe what a share link opens, in responses to its owner and to the visitors who use it. */
export const sharedWebsite = Type.Union([Type.Null(), Type.String()], {
  description: "Website of the link; null: the link shows a board of all websites",
})
export const sharedPage = Type.Union([Type.Null(), Type.String()], {
  description: 'The only page that the link opens; "boards" for a board; null: all reports of the website',
})
export const sharedBoard = Type.Union([Type.Null(), Type.String()], {
  description: "The only board that the link opens; null: no board",
})
