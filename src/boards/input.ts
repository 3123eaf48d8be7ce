import type { FieldError } from "../errors.ts"
import {
  defaultMessages,
  fieldErrors,
  invalidShape,
  SchemaCheck,
  unicodeErrors,
  validate,
} from "../http/validation.ts"
import { iso } from "../iso.ts"
import { staysBelow } from "../saved/path.ts"
import { newViewSchema } from "../saved/schema.ts"
import type { Board, BoardSummary } from "../store/boards.ts"
import { canonicalWebsiteId, withoutWebsite } from "../store/websites.ts"
import { arrange, boardColumns, freePlace, type Placement } from "./layout.ts"
import {
  type BoardJson,
  type BoardSummaryJson,
  boardChangesRequestSchema,
  boardFilterSchema,
  maxTiles,
  type NewTile,
  newBoardRequestSchema,
  newTileSchemas,
  type Tile,
  type TileKind,
  type TileQueryJson,
  tileKinds,
  tileQuerySchema,
} from "./schema.ts"
import { queryErrors } from "./tile-query.ts"

// Validates input for boards. The parsers take unvalidated values. If a value is invalid, they throw `invalid_shape`
// with all invalid fields.

const checkFilter = new SchemaCheck(boardFilterSchema)
const checkNewBoard = new SchemaCheck(newBoardRequestSchema)
const checkTileQuery = new SchemaCheck(tileQuerySchema)
const checkChanges = new SchemaCheck(boardChangesRequestSchema)
const tileChecks: Record<TileKind, SchemaCheck<(typeof newTileSchemas)[TileKind]>> = {
  number: new SchemaCheck(newTileSchemas.number),
  chart: new SchemaCheck(newTileSchemas.chart),
  table: new SchemaCheck(newTileSchemas.table),
  funnel: new SchemaCheck(newTileSchemas.funnel),
  retention: new SchemaCheck(newTileSchemas.retention),
}

/** Default size of each kind of tile, in cells. */
const defaultSizes: Record<TileKind, Pick<Placement, "width" | "height">> = {
  number: { width: 3, height: 2 },
  chart: { width: 6, height: 4 },
  table: { width: 6, height: 5 },
  funnel: { width: 6, height: 5 },
  retention: { width: 12, height: 5 },
}

/** Messages for schemas without `expected`. Each key is the TypeBox message that the value replaces. */
const messages: Record<string, string> = { ...defaultMessages, "Expected required property": "is required" }

const repeatedId = "is the id of another tile on the board"

/** Dependencies of the functions that validate tiles. */
export interface TileContext {
  now: number
  newId: () => string
  /** Returns the reason why a tile cannot show a website, or undefined if it can. */
  websiteError: (id: string) => string | undefined
}

/** Returns the website in the request: an id, `none` or `all`. */
export function parseBoardFilter(query: URLSearchParams): string {
  return validate(checkFilter, Object.fromEntries(query)).website_id
}

export function parseNewBoard(value: unknown, context: TileContext): Pick<Board<Tile>, "name" | "tiles"> {
  const { name, tiles = [] } = validate(checkNewBoard, value)
  const parsed = parseTiles(tiles, "tiles.", context)
  throwIfInvalid([...nameErrors("name", name), ...parsed.errors])
  return { name, tiles: place(parsed.tiles, [], context) }
}

export function parseBoardChanges(
  value: unknown,
  context: TileContext,
): Partial<Pick<Board<Tile>, "name" | "tiles" | "revision">> {
  const { tiles, ...changes } = validate(checkChanges, value)
  const parsed = tiles && parseTiles(tiles, "tiles.", context)
  throwIfInvalid([...nameErrors("name", changes.name), ...(parsed?.errors ?? [])])
  return { ...changes, ...(parsed ? { tiles: place(parsed.tiles, [], context) } : {}) }
}

export function parseTileQuery(value: unknown): TileQueryJson {
  return validate(checkTileQuery, value)
}

export function parseNewTile(value: unknown, context: TileContext): NewTile {
  const { tiles, errors } = parseTiles([value], undefined, context)
  const [tile] = tiles
  if (!tile) throw invalidShape(errors)
  return tile
}

/**
 * Adds a tile to a board and returns the board's tiles. Throws `invalid_shape` if the board has no room for another
 * tile, or if one of its tiles has the same id.
 */
export function withTile(tiles: readonly Tile[], added: NewTile, context: TileContext): Tile[] {
  if (tiles.length >= maxTiles) {
    throw invalidShape([{ field: "", message: `has too many tiles; a board has at most ${maxTiles}` }])
  }
  if (tiles.some(({ id }) => id === added.id)) {
    throw invalidShape([{ field: "id", message: repeatedId }])
  }
  return place([added], tiles, context)
}

