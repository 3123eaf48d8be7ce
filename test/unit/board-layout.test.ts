import { describe, expect, test } from "bun:test"
import {
  arrange,
  boardColumns,
  type Direction,
  freePlace,
  maxHeight,
  minSize,
  moveTile,
  overlaps,
  type Placement,
  resizeTile,
  stepTile,
} from "../../src/boards/layout.ts"
import { mulberry32 } from "../support/random.ts"

type Tile = Placement & { id: string }

const directions: Direction[] = ["left", "right", "up", "down"]

/** Pairs of tiles that overlap, tiles outside the board or of a wrong size, and tiles with a gap above them. */
function faults(tiles: readonly Tile[]): string[] {
  return tiles.flatMap((tile, index) => [
    ...tiles
      .slice(index + 1)
      .flatMap((other) => (overlaps(tile, other) ? [`${tile.id} on ${other.id}`] : [])),
    ...(tile.x < 0 || tile.y < 0 || tile.x + tile.width > boardColumns ? [`${tile.id} outside`] : []),
    ...(tile.width < minSize || tile.height < minSize || tile.height > maxHeight ? [`${tile.id} size`] : []),
    ...(tile.y > 0 && !tiles.some((other) => overlaps(other, { ...tile, y: tile.y - 1, height: 1 }))
      ? [`${tile.id} floats`]
      : []),
  ])
}

/** One text per tile: `id x,y width×height`. */
function drawn(tiles: readonly Tile[]): string[] {
  return tiles.map(({ id, x, y, width, height }) => `${id} ${x},${y} ${width}×${height}`)
}

const row: Tile[] = [
  { id: "a", x: 0, y: 0, width: 6, height: 2 },
  { id: "b", x: 6, y: 0, width: 6, height: 2 },
  { id: "c", x: 0, y: 2, width: 12, height: 3 },
]

test("after any sequence of moves, no tiles overlap, leave the board or float", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = mulberry32(seed)
    const whole = (min: number, max: number) => min + Math.floor(random() * (max - min + 1))
    let tiles = arrange(
      Array.from({ length: whole(1, 24) }, (_, index): Tile => {
        const width = whole(minSize, boardColumns)
        const [x, y] = [whole(0, boardColumns - width), whole(0, 30)]
        return { id: `t${index}`, x, y, width, height: whole(minSize, maxHeight) }
      }),
    )
    expect([seed, faults(tiles)]).toEqual([seed, []])
    const ids = tiles.map(({ id }) => id).sort()
    for (let move = 0; move < 100; move++) {
      const id = `t${whole(0, tiles.length - 1)}`
      const change = whole(0, 2)
      const [x, y] = [whole(-3, boardColumns + 3), whole(-3, 40)]
      if (change === 0) tiles = moveTile(tiles, id, { x, y })
      else if (change === 1) tiles = resizeTile(tiles, id, { width: x, height: y })
      // The index is below the length.
      else tiles = stepTile(tiles, id, directions[whole(0, 3)] as Direction)
      expect([seed, move, faults(tiles)]).toEqual([seed, move, []])
    }
    expect(tiles.map(({ id }) => id).sort()).toEqual(ids)
    expect(arrange(tiles)).toEqual(tiles)
  }
})

describe("an arrow key", () => {
  const steps: [string, string, Direction, string[]][] = [
    ["down moves a tile past the next one below", "a", "down", ["b 6,0 6×2", "c 0,2 12×3", "a 0,5 6×2"]],
    ["up moves a tile past the next one above", "c", "up", ["c 0,0 12×3", "a 0,3 6×2", "b 6,3 6×2"]],
    ["right swaps a tile with the one beside it", "a", "right", ["b 0,0 6×2", "a 6,0 6×2", "c 0,2 12×3"]],
    ["left swaps a tile with the one beside it", "b", "left", ["b 0,0 6×2", "a 6,0 6×2", "c 0,2 12×3"]],
    ["up does not move a tile at the top", "a", "up", drawn(row)],
    ["down does not move the last tile", "c", "down", drawn(row)],
    ["left does not move a tile at the edge", "a", "left", drawn(row)],
    ["moves nothing if no tile has the id", "x", "left", drawn(row)],
  ]
  test.each(steps)("%s", (_, id, direction, expected) => {
    expect(drawn(stepTile(row, id, direction))).toEqual(expected)
  })

  test("left or right moves a tile by a column if there is room", () => {
    const alone: Tile[] = [{ id: "a", x: 4, y: 0, width: 3, height: 2 }]
    expect(drawn(stepTile(alone, "a", "right"))).toEqual(["a 5,0 3×2"])
    expect(drawn(stepTile(alone, "a", "left"))).toEqual(["a 3,0 3×2"])
  })
})

test("a tile that grows moves the tiles that it would cover", () => {
  expect(drawn(resizeTile(row, "a", { width: 8, height: 3 }))).toEqual([
    "a 0,0 8×3",
    "b 6,3 6×2",
    "c 0,5 12×3",
  ])
})

test("a new tile is placed in the first gap that is large enough", () => {
  const place = (tiles: readonly Placement[], width: number, height: number) => {
    const { x, y } = freePlace(tiles, { width, height })
    return [x, y]
  }
  expect(place([], 3, 2)).toEqual([0, 0])
  expect(place([{ x: 0, y: 0, width: 3, height: 2 }], 3, 2)).toEqual([3, 0])
  expect(place([{ x: 0, y: 0, width: 3, height: 2 }], 10, 2)).toEqual([0, 2])
  expect(place(row, 2, 2)).toEqual([0, 5])
})
