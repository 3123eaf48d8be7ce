import { useEffect, useMemo, useState } from "preact/hooks"
import { sentence } from "./api.ts"
import { type App, useApp, type View } from "./app.ts"
import {
  type Parameter,
  progressOf,
  type QueryProgress,
  type QueryRequest,
  queryPath,
  type ResultMeta,
  type Row,
} from "./query-cache.ts"
import { type Granularity, rangeBody } from "./range.ts"

/** The result of a query, or the progress of loading it. */
export interface QueryState {
  /** True while there is no result yet, so that a skeleton should be shown. False if no query runs. */
  isLoading: boolean
  /** True if the rows are from the previous query, because the current one is still running. */
  isStale: boolean
  /** The error of the whole request. */
  error: unknown
  refetch: () => void
  /** The rows of a parameter; [] if there are none yet. */
  rows<Shape = Row>(id: string): Shape[]
  /** The server's error message, if only this parameter failed. */
  failure(id: string): string | undefined
  meta(id: string): ResultMeta | undefined
  /**
   * The parameter that produced the displayed rows. If the rows are stale, this is the parameter of the previous query.
   */
  parameter(id: string): Parameter | undefined
}

interface State extends QueryProgress {
  parameters: readonly Parameter[]
}

/** Overrides parts of the view or the request body. */
type Overrides = Partial<Pick<View, "website" | "filters" | "range">> & {
  body?: object
  /** Runs the query of this tile of a shared board. The share link cannot run any other query. */
  tile?: { board: string; id: string; granularity: Granularity } | undefined
}

const initialState: State = { key: "", parameters: [], results: undefined, error: undefined }

/**
 * Runs `parameters` in a single request, with the view's range, filters and website. Runs nothing if `parameters` is
 * undefined. The comparison is not added, because only some query types support it; see `comparisonOption`.
 */
export function useQuery(
  parameters: readonly Parameter[] | undefined,
  overrides: Overrides = {},
): QueryState {
  const app = useApp()
  const ownParameters = parameters ?? []
  const request = parameters && requestFor(app, parameters, overrides)
  const key = request ? JSON.stringify(request) : ""
  const [state, setState] = useState<State>(initialState)
  const [round, setRound] = useState(0)
  useEffect(() => {
    if (!request) return
    // An error is shown only for the request that failed.
    setState((previous) => (previous.error ? initialState : previous))
    const controller = new AbortController()
    app.queryCache.run(key, request, controller.signal).then(
      (results) => setState({ key, parameters: ownParameters, results, error: undefined }),
      (error) => {
        if (!controller.signal.aborted) setState({ ...initialState, key, error })
      },
    )
    return () => controller.abort()
  }, [key, round])
  return useMemo(() => {
    const { results, ...progress } = progressOf(state, key, app.queryCache.get(key))
    const result = (id: string) => results?.find(({ parameter }) => parameter === id)
    const shownParameters = progress.isStale ? state.parameters : ownParameters
    return {
      ...progress,
      refetch: () => setRound((count) => count + 1),
      // The caller specifies the row type that the server documents for this query type.
      rows: <Shape = Row>(id: string) => (result(id)?.data ?? []) as Shape[],
      failure: (id) => {
        const error = result(id)?.error
        return error === undefined ? undefined : sentence(error)
      },
      meta: (id) => result(id)?.meta,
      parameter: (id) => shownParameters.find(({ id: ownId, name }) => (ownId ?? name) === id),
    }
  }, [state, key, app])
}

/**
 * Returns a function that runs a query with one parameter, for example for a download. The function rejects if the
 * request or the parameter fails.
 */
export function useRunQuery(): <Shape>(parameter: Parameter, overrides?: Overrides) => Promise<Shape[]> {
  const app = useApp()
  return async <Shape>(parameter: Parameter, overrides: Overrides = {}) => {
    const request = requestFor(app, [parameter], overrides)
    const [result] = await app.queryCache.run(JSON.stringify(request), request, new AbortController().signal)
    if (result?.error !== undefined) throw new Error(sentence(result.error))
    // The caller specifies the row type that the server documents for this query type.
    return (result?.data ?? []) as Shape[]
  }
}

function requestFor(
  app: App,
  parameters: readonly Parameter[],
  { body, tile, ...overrides }: Overrides,
): QueryRequest {
  const { website, zone, range, filters, compare } = { ...app.view.value, ...overrides }
  const time = { ...rangeBody(range), timeZone: zone }
  if (tile) {
    const path = `boards/${encodeURIComponent(tile.board)}/query`
    return { path, body: { tile: tile.id, ...time, granularity: tile.granularity, compare } }
  }
  return { path: queryPath(website), body: { parameters, ...time, filters, ...body } }
}
