import { setPriority } from "node:os"
import { messageOf, RequestError, UserError } from "../../errors.ts"
import type { RenderedRows } from "../../query/engine/messages.ts"
import type { NodeWatermark } from "../../query/query.ts"
import { MemoryBudget, OutOfMemoryBudgetError } from "../../query/structures/memory-budget.ts"
import type { RunQuery } from "../../query-api/query-spec.ts"
import { render } from "../../query-api/render.ts"
import { invalidParameter } from "../../query-api/rows.ts"
import { openForReading } from "../../store/db/open.ts"
import { nodeOf } from "../../store/node-ids.ts"
import { Cluster, ClusterError, errorNumbers, requestTimes } from "../cluster.ts"
import { readSchema, requireSchema } from "../schema.ts"
import { readWriters, splitWriters } from "../writers.ts"
import { ClusterQueries, type ClusterQueryLimits } from "./cluster-query.ts"
import type { ClusterMessage, ClusterRequest } from "./messages.ts"
import { NotSupportedError } from "./scan.ts"
import type { FileSnapshot } from "./snapshot.ts"

// The thread that queries the cluster. It also reads the events that are not shipped yet, and renders the results.

declare const self: Worker

/** Leaves most of the CPU time of a busy server to ingestion. The local query thread has the same niceness. */
const niceness = 10
/** The cluster counts as down if a check of its state takes longer than this many ms. */
const stateTimeout = 5_000
/** When a query reaches its time limit, the cluster has this many ms to stop it and respond. */
const graceTime = 15_000
/** Maximum number of connections to the cluster. Equal to the number of queries that the queue runs concurrently. */
const connections = 8

type Open = Extract<ClusterRequest, { type: "open" }>
type Render = Extract<ClusterRequest, { type: "render" }>

interface State {
  /** One client checks the state of the cluster and the other runs queries, because their timeouts differ. */
  clusters: Record<"state" | "queries", Cluster>
  queries: ClusterQueries
  limits: ClusterQueryLimits
  /** True if other nodes can ship to the same database. */
  isShared: boolean
  close: () => void
}

let state: State | undefined
const running = new Map<number, AbortController>()

function post(message: ClusterMessage, transfer: ArrayBuffer[] = []): void {
  self.postMessage(message, transfer)
}

function open({ path, address, password, limits, isShared }: Open): State {
  try {
    // On Linux, this call affects only the current thread.
    setPriority(0, niceness)
  } catch {
    // If changing the priority is not permitted, the worker runs at normal priority.
  }
  const db = openForReading(path)
  const clusterWith = (timeout: number) =>
    new Cluster(address, password, { ...requestTimes, timeout, connections })
  const clusters = {
    state: clusterWith(stateTimeout),
    queries: clusterWith(limits.seconds * 1_000 + graceTime),
  }
  return {
    clusters,
    queries: new ClusterQueries(db, clusters.queries, limits, isShared),
    limits,
    isShared,
    close: () => {
      for (const controller of running.values()) controller.abort()
      void Promise.all([clusters.state.close(), clusters.queries.close()]).then(() => {
        db.close()
        post({ type: "closed" })
      })
    },
  }
}

/**
 * Checks that the cluster has the events from this file up to the watermark, and that its tables have the schema of
 * this version. Returns the other nodes. Throws an Error if a check fails.
 */
async function verify(
  cluster: Cluster,
  { writer, watermark }: FileSnapshot,
  isShared: boolean,
): Promise<NodeWatermark[]> {
  const [schema, writers] = await Promise.all([readSchema(cluster), readWriters(cluster)])
  const { own, others } = splitWriters(writers, { writer, shippedId: watermark, isShared }, cluster.name)
  requireSchema(schema, cluster.name, others.length > 0)
  if (own === undefined || own.shippedId < watermark)
    throw new UserError(`${cluster.name} does not have the events from this file up to the id ${watermark}`)
  return others.map(({ shippedId, shippedAt }) => ({
    node: nodeOf(shippedId),
    watermark: shippedId,
    shippedAt,
  }))
}

