import { type Static, Type } from "@sinclair/typebox"
import { TypeCompiler } from "@sinclair/typebox/compiler"

/** `expected` is what the error says the field must be. Lengths are UTF-16 units, as JavaScript counts. */
function text(limit: number, description: string) {
  return Type.Optional(
    Type.String({
      maxLength: limit,
      description,
      expected: `must be a string of at most ${limit} characters`,
    }),
  )
}

export const eventSchema = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 256,
      description: "What happened",
      expected: "must be a string of 1 to 256 characters",
    }),
    namespace: text(64, "Groups events"),
    timestamp: Type.Optional(
      Type.Union([Type.Number(), Type.String()], {
        description:
          "When it happened: Unix ms, or a date as ISO 8601, UTC where it names no zone; from 2000-01-01 to an hour from now. Default: time of receipt",
        expected: "must be Unix milliseconds or a date, from 2000-01-01 to an hour from now",
      }),
    ),
    properties: Type.Optional(
      Type.Object(
        {},
        {
          additionalProperties: true,
          description: "Any JSON; keys of at most 128 characters, at most 32 KiB serialised",
          expected: "must be an object",
        },
      ),
    ),
    anonymousId: text(256, "A visitor, by an id of the client's making"),
    sessionId: text(256, "A visit"),
    websiteId: text(255, "The website it belongs to: a UUID, or the id of a registered website"),
    source: text(64, "Where it was sent from, such as backend or app"),
    eventId: text(512, "Idempotency key: of several events with the same one, the first is kept"),
    profileId: text(128, "An identified user"),
    path: text(2048, "The page it happened on"),
    anonymizeVisitorIds: Type.Optional(
      Type.Union([Type.Boolean(), Type.Literal("auto")], {
        description: "Store a hash of anonymousId that changes every day; auto: as the website is set",
        expected: 'must be true, false or "auto"',
      }),
    ),
  },
  { expected: "must be an object" },
)

export type EventInput = Static<typeof eventSchema>

const traitSchema = Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()], {
  expected: "must be a string, number, boolean or null",
})

export const identifySchema = Type.Object(
  {
    profileId: Type.String({
      minLength: 1,
      maxLength: 128,
      description: "The identified user",
      expected: "must be a string of 1 to 128 characters",
    }),
    anonymousId: text(256, "The visitor who turned out to be that user"),
    traits: Type.Optional(
      Type.Object(
        {},
        {
          additionalProperties: traitSchema,
          maxProperties: 50,
          description:
            "What is known of the user, merged into what was known; null removes one. At most 2 KiB serialised",
          expected: "must be an object of at most 50 strings, numbers, booleans or nulls",
        },
      ),
    ),
    websiteId: text(255, "The website; required here or as ?website_id="),
  },
  { expected: "must be an object" },
)

/** TypeBox does not infer the type of additional properties. */
export type IdentifyInput = Omit<Static<typeof identifySchema>, "traits"> & {
  traits?: Record<string, Static<typeof traitSchema>>
}

export const checkEvent = TypeCompiler.Compile(eventSchema)
export const checkIdentify = TypeCompiler.Compile(identifySchema)