/** Assigns ids to tiles without an id, and the first free position to tiles without a position. */
function place(added: readonly NewTile[], tiles: readonly Tile[], { newId }: TileContext): Tile[] {
  const placed = [...tiles]
  const isPlaced = ({ x, y }: NewTile) => x !== undefined && y !== undefined
  for (const tile of [...added.filter(isPlaced), ...added.filter((candidate) => !isPlaced(candidate))]) {
    const { width, height } = { ...defaultSizes[tile.kind], ...tile }
    const { x, y } = tile
    const spot =
      x !== undefined && y !== undefined
        ? { x, y, width, height }
        : freePlace(arrange(placed), { width, height })
    placed.push({ ...tile, id: tile.id ?? newId(), ...spot })
  }
  return arrange(placed)
}

/**
 * Parses tiles and collects the errors of all of them. `prefix`: the part of a field's name that precedes the index of
 * the tile, or undefined if the body is a single tile.
 */
function parseTiles(
  values: readonly unknown[],
  prefix: string | undefined,
  context: TileContext,
): { tiles: NewTile[]; errors: FieldError[] } {
  const tiles: NewTile[] = []
  const errors: FieldError[] = []
  const ids = new Set<string>()
  for (const [index, value] of values.entries()) {
    const inner = prefix === undefined ? "" : `${prefix}${index}.`
    const found = parseTile(value, context)
    if ("errors" in found) {
      for (const { field, message } of found.errors) {
        errors.push({ field: field === "" ? inner.slice(0, -1) : inner + field, message })
      }
      continue
    }
    const { id } = found.tile
    if (id !== undefined && ids.has(id)) errors.push({ field: `${inner}id`, message: repeatedId })
    if (id !== undefined) ids.add(id)
    tiles.push(found.tile)
  }
  return { tiles, errors }
}

function parseTile(value: unknown, context: TileContext): { tile: NewTile } | { errors: FieldError[] } {
  const kind: unknown = Object(value).kind
  const known = tileKinds.find((candidate) => candidate === kind)
  if (known === undefined) {
    return { errors: [{ field: "kind", message: `must be one of ${tileKinds.join(", ")}` }] }
  }
  const check = tileChecks[known]
  if (!check.accepts(value)) {
    const errors = fieldErrors(check, value).map(({ field, message }) => ({
      field,
      message: messages[message] ?? message,
    }))
    return { errors }
  }
  const tile: NewTile = value
  const errors = [
    ...nameErrors("title", tile.title),
    ...(tile.path === undefined || staysBelow(tile.path)
      ? []
      : [{ field: "path", message: newViewSchema.properties.path.expected }]),
    ...placeErrors(tile),
    ...websiteErrors(tile, context),
    ...queryErrors(tile, context.now),
  ]
  if (errors.length > 0) return { errors }
  const { websiteId } = tile
  return { tile: websiteId === undefined ? tile : { ...tile, websiteId: canonicalWebsiteId(websiteId) } }
}

function placeErrors(tile: NewTile): FieldError[] {
  const { x = 0, width } = { ...defaultSizes[tile.kind], ...tile }
  if (x + width <= boardColumns) return []
  return [{ field: "width", message: `must end within the ${boardColumns} columns of the board` }]
}

function websiteErrors({ websiteId }: NewTile, { websiteError }: TileContext): FieldError[] {
  const message = websiteId === undefined ? undefined : websiteError(websiteId)
  return message === undefined ? [] : [{ field: "websiteId", message }]
}

/** Returns a board as JSON, with only the tiles that the caller can see. */
export function boardJson(
  { place: websitePlace, createdAt, updatedAt, websiteId, ...board }: Board<Tile>,
  canSee: (websiteId: string | null) => boolean,
): BoardJson {
  return {
    ...board,
    websiteId: websitePlace === withoutWebsite ? "none" : websiteId,
    tiles: board.tiles.filter((tile) => canSee(tile.websiteId ?? null)),
    createdAt: iso(createdAt),
    updatedAt: iso(updatedAt),
  }
}

/** Returns a board in a list as JSON, with the number of tiles that the caller can see. */
export function boardSummaryJson(
  { place: websitePlace, createdAt, updatedAt, websiteId, tileWebsites, ...board }: BoardSummary,
  canSee: (websiteId: string | null) => boolean,
): BoardSummaryJson {
  return {
    ...board,
    websiteId: websitePlace === withoutWebsite ? "none" : websiteId,
    tiles: tileWebsites.filter(canSee).length,
    createdAt: iso(createdAt),
    updatedAt: iso(updatedAt),
  }
}

function throwIfInvalid(errors: FieldError[]): void {
  if (errors.length > 0) throw invalidShape(errors)
}

function nameErrors(field: string, name: string | undefined): FieldError[] {
  return unicodeErrors(field, name, newBoardRequestSchema.properties.name.expected)
}
