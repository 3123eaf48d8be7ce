import { Type } from "@sinclair/typebox"

// Fields of requests to several routes. `expected` is what the error says the field must be.

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
