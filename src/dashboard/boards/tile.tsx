import type { ComponentChildren } from "preact"
import { useEffect, useId, useRef } from "preact/hooks"
import { parametersOf } from "../../boards/parameters.ts"
import { useGranularity } from "../components/controls/granularity.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Loaded } from "../components/layout/panel.tsx"
import { readPeriod } from "../retention/periods.ts"
import type { Annotation } from "../state/annotations.ts"
import { useApp } from "../state/app.ts"
import type { BoardTile } from "../state/boards.ts"
import { filterText } from "../state/filters.ts"
import { type QueryState, useQuery } from "../state/use-query.ts"
import { TileBody } from "./tile-body.tsx"

export interface TileProps {
  tile: BoardTile
  /** The board's website ID, `none` or `all`. */
  website: string
  annotations: readonly Annotation[]
  /** Whether the title links to the report that shows the same data. */
  isLinked: boolean
  /** Whenever this changes, the query runs again. */
  version: number
  /** Shown next to the title. */
  actions?: ComponentChildren
  /** Whether the content can be neither focused nor clicked. */
  isInert?: boolean
}

/** The title and the content of a tile. */
export function Tile({ tile, website, annotations, isLinked, version, actions, isInert = false }: TileProps) {
  const { router, session } = useApp()
  const id = useId()
  const { title, path, websiteId, query: tileQuery } = tile
  const query = useTileQuery(tile, websiteId ?? website, version)
  const { shown, failedSince } = useLastResult(query, version)
  const notes = [
    ...(websiteId === undefined ? [] : [session.nameOf(websiteId)]),
    ...(tileQuery.filters ?? []).map(filterText),
  ]
  const note = notes.join(" · ")
  return (
    <>
      <header class="tile-head">
        <h2 id={id} title={title}>
          {isLinked && path !== undefined ? (
            <Link href={router.savedHref(path, websiteId ?? website)}>{title}</Link>
          ) : (
            title
          )}
        </h2>
        {actions}
      </header>
      {(note !== "" || failedSince !== undefined) && (
        <p class="tile-note" title={note}>
          {failedSince !== undefined && <NotUpdated since={failedSince} />}
          {note}
        </p>
      )}
      {/* The grid cell determines the size, so the height of the skeleton does not matter. */}
      <div class={`tile-body ${tile.kind}`} inert={isInert}>
        <Loaded query={shown} id="0" height={0}>
          {() => <TileBody tile={tile} query={shown} annotations={annotations} />}
        </Loaded>
      </div>
    </>
  )
}

function NotUpdated({ since }: { since: number }) {
  const format = useFormat()
  return <strong class="tile-late">Not updated since {format.clock(new Date(since).toISOString())} </strong>
}

function useTileQuery(tile: BoardTile, website: string, version: number): QueryState {
  const { session, view } = useApp()
  const pageGranularity = useGranularity()
  const { compare, filters, range } = view.value
  const { id, kind, query: tileQuery } = tile
  const [parameter] = tileQuery.parameters
  const period = readPeriod(new URLSearchParams({ by: String(parameter?.granularity) }), range)
  const granularity = kind === "retention" ? period.value : pageGranularity
  const parameters = parametersOf(tileQuery.parameters, compare, granularity)
  const board = session.sharedBoard
  const query = useQuery(parameters, {
    website,
    filters: [...(tileQuery.filters ?? []), ...filters],
    tile: board === undefined ? undefined : { board, id, granularity },
  })
  const ran = useRef(version)
  useEffect(() => {
    if (ran.current !== version) query.refetch()
    ran.current = version
  }, [version])
  return query
}

/**
 * Returns the query to show. While a repeated query fails, that is the last query that succeeded, so that a wallboard
 * stays readable during a server restart. `failedSince`: when that query succeeded. If the first query fails, its error
 * is shown as on every other page.
 */
function useLastResult(query: QueryState, version: number) {
  const { now } = useApp()
  const last = useRef<{ query: QueryState; at: number } | undefined>(undefined)
  const hasResult = !query.isLoading && !query.error
  if (hasResult && last.current?.query !== query) last.current = { query, at: now() }
  if (hasResult || version === 0 || !last.current) return { shown: query, failedSince: undefined }
  return { shown: last.current.query, failedSince: last.current.at }
}
