import { type FieldError, RequestError } from "../errors.ts"
import { hasKey } from "../http/key.ts"
import { enforceRateLimit } from "../http/rate-limits.ts"
import { addressOf } from "../http/request-context.ts"
import { fieldErrors } from "../http/validation.ts"
import { invalidBody, shouldHashVisitor } from "./event.ts"
import type { IngestDeps, IngestRequest } from "./handle.ts"
import { identityErrors } from "./identify.ts"
import { authorizePage, readPageBody } from "./page-request.ts"
import { checkPageIdentity, type PageIdentityInput } from "./page-schema.ts"

/*
 * Anyone who knows the public website id can send the same requests as a page. Therefore, a page cannot take over a
 * profile:
 * - Traits and links sent by a page are marked as claims, both when they are stored and wherever they are shown.
 * - A claimed link does not assign events to a profile, whether in reports, in exports or for `forget`.
 * - A claim does not change traits that were set with a key.
 * - A claim does not link a visitor who was linked with a key.
 * - A link made with a key replaces the visitor's claimed links.
 */

/** Maximum number of requests per minute for one website id from one address. */
const rateLimit = 60

/** True if a request has no key and sends its website id in the same way as the page script. */
export function isFromPage({ headers, url }: Request): boolean {
  if (hasKey(headers)) return false
  const start = url.indexOf("?")
  const isInQuery = start >= 0 && new URLSearchParams(url.slice(start)).has("client_id")
  return isInQuery || headers.has("databuddy-client-id")
}

export async function identifyFromPage(deps: IngestDeps, request: IngestRequest): Promise<Response> {
  const { context, now, headers } = request
  const body = await readPageBody(deps, request)
  const { profileId, anonymousId, anonymizeVisitorIds, traits } = readPageIdentity(body.value)
  const website = authorizePage(deps, request, { events: 0, bytes: body.size })
  const { limiter, profiles, settings } = deps
  // Applies even with --rate-limit 0, which is meant for servers behind another rate limiter, because new profiles,
  // unlike new names, have no daily quota.
  const name = `identify ${website.rid} ${addressOf(context, settings.trustedProxies)}`
  enforceRateLimit(limiter.take(name, rateLimit), headers)
  if (!website.pageIdentify) throw new RequestError("page_identify_off")
  const claim = {
    websiteRid: website.rid,
    profileId,
    anonymousId: anonymousId || null,
    hashVisitor: shouldHashVisitor(anonymizeVisitorIds ?? "auto", website),
    traits: traits ?? {},
    isClaim: true,
  }
  await deps.batcher.submit({ rows: [], size: body.size, apply: () => profiles.identify(claim, now) })
  return new Response('{"status":"success","type":"identify"}', { headers })
}

function readPageIdentity(body: unknown): PageIdentityInput {
  const errors: FieldError[] = checkPageIdentity.accepts(body)
    ? identityErrors(body)
    : fieldErrors(checkPageIdentity, body)
  if (errors.length > 0) throw invalidBody(errors)
  // Checked above. The type assertion is needed because TypeBox's own type lacks the traits.
  return body as PageIdentityInput
}
