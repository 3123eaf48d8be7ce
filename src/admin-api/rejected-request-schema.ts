import { type Static, Type } from "@sinclair/typebox"
import { maxRejectedRequests } from "../http/rejected-requests.ts"
import { strict, time } from "../http/schema.ts"
import { type RejectionReason, rejections } from "../rejection-reasons.ts"
import { websiteFilter } from "./schema.ts"

/** The type assertion is needed because Object.keys loses the literal types. */
const reasons = Object.keys(rejections) as RejectionReason[]

const reason = Type.String({ enum: reasons, description: "Reason for the rejection" })

/** A rejected request in the API and in `--json` output. */
export const rejectedRequestSchema = Type.Object({
  time: time("Time of the request"),
  path: Type.String({ description: "Path of the request, such as /track" }),
  websiteId: Type.Union([Type.Null(), Type.String()], {
    description: "Website id in the request; null: there was none, or more than one",
  }),
  status: Type.Integer({ description: "Status of the response" }),
  reason,
  events: Type.Union([Type.Null(), Type.Integer()], {
    description: "Number of events in the request; null: the body could not be read or contains no events",
  }),
  names: Type.Array(Type.String(), {
    description: "Event names; at most 10, each truncated to 64 characters",
  }),
  keys: Type.Array(Type.String(), {
    description: "Property or trait keys; at most 30, each truncated to 64 characters",
  }),
  origin: Type.Union([Type.Null(), Type.String()], {
    description:
      "For origin_not_allowed: the origin to add to the website's allowed origins if the sender is yours; null: the request had no usable Origin header",
  }),
  advice: Type.String({ description: "How to fix the request" }),
})

/** Query string of GET /v1/refusals. */
export const rejectedRequestFilterSchema = Type.Object(
  {
    website_id: websiteFilter,
    reason: Type.Optional(
      Type.Union(
        reasons.map((reason) => Type.Literal(reason)),
        { description: "Filter by reason", expected: "must be a reason, such as invalid_shape" },
      ),
    ),
    limit: Type.Optional(
      Type.String({
        pattern: "^(?:[1-9]\\d{0,2}|1000)$",
        description: `Number of requests, newest first; at most ${maxRejectedRequests}`,
        expected: `must be a whole number from 1 to ${maxRejectedRequests}`,
      }),
    ),
  },
  strict,
)

export type RejectedRequestJson = Static<typeof rejectedRequestSchema>
