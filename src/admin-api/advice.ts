import type { RejectedRequest } from "../http/rejected-requests.ts"
import { rejections } from "../rejection-reasons.ts"

/** Returns one or two sentences that explain how to fix a rejected request. */
export function adviceFor({
  reason,
  fields,
  origin,
}: Pick<RejectedRequest, "reason" | "fields" | "origin">): string {
  if (origin) return `If ${origin} is yours, add ${origin} to the website's allowed origins.`
  if (fields.length === 0) return rejections[reason].advice
  return `Fix the request: ${fields.map(({ field, message }) => `${field} ${message}`).join("; ")}.`
}
