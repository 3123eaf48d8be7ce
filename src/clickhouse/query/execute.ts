import type { Query, QueryResults, ResultOf } from "../../query/query.ts"
import { groups } from "./groups.ts"
import { events, sessions, visitors } from "./lists.ts"
import { values } from "./property-values.ts"
import type { ReportContext } from "./report.ts"
import { traffic } from "./traffic.ts"
import { funnel, paths, reach, retention } from "./units.ts"

type QueryByKind = { [Q in Query as Q["kind"]]: Q }

const reports: {
  [Kind in Query["kind"]]: (query: QueryByKind[Kind], context: ReportContext) => Promise<QueryResults[Kind]>
} = { groups, values, events, funnel, retention, paths, reach, sessions, traffic, visitors }

/** Generic over the kind, so that TypeScript can match the query with its report. */
function runReport<Kind extends Query["kind"]>(
  kind: Kind,
  query: QueryByKind[Kind],
  context: ReportContext,
): Promise<QueryResults[Kind]> {
  return reports[kind](query, context)
}

/** Runs a query in the cluster and returns its result. Throws a ClusterError or a NotSupportedError. */
export async function executeInCluster<Q extends Query>(
  query: Q,
  context: ReportContext,
): Promise<ResultOf<Q>> {
  // The type assertion is needed because TypeScript infers a union of the results of all kinds, not the result of Q.
  return (await runReport(query.kind, query, context)) as ResultOf<Q>
}
