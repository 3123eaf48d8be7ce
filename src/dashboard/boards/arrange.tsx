import { useEffect, useRef, useState } from "preact/hooks"
import { type Direction, moveTile, type Placement, resizeTile, stepTile } from "../../boards/layout.ts"
import { Icon } from "../components/controls/icons.tsx"
import { useAnnotations } from "../state/annotations.ts"
import type { BoardTile } from "../state/boards.ts"
import { placeOf } from "./board-grid.tsx"
import { Tile } from "./tile.tsx"

/** The direction of each arrow key, and the numbers of columns and rows by which it resizes a tile. */
const arrows: Record<string, { direction: Direction; width: number; height: number }> = {
  ArrowLeft: { direction: "left", width: -1, height: 0 },
  ArrowRight: { direction: "right", width: 1, height: 0 },
  ArrowUp: { direction: "up", width: 0, height: -1 },
  ArrowDown: { direction: "down", width: 0, height: 1 },
}

interface ArrangeGridProps {
  tiles: readonly BoardTile[]
  website: string
  onChange: (tiles: BoardTile[]) => void
}

/** An editable board, whose tiles can be moved and resized with the pointer or the arrow keys. */
export function ArrangeGrid({ tiles, website, onChange }: ArrangeGridProps) {
  const annotations = useAnnotations()
  const grid = useRef<HTMLDivElement>(null)
  const [announcement, setAnnouncement] = useState("")
  const apply = (id: string, next: BoardTile[]) => {
    const [before, after] = [tiles, next].map((list) => list.find((tile) => tile.id === id))
    if (!before || !after) return
    const isSame = JSON.stringify(before) === JSON.stringify(after)
    setAnnouncement(isSame ? `${after.title}: no change` : placeText(after))
    if (!isSame) onChange(next)
  }
  const startDrag = useDrag(grid, tiles, onChange)
  return (
    <>
      <p class="board-hint">
        Drag a tile to move it, or drag its corner to resize it. You can also focus a tile and move it with
        the arrow keys, or resize it with Shift and the arrow keys.
      </p>
      <p class="hidden" role="status">
        {announcement}
      </p>
      <div class="board arranging" ref={grid}>
        {tiles.map((tile) => (
          // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be a grid item that is dragged
          <div
            key={tile.id}
            class="tile"
            style={placeOf(tile)}
            role="group"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: a tile handles the arrow keys
            tabIndex={0}
            aria-label={placeText(tile)}
            onKeyDown={(event) => {
              const arrow = arrows[event.key]
              if (!arrow || event.ctrlKey || event.metaKey || event.altKey) return
              event.preventDefault()
              const { id, width, height } = tile
              apply(
                id,
                event.shiftKey
                  ? resizeTile(tiles, id, { width: width + arrow.width, height: height + arrow.height })
                  : stepTile(tiles, id, arrow.direction),
              )
            }}
            onPointerDown={(event) => startDrag(event, tile, "move")}
          >
            <Tile
              tile={tile}
              website={website}
              annotations={annotations}
              isLinked={false}
              version={0}
              isInert
              actions={<Icon name="move" />}
            />
            <span
              class="tile-corner"
              onPointerDown={(event) => {
                event.stopPropagation()
                startDrag(event, tile, "resize")
              }}
            />
          </div>
        ))}
      </div>
    </>
  )
}

/** Returns a description such as `Revenue: column 1, row 3, 6 columns wide, 4 rows high`. */
function placeText({ title, x, y, width, height }: BoardTile): string {
  return `${title}: column ${x + 1}, row ${y + 1}, ${width} columns wide, ${height} rows high`
}

interface Drag {
  id: string
  kind: "move" | "resize"
  /** The position of the pointer, in px, and the tile, both at the start of the drag. */
  start: { x: number; y: number; tile: Placement }
  /**
   * All tiles at the start of the drag. Each layout is computed from them, so that tiles that the dragged tile covers
   * only briefly return to their places.
   */
  tiles: readonly BoardTile[]
}

/** Returns a function that starts to move or resize a tile with the pointer, in whole cells. */
function useDrag(
  grid: { current: HTMLElement | null },
  tiles: readonly BoardTile[],
  onChange: (tiles: BoardTile[]) => void,
) {
  const [drag, setDrag] = useState<Drag>()
  useEffect(() => {
    if (!drag) return
    const onMove = ({ clientX, clientY }: PointerEvent) => {
      const { id, kind, start } = drag
      const cell = cellSize(grid.current)
      if (!cell) return
      const right = Math.round((clientX - start.x) / cell.width)
      const down = Math.round((clientY - start.y) / cell.height)
      const { x, y, width, height } = start.tile
      onChange(
        kind === "move"
          ? moveTile(drag.tiles, id, { x: x + right, y: y + down })
          : resizeTile(drag.tiles, id, { width: width + right, height: height + down }),
      )
    }
    const onEnd = () => setDrag(undefined)
    document.addEventListener("pointermove", onMove)
    document.addEventListener("pointerup", onEnd)
    document.addEventListener("pointercancel", onEnd)
    return () => {
      document.removeEventListener("pointermove", onMove)
      document.removeEventListener("pointerup", onEnd)
      document.removeEventListener("pointercancel", onEnd)
    }
  }, [drag])
  return (event: PointerEvent, tile: BoardTile, kind: Drag["kind"]) => {
    if (event.button !== 0) return
    setDrag({ id: tile.id, kind, start: { x: event.clientX, y: event.clientY, tile }, tiles })
  }
}

/** Returns the distance from one cell to the next, in px. */
function cellSize(grid: HTMLElement | null): { width: number; height: number } | undefined {
  if (!grid) return undefined
  const { gridTemplateColumns, columnGap, rowGap, gridAutoRows } = getComputedStyle(grid)
  const px = Number.parseFloat
  return { width: px(gridTemplateColumns) + px(columnGap), height: px(gridAutoRows) + px(rowGap) }
}
