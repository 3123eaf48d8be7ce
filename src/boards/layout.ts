/**
 * Number of columns on a board. A tile is at least `minSize` cells wide and high, and at most `maxHeight` cells high.
 */
export const boardColumns = 12
export const minSize = 2
export const maxHeight = 12

/** The position of a tile on its board, in cells from the top left corner, and its size in cells. */
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

/** True if the two tiles share a column. */
function sharesColumn(a: Placement, b: Placement): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width
}

/**
 * Sorts tiles in reading order: by row, then by column. The tile with the id `first` comes before other tiles that
 * start in the same row.
 */
function inOrder<Tile extends Placed>(tiles: readonly Tile[], first?: string): Tile[] {
  return [...tiles].sort((a, b) => a.y - b.y || Number(b.id === first) - Number(a.id === first) || a.x - b.x)
}

/**
 * Moves every tile up, in reading order, until it touches the top or the tile above it. This removes overlaps and gaps.
 * Returns the tiles in reading order.
 */
export function arrange<Tile extends Placed>(tiles: readonly Tile[], first?: string): Tile[] {
  const placed: Tile[] = []
  for (const tile of inOrder(tiles, first)) {
    const above = placed.filter((other) => sharesColumn(other, tile))
    placed.push({ ...tile, y: Math.max(0, ...above.map(({ y, height }) => y + height)) })
  }
  return inOrder(placed)
}

/** Moves a tile to a cell, or as close to it as the board allows. The tiles that it would cover move down. */
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

/** Resizes a tile to the given size, or as close to it as the limits allow. The tiles that it would cover move down. */
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
 * Moves a tile one step in the direction of an arrow key. A step to the side is one column. If the neighbor on that
 * side starts in the same row and has the same height, the two tiles swap places instead. A step up or down moves the
 * tile past the next tile in that direction.
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
    const column = others.filter((other) => sharesColumn(other, tile))
    const next =
      direction === "up"
        ? column.filter(({ y }) => y < tile.y).sort((a, b) => b.y - a.y)[0]
        : column.filter(({ y }) => y > tile.y).sort((a, b) => a.y - b.y)[0]
    if (!next) return [...tiles]
    // `moveTile` places the moved tile before other tiles that start in the same row. So to end up below `next`, the
    // tile must start one row lower.
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

/** Returns the first position in reading order where a tile of this size fits. */
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

/** True if the two tiles share a cell. */
export function overlaps(a: Placement, b: Placement): boolean {
  return sharesColumn(a, b) && a.y < b.y + b.height && b.y < a.y + a.height
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