async function renderInCluster(
  { clusters, queries, limits: { resultBytes }, isShared }: State,
  { spec, limits }: Render,
  signal: AbortSignal,
): Promise<RenderedRows> {
  const file = queries.snapshot()
  const nodes = await verify(clusters.state, file, isShared)
  const snapshot = await queries.withNodes(file, nodes, signal)
  const { watermark, tailRows } = snapshot
  const statistics: RenderedRows["statistics"] = []
  let waiting: Promise<void> | undefined
  const run: RunQuery = function* (query) {
    const outcome = Promise.allSettled([queries.run(query, snapshot, signal)])
    let result: Awaited<typeof outcome>[0] | undefined
    waiting = outcome.then(([settled]) => {
      result = settled
    })
    while (!result) yield
    if (result.status === "rejected") throw result.reason
    const source = tailRows > 0 ? "clickhouse+rows" : "clickhouse"
    statistics.push({ source, watermark, ...(nodes.length > 0 && { nodes }), blockEvents: 0, rows: tailRows })
    return result.value
  }
  const steps = render(spec, run, statistics, limits, new MemoryBudget(resultBytes))
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
    await (waiting ?? new Promise((resolve) => setImmediate(resolve)))
    signal.throwIfAborted()
    waiting = undefined
  }
}

async function answer(current: State, request: Render): Promise<void> {
  const { id } = request
  const controller = new AbortController()
  running.set(id, controller)
  try {
    const rendered = await renderInCluster(current, request, controller.signal)
    post(
      { type: "rendered", id, rendered },
      rendered.chunks.map(({ buffer }) => buffer),
    )
  } catch (error) {
    if (!controller.signal.aborted) post(failureOf(id, error, current.limits))
  } finally {
    running.delete(id)
  }
}

function failureOf(id: number, error: unknown, limits: ClusterQueryLimits): ClusterMessage {
  if (error instanceof RequestError) return { type: "failure", id, kind: "rejected", message: error.message }
  if (error instanceof OutOfMemoryBudgetError)
    return { type: "failure", id, kind: "outOfMemory", message: error.message }
  if (error instanceof NotSupportedError) return { type: "notSupported", id, reason: error.message }
  if (error instanceof ClusterError) {
    const limit = limitError(error, limits)
    if (limit) return { type: "failure", id, kind: "rejected", message: limit.message }
  }
  const hint = error instanceof UserError ? error.hint : undefined
  return { type: "outage", id, message: messageOf(error), hint }
}

const advice = "use a shorter range, fewer breakdown fields, or filters"

/**
 * Returns the error to report for a query that exceeded a limit, or undefined for other errors. Such a query is not
 * retried in SQLite, where it would also be too large.
 */
function limitError(
  { number }: ClusterError,
  { seconds, bytes, resultBytes }: ClusterQueryLimits,
): RequestError | undefined {
  switch (number) {
    case errorNumbers.timeLimit:
      return invalidParameter(
        `this query takes longer in ClickHouse than the ${seconds} s that --clickhouse-query-time allows: ${advice}`,
      )
    case errorNumbers.memoryLimit:
      return invalidParameter(
        `this query needs more memory in ClickHouse than the ${bytes} bytes that --clickhouse-query-memory allows, or than the server has: ${advice}`,
      )
    case errorNumbers.resultLimit:
      return invalidParameter(
        `the result of this query in ClickHouse is larger than ${resultBytes} bytes: ${advice}`,
      )
    default:
      return undefined
  }
}

self.onmessage = ({ data }: MessageEvent<ClusterRequest>) => {
  if (data.type === "open") state = open(data)
  else if (data.type === "cancel") running.get(data.id)?.abort()
  else if (data.type === "close") state?.close()
  else if (state) void answer(state, data)
}
