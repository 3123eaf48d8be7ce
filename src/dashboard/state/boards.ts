import type { BoardJson, BoardSummaryJson, NewTile, Tile, TileMeasure } from "../../boards/schema.ts"
import type { Filter } from "./filters.ts"
import type { Parameter } from "./query-cache.ts"

/** A query without a range, whose parameters have the dashboard's type `Parameter`. */
interface TileQuery {
  parameters: readonly Parameter[]
  filters?: readonly Filter[]
}

/** Replaces the type of `query` in each member of a union. */
type WithQuery<Kind> = Kind extends unknown ? Omit<Kind, "query"> & { query: TileQuery } : never

/** A tile to pin. */
export type PinnedTile = WithQuery<NewTile>

/** A tile of a board. */
export type BoardTile = WithQuery<Tile>

export type TileOf<Kind extends BoardTile["kind"]> = Extract<BoardTile, { kind: Kind }>

/** A board, as returned by the API. */
export type Board = Omit<BoardJson, "tiles"> & { tiles: BoardTile[] }

/** A board in a list. */
export type BoardSummary = BoardSummaryJson

/** How a tile displays a column. */
export type Measure = TileMeasure

/** Options for the parameters of tiles. A board replaces the values with its own comparison and granularity. */
export const compared = { compare: "previous_period" } as const
export const overTime = { granularity: "daily" } as const

/** Returns the titles of tiles, keyed by the ID of the tile. */
export function titlesOf(tiles: readonly BoardTile[]): Record<string, string> {
  return Object.fromEntries(tiles.map(({ id, title }) => [id, title]))
}
