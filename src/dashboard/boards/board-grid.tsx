import type { ComponentChildren } from "preact"
import { useAnnotations } from "../state/annotations.ts"
import type { BoardTile } from "../state/boards.ts"
import { Tile } from "./tile.tsx"
import "./boards.css"

interface BoardGridProps {
  /** In reading order. */
  tiles: readonly BoardTile[]
  /** The board's website ID, `none` or `all`. */
  website: string
  /** Whether titles link to the reports that show the same data. False if the board is shown without navigation. */
  isLinked?: boolean
  /** Whenever this changes, all queries run again. */
  version?: number
  /** Shown next to a tile's title. */
  actionsOf?: (tile: BoardTile) => ComponentChildren
}

/**
 * The tiles of a board in their grid, with the view's range, filters and comparison. Can also be shown without the
 * navigation.
 */
export function BoardGrid({ tiles, website, isLinked = false, version = 0, actionsOf }: BoardGridProps) {
  const annotations = useAnnotations()
  return (
    <div class="board" style={{ "--rows": rowsOf(tiles) }}>
      {tiles.map((tile) => (
        <section key={tile.id} class="tile" style={placeOf(tile)} aria-label={tile.title}>
          <Tile
            tile={tile}
            website={website}
            annotations={annotations}
            isLinked={isLinked}
            version={version}
            actions={actionsOf?.(tile)}
          />
        </section>
      ))}
    </div>
  )
}

/** Returns a tile's position and size as custom properties for the style sheet. */
export function placeOf({ x, y, width, height }: BoardTile) {
  return { "--x": x, "--y": y, "--width": width, "--height": height }
}

function rowsOf(tiles: readonly BoardTile[]): number {
  return Math.max(1, ...tiles.map(({ y, height }) => y + height))
}
