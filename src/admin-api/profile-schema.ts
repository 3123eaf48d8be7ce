import { type Static, Type } from "@sinclair/typebox"
import { noControls, strict, time } from "../http/schema.ts"
import { maxSearchResults } from "../store/profile-search.ts"

const profileWebsite = Type.String({
  minLength: 1,
  maxLength: 255,
  description: "Website of the profiles",
  expected: "must be the ID of a website",
})

/** Default number of profiles per page. It is low, because a profile can have up to 16 KiB of traits. */
export const profilesPerPage = 50
const maxProfilesPerPage = 200
/** Maximum number of ids per request, so that the ids fit into a URL. */
const maxListedProfiles = 50

/** Query string of GET /v1/profiles. */
export const profileSearchSchema = Type.Object(
  {
    website_id: profileWebsite,
    search: Type.Optional(
      Type.String({
        maxLength: 256,
        pattern: noControls,
        description:
          "Text to find in the id, email, name, username or one of the first 1,000 linked anonymous ids of a profile; not case-sensitive",
        expected: "must be a string of at most 256 characters without control characters",
      }),
    ),
    id: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
        maxItems: maxListedProfiles,
        description: `Only the profiles with these ids, at most ${maxListedProfiles}; cannot be combined with a search or pages`,
        expected: `must be at most ${maxListedProfiles} ids of profiles`,
      }),
    ),
    limit: Type.Optional(
      Type.String({
        pattern: "^(?:[1-9]\\d?|1\\d\\d|200)$",
        description: `Profiles per page, at most ${maxProfilesPerPage}; default: ${profilesPerPage}`,
        expected: `must be a whole number from 1 to ${maxProfilesPerPage}`,
      }),
    ),
    page: Type.Optional(
      Type.String({
        pattern: "^[1-9]\\d{0,6}$",
        description: `Page number, from 1 (default); a search returns at most the first ${maxSearchResults} profiles`,
        expected: "must be a whole number from 1 to 9999999",
      }),
    ),
  },
  strict,
)

/** Query string of GET /v1/profiles/:id. */
export const profileFilterSchema = Type.Object({ website_id: profileWebsite }, strict)

const textOrNull = (description: string) => Type.Union([Type.Null(), Type.String()], { description })

/** A profile in the API. */
export const profileSchema = Type.Object({
  profileId: Type.String({ description: "Profile id from /identify" }),
  email: textOrNull("Email address in the traits, in lower case"),
  name: textOrNull("Name in the traits"),
  username: textOrNull("Username in the traits"),
  traits: Type.Object({}, { additionalProperties: true, description: "All traits" }),
  createdAt: time("Time of the first identify"),
  updatedAt: time("Time of the last identify"),
  anonymousIds: Type.Array(Type.String(), {
    description: "Linked anonymous ids, newest first; at most 100",
  }),
  claimedTraits: Type.Array(Type.String(), {
    description:
      "Traits that were sent only by a page, without a key. Anyone who knows the public website id can send them",
  }),
  claimedAnonymousIds: Type.Array(Type.String(), {
    description: "The ids in anonymousIds that were linked only by a page, without a key",
  }),
})

export type ProfileJson = Static<typeof profileSchema>
