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
  /** No result yet: show a skeleton of the same size. False if no query runs. */
  isLoading: boolean
  /** The rows are from the previous query; the current one is running. */
  isStale: boolean
  /** The request failed as a whole. */
  error: unknown
  refetch: () => void
  /** Rows of one parameter; [] until it has any. */
  rows<Shape = Row>(id: string): Shape[]
  /** The server's message if this parameter alone failed. */
  failure(id: string): string | undefined
  meta(id: string): ResultMeta | undefined
  /** The parameter that produced the rows shown; while they are stale, the previous one. */
  parameter(id: string): Parameter | undefined
}

interface State extends QueryProgress {
  parameters: readonly Parameter[]
}

/** Replaces parts of the view, or of the request body. */
type Overrides = Partial<Pick<View, "website" | "filters" | "range">> & {
  body?: object
  /** The tile of a shared board whose query the server runs: the link cannot run others. */
  tile?: { board: string; id: string; granularity: Granularity } | undefined
}

const initialState: State = { key: "", parameters: [], results: undefined, error: undefined }

/**
 * Runs `parameters` in one request for the range, filters and website of the view. Undefined runs nothing. `compare` is
 * an option of each parameter, because only some query types support it.
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
    // An error belongs to the request that failed.
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
      // The caller specifies the type that the server's schema has for this query type.
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

/** Runs one query when called, for example for a download. Rejects if the request or the parameter fails. */
export function useRunQuery(): <Shape>(parameter: Parameter, overrides?: Overrides) => Promise<Shape[]> {
  const app = useApp()
  return async <Shape>(parameter: Parameter, overrides: Overrides = {}) => {
    const request = requestFor(app, [parameter], overrides)
    const [result] = await app.queryCache.run(JSON.stringify(request), request, new AbortController().signal)
    if (result?.error !== undefined) throw new Error(sentence(result.error))
    // The caller specifies the type that the server's schema has for this query type.
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
