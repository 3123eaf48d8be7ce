import { RequestError } from "../errors.ts"
import { fieldErrors } from "../http/validation.ts"
import { canonicalWebsiteId } from "../store/websites.ts"
import { pageWebsite } from "./credential.ts"
import { invalidBody, isPlainText, plainTextError, serializeProperties } from "./event.ts"
import { enforceCredentialLimit, type IngestDeps, type IngestRequest, type IngestRoute } from "./handle.ts"
import { originAllowed } from "./origin.ts"
import { readPageBody } from "./page-request.ts"
import { type AiVisitInput, checkAiVisit } from "./page-schema.ts"
import { pagePathOf } from "./page-text.ts"

/** POST /ai-traffic. A website's server reports a visit by an AI agent, which does not run the page script. */
export const aiVisitRoute: IngestRoute = { method: "POST", path: "/ai-traffic", handle: receive }

/** Names of AI agents in User-Agent headers. If a header contains several names, the first one counts. */
const agents =
  /GPTBot|ChatGPT-User|OAI-SearchBot|ChatGPT Agent|ClaudeBot|Claude-User|Claude-SearchBot|Claude-Web|anthropic-ai|PerplexityBot|Perplexity-User|Google-Extended|Google-CloudVertexBot|Google-NotebookLM|GoogleAgent-Mariner|Gemini-Deep-Research|Googlebot|bingbot|Applebot-Extended|Applebot|Amazonbot|Bytespider|CCBot|cohere-ai|cohere-training-data-crawler|DuckAssistBot|DuckDuckBot|Diffbot|FacebookBot|meta-externalagent|meta-externalfetcher|meta-webindexer|MistralAI-User|YouBot|PetalBot|Timpibot|xAI-Bot|GrokBot|DeepSeekBot|Devin|Manus-User|NovaAct|PhindBot|Kagibot|LinerBot|AI2Bot|ICC-Crawler|Kangaroo Bot|omgilibot|ImagesiftBot/i

/** Returns the name of an agent as it is spelled above, or "other" if it is unknown. */
function agentOf(userAgent: string): string {
  const [found] = agents.exec(userAgent) ?? []
  return agents.source.split("|").find((name) => name.toLowerCase() === found?.toLowerCase()) ?? "other"
}

async function receive(deps: IngestDeps, request: IngestRequest): Promise<Response> {
  const body = await readPageBody(deps, request)
  const visit = readVisit(body.value)
  const websiteId = canonicalWebsiteId(visit.websiteId)
  enforceCredentialLimit(
    deps,
    request,
    { kind: "website", websiteId, keyProblem: undefined },
    { events: 1, bytes: body.size },
  )
  const { headers } = request.context.request
  const known = deps.registry.website(websiteId)
  if (known && !originAllowed(`https://${visit.host}`, known)) throw new RequestError("host_not_allowed")
  // Servers do not send an Origin header. If there is one, a page sent the request, and its origin must be allowed.
  const origin = headers.get("origin")
  const website = pageWebsite(websiteId, origin ?? `https://${visit.host}`, deps.registry)
  const serialized = serializeProperties({
    agent: agentOf(visit.userAgent),
    hostname: URL.parse(`https://${visit.host}`)?.hostname,
    ...(visit.format ? { format: visit.format } : {}),
  })
  if (typeof serialized === "string") throw invalidBody([{ field: "host", message: serialized }])
  const path = pagePathOf(visit.path)
  await deps.batcher.submit({
    rows: [
      {
        websiteRid: website.rid,
        name: "ai_visit",
        namespace: "",
        source: "",
        ...serialized,
        ts: request.now,
        receivedAt: request.now,
        anonymousId: null,
        hashVisitor: false,
        sessionId: null,
        profileId: null,
        path,
        viaKey: 0,
        crawler: 1,
        eventId: null,
        kind: "ai_visit",
        client: null,
        acquisition: visit.referrer
          ? deps.acquisitions.acquisitionContext(visit, undefined, website.domain)
          : null,
      },
    ],
    size: body.size,
  })
  return new Response('{"status":"success","type":"ai_visit"}', { status: 202, headers: request.headers })
}

function readVisit(body: unknown): AiVisitInput {
  if (!checkAiVisit.accepts(body)) throw invalidBody(fieldErrors(checkAiVisit, body))
  const errors = (["websiteId", "path"] as const)
    .filter((field) => !isPlainText(body[field]))
    .map((field) => ({ field, message: plainTextError }))
  if (errors.length > 0) throw invalidBody(errors)
  return body
}
