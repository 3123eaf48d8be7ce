import {
  type BoardJson,
  boardChangesSchema,
  boardFilterSchema,
  boardSchema,
  boardSummarySchema,
  type NewTile,
  newBoardSchema,
  newTileSchema,
  tileQuerySchema,
} from "../boards/schema.ts"
import { bodyReasons } from "./ingest.ts"
import { type Json, publicSchema, ref } from "./json-schema.ts"
import { component, errorFormat, listOf, type Operations, paths, takesBody, writes } from "./operations.ts"
import { queryResult } from "./query.ts"

const websiteId = "550e8400-e29b-41d4-a716-446655440000"

const tile: NewTile = {
  kind: "number",
  title: "Sign-ups",
  query: {
    parameters: [{ name: "custom_events_summary", compare: "previous_period" }],
    filters: [{ field: "event_name", op: "eq", value: "signed_up" }],
  },
  measure: { column: "total_events", label: "Events", format: "count" },
}
const boardFields = {
  id: "3a5f6c1e-7d52-4c39-9d6c-2a5f3f4e9c11",
  websiteId,
  name: "Growth",
  revision: 2,
  createdAt: "2026-01-05T09:30:00.000Z",
  updatedAt: "2026-01-06T09:30:00.000Z",
}
const board: BoardJson = {
  ...boardFields,
  tiles: [{ ...tile, id: "4a5f6c1e-7d52-4c39-9d6c-2a5f3f4e9c11", x: 0, y: 0, width: 3, height: 2 }],
}

export const boardSchemas = {
  Board: component(boardSchema, board),
  BoardSummary: component(boardSummarySchema, { ...boardFields, tiles: 1 }),
  NewBoard: component(newBoardSchema, { name: "Growth", tiles: [tile] }),
  BoardChanges: component(boardChangesSchema, { name: "Growth and revenue", revision: 2 }),
  NewTile: publicSchema(newTileSchema),
  TileQuery: publicSchema(tileQuerySchema),
}

const readReasons = ["key_website_mismatch", "website_unknown"] as const
const changeReasons = [...takesBody, "key_website_mismatch", "board_unknown", "conflict", ...writes] as const
/** Added to operations with the scope `read:reports`, because only share links can use them with this scope alone. */
const readers = "Keys and logins require the scope `read:data`. A share link can read only its own board."
const fields = { board: ref("schemas/Board") }

const boards: Operations = {
  "/v1/boards": {
    get: {
      id: "listBoards",
      scope: "read:data",
      summary: "List boards",
      description: "Returns the boards sorted by name, without their tiles.",
      query: boardFilterSchema,
      gives: listOf("boards", "BoardSummary"),
      reasons: ["invalid_shape", ...readReasons],
    },
    post: {
      id: "createBoard",
      summary: "Create a board",
      query: boardFilterSchema,
      queryExample: { website_id: websiteId },
      takes: ref("schemas/NewBoard"),
      gives: fields,
      status: 201,
      reasons: [...takesBody, ...readReasons, "conflict", ...writes],
    },
  },
  "/v1/boards/{id}": {
    get: {
      id: "getBoard",
      scope: "read:reports",
      summary: "Get a board",
      description: `Returns the board with its tiles. For a board of all websites, the response has only the tiles of websites that the caller can access. ${readers} For a share link, tiles that use the ids of visitors, sessions or profiles are left out, and no tile has a \`path\`.`,
      gives: fields,
      reasons: ["key_website_mismatch", "board_unknown"],
    },
    patch: {
      id: "changeBoard",
      summary: "Change a board",
      description: "Omitted fields stay unchanged. `tiles` replaces all tiles.",
      takes: ref("schemas/BoardChanges"),
      gives: fields,
      reasons: changeReasons,
    },
    delete: {
      id: "deleteBoard",
      summary: "Delete a board",
      gives: {},
      reasons: ["key_website_mismatch", "board_unknown", ...writes],
    },
  },
  "/v1/boards/{id}/query": {
    post: {
      id: "queryTile",
      scope: "read:reports",
      summary: "Run the query of a tile",
      description: `Takes the range, granularity and comparison from the request, and everything else from the board. Responds like POST /v1/query. The id of a parameter is its position. The default range is the last 30 days. ${readers}`,
      takes: ref("schemas/TileQuery"),
      gives: queryResult,
      reasons: [
        "invalid_shape",
        ...bodyReasons,
        "key_website_mismatch",
        "board_unknown",
        "queries_full",
        "events_removed",
      ],
    },
  },
  "/v1/boards/{id}/tiles": {
    post: {
      id: "addTile",
      summary: "Add a tile to a board",
      takes: ref("schemas/NewTile"),
      gives: fields,
      status: 201,
      reasons: changeReasons,
    },
  },
}

export async function boardPaths(): Promise<Json> {
  const format = errorFormat({ field: "name", message: newBoardSchema.properties.name.expected })
  return paths(boards, { tag: "Boards", scope: "manage:websites", errorFormat: format })
}
