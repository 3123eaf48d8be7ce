import { RequestError } from "../errors.ts"
import type { AuthenticatedRequest, RouteDeps } from "../http/authenticated-request.ts"
import type { Caller } from "../http/caller.ts"
import { addressOf, type RequestContext } from "../http/request-context.ts"
import type { Client } from "../query/engine/caller-queue.ts"
import type { QueryEngine, Timeshare } from "../query/engine/engine.ts"
import { hasScope } from "../store/keys.ts"
import { executeParsedQuery, type ParameterResult, type QueryAnswer } from "./execute.ts"
import { parseQueries } from "./parse.ts"
import type { QuerySpec } from "./query-spec.ts"
import { discard, type JsonRows, Outbox, queryResponse } from "./response.ts"
import { fullLimits, reportLimits } from "./result-limits.ts"
import type { LimitedCaller } from "./type-access.ts"

/** What the code that runs queries depends on. */
export interface QueryRunDeps extends RouteDeps {
  queryEngine: QueryEngine<QuerySpec>
}

/** Queries to run on behalf of a caller. */
export interface QueryInput {
  /** A query or a batch, in the format of POST /v1/query. */
  body: unknown
  /** Size of the request body in bytes. */
  size: number
  /** Row IDs of websites. 0 stands for events without a website. */
  websites: readonly number[]
  zone: string
  /** The caller whose permitted pages limit the query types. Undefined if the server itself chose the query. */
  limitedCaller: LimitedCaller | undefined
}

/** Runs queries within the caller's limits and streams the response. Throws a RequestError. */
export type RunQueries = (
  request: Pick<AuthenticatedRequest, "caller" | "now" | "headers" | "context">,
  input: QueryInput,
) => Promise<Response>

/** Number of responses of the maximum size that can wait for slow clients before the oldest is cut off. */
const outboxResponses = 2
/**
 * Maximum size in bytes of a body from callers that only have the scope `read:reports`, such as share links. Anyone
 * with a share link can send 600 bodies a minute. The limit suffices for 50 parameters of 1 KB each. The dashboard
 * sends at most 10 KB.
 */
const maxReportBodyBytes = 65_536
/** Memory used by a waiting query, in bytes per byte of its body, and in bytes per parameter. */
const bytesPerByte = 8
const bytesPerParameter = 2_048

/**
 * Returns the maximum size in bytes of a body with queries, or undefined if the limit for all other requests applies.
 */
export function maxQueryBytes(caller: Caller): number | undefined {
  return hasScope(caller.scopes, "read:data") ? undefined : maxReportBodyBytes
}

/** Creates a function that runs queries. All calls of the function share the memory for responses to slow clients. */
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
  const count = queries.reduce((sum, { parameters }) => sum + parameters.length, 0)
  const remaining = { rows, cells, bytes: Math.min(bytes, queryEngine.responseBytes), queries: count }
  const client = clientOf(caller, context, settings)
  const results: JsonRows[] = []
  /**
   * Errors from parameters whose events are no longer in the file and could not be read from the ClickHouse cluster.
   */
  const unavailable: RequestError[] = []
  const execute = async (spec: QuerySpec): Promise<ParameterResult<JsonRows>> => {
    try {
      const rendered = await queryEngine.render(
        spec,
        remaining,
        timeshareOf(client, caller.login !== undefined),
        signal,
      )
      results.push(rendered)
      return { ...rendered, data: rendered }
    } catch (error) {
      if (error instanceof RequestError && error.reason === "events_removed") unavailable.push(error)
      throw error
    }
  }
  const options = { execute, signal, onFault, remaining, maxRows: limits.rows }
  const weight = size * bytesPerByte + count * bytesPerParameter
  return queryEngine.admit(client, weight, signal, async () => {
    const answers: QueryAnswer<JsonRows>[] = []
    try {
      for (const query of queries) answers.push(await executeParsedQuery(query, options))
    } catch (error) {
      discard(results)
      throw error
    }
    // If only some parameters failed for this reason, the response contains their errors and the results of the others.
    if (unavailable[0] && unavailable.length === count) throw unavailable[0]
    return queryResponse(answers, isBatch, headers, outbox, signal)
  })
}

/** Number of parameters to parse before yielding to the event loop. Parsing them takes about 5 ms. */
const parametersPerStep = 8

async function runSteps<Result>(steps: Generator<void, Result>): Promise<Result> {
  for (let count = 1; ; count++) {
    const step = steps.next()
    if (step.done) return step.value
    if (count % parametersPerStep === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

/**
 * Returns the client for fair scheduling. Each login session, each key, and each address that uses a share link counts
 * as one client.
 */
function clientOf(
  { kind, id, login, share }: Caller,
  context: RequestContext,
  settings: QueryRunDeps["settings"],
): Client {
  if (share) return { name: `share ${id} ${addressOf(context, settings.trustedProxies)}`, isShared: true }
  return { name: `${kind} ${login ? login.hash.toString("hex") : id}`, isShared: false }
}

/**
 * The share of the query thread's time for the queries of a login session, relative to a key or to all share links
 * together. A person waits for a dashboard page, while most programs can wait.
 */
const loginWeight = 4

/**
 * Returns the timeshare of a client. All share links have one timeshare, because anyone can use a link from any number
 * of addresses.
 */
function timeshareOf({ name, isShared }: Client, isLogin: boolean): Timeshare {
  return { caller: isShared ? "share links" : name, weight: isLogin ? loginWeight : 1 }
}
