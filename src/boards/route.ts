import { Elysia } from "elysia"
import {
  type AuthenticatedRequest,
  authenticatedRoute,
  commitChange,
  type RouteDeps,
  type RouteResult,
  readCallerBody,
} from "../http/authenticated-request.ts"
import type { Caller } from "../http/caller.ts"
import { requireScope } from "../http/key.ts"
import { canAccess, sectionMissing } from "../http/permissions.ts"
import { invalidShape } from "../http/validation.ts"
import { maxQueryBytes, type RunQueries } from "../query-api/run.ts"
import { websitesOf } from "../query-api/websites.ts"
import { isKeyword, placeOf, requireOwn, requirePlace, requireReadable } from "../saved/place.ts"
import { type Board, createBoard, deleteBoard, findBoard, listBoards, updateBoard } from "../store/boards.ts"
import type { WebsitePlace } from "../store/websites.ts"
import {
  boardJson,
  boardSummaryJson,
  parseBoardChanges,
  parseBoardFilter,
  parseNewBoard,
  parseNewTile,
  parseTileQuery,
  type TileContext,
  withTile,
} from "./input.ts"
import { type BoardJson, type Tile, tileQuerySchema } from "./schema.ts"
import { isReport, queryOf } from "./tile-query.ts"

/** Creates the routes for the dashboard's boards. */
export function boardRoutes(deps: RouteDeps, runQueries: RunQueries) {
  const route = authenticatedRoute(deps)
  const raw = { parse: "none" } as const
  return (
    new Elysia({ prefix: "/v1" })
      // As with saved views, the scope `read:reports` is not enough, because the filters in a tile can name a person.
      // Only a share link to a board can read that board without `read:data`.
      .get("/boards", route("read:data", showBoards))
      .get("/boards/:id", route("read:reports", showBoard))
      .post(
        "/boards/:id/query",
        route("read:reports", (_, request) => queryTile(deps, request, runQueries)),
        raw,
      )
      .post("/boards", route("manage:websites", addBoard), raw)
      .patch("/boards/:id", route("manage:websites", editBoard), raw)
      .delete("/boards/:id", route("manage:websites", removeBoard), raw)
      .post("/boards/:id/tiles", route("manage:websites", addTile), raw)
  )
}

function showBoards(deps: RouteDeps, { caller, searchParams: query }: AuthenticatedRequest): RouteResult {
  const summaries = listBoards(deps.db, placeOf(deps, caller, parseBoardFilter(query())))
  const boards = summaries.map((board) => boardSummaryJson(board, tileFilter(deps, caller)))
  return { body: { boards, total: boards.length } }
}

function showBoard(deps: RouteDeps, { caller, id, now }: AuthenticatedRequest): RouteResult {
  return { body: { board: readableBoard(deps, caller, id, now).board } }
}

/** Runs a tile's query for the range in the request. */
async function queryTile(
  deps: RouteDeps,
  request: AuthenticatedRequest,
  runQueries: RunQueries,
): Promise<Response> {
  const { caller, context, id, now } = request
  const { value, size } = await readCallerBody(deps, context, maxQueryBytes(caller))
  const query = parseTileQuery(value)
  const { board, reader } = readableBoard(deps, caller, id, now)
  const tile = board.tiles.find((candidate) => candidate.id === query.tile)
  if (!tile) throw invalidShape([{ field: "tile", message: tileQuerySchema.properties.tile.expected }])
  const websites = websitesOf(deps.registry, reader, tile.websiteId ?? board.websiteId ?? "all")
  return runQueries(request, {
    body: queryOf(tile, query),
    size,
    websites,
    zone: "UTC",
    limitedCaller: undefined,
  })
}

/**
 * Returns the board with the tiles that the caller can see. Also returns `reader`, whose permissions decide which
 * websites the tiles can show. It is the caller, but with access to all websites if the caller is a share link to the
 * board. Such a link shows the tiles for all websites, except those whose queries require `read:data`. Throws
 * `board_unknown`, `key_website_mismatch`, `scope_missing` or `section_missing`.
 */
