import { RequestError } from "../errors.ts"
import type { AuthenticatedRequest, RouteDeps } from "../http/authenticated-request.ts"
import type { Caller } from "../http/caller.ts"
import { addressOf, type RequestContext } from "../http/request-context.ts"
import type { Client } from "../query/engine/caller-queue.ts"
import type { QueryEngine } from "../query/engine/engine.ts"
import { hasScope } from "../store/keys.ts"
import { executeParsedQuery, type ParameterResult, type QueryAnswer } from "./execute.ts"
import { parseQueries } from "./parse.ts"
import type { QuerySpec } from "./query-spec.ts"
import { discard, type JsonRows, Outbox, queryResponse } from "./response.ts"
import { fullLimits, reportLimits } from "./result-limits.ts"
import type { LimitedCaller } from "./type-access.ts"

/** Dependencies of running queries. */
export interface QueryRunDeps extends RouteDeps {
  queryEngine: QueryEngine<QuerySpec>
}

/** Queries to run for the caller of a request. */
export interface QueryInput {
  /** A query or a batch, as in the body of POST /v1/query. */
  body: unknown
  /** Bytes of the request's body. */
  size: number
  /** Row ids; 0 stands for events without a website. */
  websites: readonly number[]
  /** Default time zone. */
  zone: string
  /** The caller whose pages limit the query types; undefined if the server chose the query. */
  limitedCaller: LimitedCaller | undefined
}

/** Runs queries within the limits of the caller, and streams the response. Throws a RequestError. */
export type RunQueries = (
  request: Pick<AuthenticatedRequest, "caller" | "now" | "headers" | "context">,
  input: QueryInput,
) => Promise<Response>

/** Responses of the maximum size that can wait for slow clients before the oldest is cut off. */
const outboxResponses = 2
/**
 * Maximum bytes of a body from callers with read:reports only, such as share links, with which anyone can send 600
 * bodies a minute. Enough for 50 parameters of 1 KB each; the dashboard sends 10 KB at most.
 */
const maxReportBodyBytes = 65_536
/** Memory of a waiting query, per byte of its body and per parameter, in bytes. */
const bytesPerByte = 8
const bytesPerParameter = 2_048

/** Maximum bytes of a body with queries; undefined: the limit of all other requests. */
export function maxQueryBytes(caller: Caller): number | undefined {
  return hasScope(caller.scopes, "read:data") ? undefined : maxReportBodyBytes
}

/** Creates a function that runs queries. Its calls share the memory for responses that wait for slow clients. */
export function queryRunner(deps: QueryRunDeps): RunQueries {
  const outbox = new Outbox(() => deps.queryEngine.responseBytes * outboxResponses)
  return (request, input) => runQueries(deps, request, input, outbox)
}

async function runQueries(
  deps: QueryRunDeps,
  { caller, now, headers, context }: Parameters<RunQueries>[0],
  { body, size, websites, zone, limitedCaller }: QueryInput,
  outbox: Outbox,
): Promise<Response> {
  const { queryEngine, settings } = deps
  const { signal } = context.request
  const canReadData = hasScope(caller.scopes, "read:data")
  const limits = canReadData ? fullLimits : reportLimits
  const limited = limitedCaller ? { caller: limitedCaller } : {}
  const { isBatch, queries } = await runSteps(
    parseQueries(body, { websites, zone, now, canReadData, limits, ...limited }),
  )
  const onFault = (error: unknown) => deps.logError(error, { path: "/v1/query" })
  const { rows, cells, bytes = queryEngine.responseBytes } = limits
  const remaining = { rows, cells, bytes: Math.min(bytes, queryEngine.responseBytes) }
  const client = clientOf(caller, context, settings)
  const results: JsonRows[] = []
  /** Errors of parameters that only a cluster could answer. */
  const unavailable: RequestError[] = []
  const execute = async (spec: QuerySpec): Promise<ParameterResult<JsonRows>> => {
    try {
      const rendered = await queryEngine.render(spec, remaining, timeshareOf(client), signal)
      results.push(rendered)
      return { ...rendered, data: rendered }
    } catch (error) {
      if (error instanceof RequestError && error.reason === "events_removed") unavailable.push(error)
      throw error
    }
  }
  const options = { execute, signal, onFault, remaining, maxRows: limits.rows }
  const count = queries.reduce((sum, { parameters }) => sum + parameters.length, 0)
  const weight = size * bytesPerByte + count * bytesPerParameter
  return queryEngine.admit(client, weight, signal, async () => {
    const answers: QueryAnswer<JsonRows>[] = []
    try {
      for (const query of queries) answers.push(await executeParsedQuery(query, options))
    } catch (error) {
      discard(results)
      throw error
    }
    // If others were answered, their results are sent, and the error is that of the parameter.
    if (unavailable[0] && unavailable.length === count) throw unavailable[0]
    return queryResponse(answers, isBatch, headers, outbox, signal)
  })
}

/** Parameters parsed before yielding to the event loop, about 5 ms. */
const parametersPerStep = 8

async function runSteps<Result>(steps: Generator<void, Result>): Promise<Result> {
  for (let count = 1; ; count++) {
    const step = steps.next()
    if (step.done) return step.value
    if (count % parametersPerStep === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Identity for fair scheduling: each login session, each key, and each address of a share link. */
function clientOf(
  { kind, id, login, share }: Caller,
  context: RequestContext,
  settings: QueryRunDeps["settings"],
): Client {
  if (share) return { name: `share ${id} ${addressOf(context, settings.trustedProxies)}`, isShared: true }
  return { name: `${kind} ${login ? login.hash.toString("hex") : id}`, isShared: false }
}

/**
 * Callers get equal time in the query thread. All share links together are one caller: anyone can use one, from any
 * number of addresses.
 */
function timeshareOf({ name, isShared }: Client): string {
  return isShared ? "share links" : name
}
