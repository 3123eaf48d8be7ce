/** Columns of a board, and the limits of a tile's size in cells. */
export const boardColumns = 12
export const minSize = 2
export const maxHeight = 12

/** Where a tile is on its board, in cells from the top left corner. */
export interface Placement {
  x: number
  y: number
  width: number
  height: number
}

interface Placed extends Placement {
  id: string
}

export type Direction = "left" | "right" | "up" | "down"

/** True if the two share a column. */
function isAbove(a: Placement, b: Placement): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width
}

/** In reading order. `first` comes before other tiles that start in its row. */
function inOrder<Tile extends Placed>(tiles: readonly Tile[], first?: string): Tile[] {
  return [...tiles].sort((a, b) => a.y - b.y || Number(b.id === first) - Number(a.id === first) || a.x - b.x)
}

/**
 * Moves every tile up until it touches the top or the tile above it, in reading order: no two overlap, whatever they did before, and
 * none has a gap above it. Returns them in reading order.
 */
export function arrange<Tile extends Placed>(tiles: readonly Tile[], first?: string): Tile[] {
  const placed: Tile[] = []
  for (const tile of inOrder(tiles, first)) {
    const above = placed.filter((other) => isAbove(other, tile))
    placed.push({ ...tile, y: Math.max(0, ...above.map(({ y, height }) => y + height)) })
  }
  return inOrder(placed)
}

/** Moves a tile to a cell, or as near as the board allows. The tiles that it covers move down. */
export function moveTile<Tile extends Placed>(
  tiles: readonly Tile[],
  id: string,
  { x, y }: Pick<Placement, "x" | "y">,
): Tile[] {
  return change(tiles, id, (tile) => ({
    x: clamp(x, 0, boardColumns - tile.width),
    y: Math.max(0, y),
  }))
}

/** Resizes a tile, or as near as the limits allow. The tiles that it covers move down. */
export function resizeTile<Tile extends Placed>(
  tiles: readonly Tile[],
  id: string,
  { width, height }: Pick<Placement, "width" | "height">,
): Tile[] {
  return change(tiles, id, (tile) => ({
    width: clamp(width, minSize, boardColumns - tile.x),
    height: clamp(height, minSize, maxHeight),
  }))
}

/**
 * Moves a tile one step, as the arrow keys do: a column to the side, or past the next tile above or below. Beside a tile of the same
 * height in the same row, the two change places.
 */
export function stepTile<Tile extends Placed>(
  tiles: readonly Tile[],
  id: string,
  direction: Direction,
): Tile[] {
  const tile = tiles.find((candidate) => candidate.id === id)
  if (!tile) return [...tiles]
  const others = tiles.filter((other) => other !== tile)
  if (direction === "up" || direction === "down") {
    const column = others.filter((other) => isAbove(other, tile))
    const next =
      direction === "up"
        ? column.filter(({ y }) => y < tile.y).sort((a, b) => b.y - a.y)[0]
        : column.filter(({ y }) => y > tile.y).sort((a, b) => a.y - b.y)[0]
    if (!next) return [...tiles]
    // In a row, the moved tile comes first: to get below the next one, it has to start after it.
    return moveTile(tiles, id, { x: tile.x, y: direction === "up" ? next.y : next.y + 1 })
  }
  const step = direction === "left" ? -1 : 1
  const edge = direction === "left" ? tile.x : tile.x + tile.width
  const neighbor = others.find(
    (other) =>
      other.y === tile.y &&
      other.height === tile.height &&
      (direction === "left" ? other.x + other.width : other.x) === edge,
  )
  if (!neighbor) return moveTile(tiles, id, { x: tile.x + step, y: tile.y })
  const start = Math.min(tile.x, neighbor.x)
  const [left, right] = direction === "left" ? [tile, neighbor] : [neighbor, tile]
  return arrange(
    tiles.map((other) => {
      if (other === left) return { ...other, x: start }
      return other === right ? { ...other, x: start + left.width } : other
    }),
  )
}

/** The first place in reading order that a tile of this size fits into. */
export function freePlace(
  tiles: readonly Placement[],
  { width, height }: Pick<Placement, "width" | "height">,
): Placement {
  const rows = Math.max(0, ...tiles.map((tile) => tile.y + tile.height))
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x + width <= boardColumns; x++) {
      const place = { x, y, width, height }
      if (!tiles.some((tile) => overlaps(tile, place))) return place
    }
  }
  return { x: 0, y: rows, width, height }
}

/** True if the two share a cell. */
export function overlaps(a: Placement, b: Placement): boolean {
  return isAbove(a, b) && a.y < b.y + b.height && b.y < a.y + a.height
}

function change<Tile extends Placed>(
  tiles: readonly Tile[],
  id: string,
  changes: (tile: Tile) => Partial<Placement>,
): Tile[] {
  return arrange(
    tiles.map((tile) => (tile.id === id ? { ...tile, ...changes(tile) } : tile)),
    id,
  )
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max)
}