function readableBoard(
  deps: RouteDeps,
  caller: Caller,
  id: string,
  now: number,
): { board: BoardJson; reader: Caller } {
  const shared = caller.share?.boardId ?? null
  if (shared === null) {
    requireScope(caller, "read:data", caller.kind)
    const board = findBoard<Tile>(deps.db, id)
    requireReadable(caller, board)
    return { board: visibleBoard(deps, board, caller), reader: caller }
  }
  if (shared !== id) throw sectionMissing(caller, `the board ${id}`)
  const reader = { ...caller, websites: null }
  const board = visibleBoard(deps, findBoard<Tile>(deps.db, id), reader)
  return { board: { ...board, tiles: sharedTiles(board.tiles, now) }, reader }
}

async function addBoard(
  deps: RouteDeps,
  { caller, now, searchParams: query, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const websiteId = parseBoardFilter(query())
  const place = placeOf(deps, caller, websiteId)
  const board = parseNewBoard(await body(), contextOf(deps, caller, place, now))
  const created = await commitChange(deps, () => {
    // The website might have been deleted since the request was checked.
    const current = placeOf(deps, caller, websiteId)
    requirePlace(caller, current)
    return createBoard(deps.db, deps.newId(), { ...board, place: current }, now)
  })
  return { status: 201, body: { board: visibleBoard(deps, created, caller) } }
}

async function editBoard(
  deps: RouteDeps,
  { caller, id, now, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const value = await body()
  const changed = await commitChange(deps, () => {
    const board = findBoard<Tile>(deps.db, id)
    requireOwn(caller, board)
    const changes = parseBoardChanges(value, contextOf(deps, caller, board.place, now))
    return updateBoard<Tile>(deps.db, id, changes, now)
  })
  return { body: { board: visibleBoard(deps, changed, caller) } }
}

async function addTile(
  deps: RouteDeps,
  { caller, id, now, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const value = await body()
  const changed = await commitChange(deps, () => {
    const board = findBoard<Tile>(deps.db, id)
    requireOwn(caller, board)
    const context = contextOf(deps, caller, board.place, now)
    const tiles = withTile(board.tiles, parseNewTile(value, context), context)
    return updateBoard<Tile>(deps.db, id, { tiles }, now)
  })
  return { status: 201, body: { board: visibleBoard(deps, changed, caller) } }
}

async function removeBoard(deps: RouteDeps, { caller, id }: AuthenticatedRequest): Promise<RouteResult> {
  await commitChange(deps, () => {
    requireOwn(caller, findBoard<Tile>(deps.db, id))
    deleteBoard(deps.db, id)
  })
  return {}
}

/** Returns the board without tiles for websites that the caller cannot access. */
function visibleBoard(deps: RouteDeps, board: Board<Tile>, caller: Caller): BoardJson {
  return boardJson(board, tileFilter(deps, caller))
}

/**
 * Returns the tiles that a share link shows. Removes their paths, because a share link cannot open those reports.
 */
function sharedTiles(tiles: readonly Tile[], now: number): Tile[] {
  return tiles.filter((tile) => isReport(tile, now)).map(({ path: _path, ...tile }) => tile)
}

/**
 * Returns a function that returns true if the caller can see tiles for a website. `websiteId`: null stands for the
 * board's own website.
 */
function tileFilter(deps: RouteDeps, caller: Caller): (websiteId: string | null) => boolean {
  return (websiteId) => websiteId === null || canSee(deps, caller, websiteId)
}

function canSee(deps: RouteDeps, caller: Caller, websiteId: string): boolean {
  return isKeyword(deps, websiteId) ? caller.websites === null : canAccess(caller, websiteId)
}

function contextOf(deps: RouteDeps, caller: Caller, place: WebsitePlace, now: number): TileContext {
  const { newId, registry } = deps
  return {
    now,
    newId,
    websiteError: (id) => {
      if (place !== null)
        return "is only for boards that cover all websites; on other boards, tiles show the board's website"
      const isKnown = registry.website(id) !== undefined || id === "none"
      return isKnown && canSee(deps, caller, id)
        ? undefined
        : 'must be the ID of an existing website, or "none"'
    },
  }
}
