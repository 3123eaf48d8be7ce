import { type Static, type TProperties, type TSchema, Type } from "@sinclair/typebox"
import { name, strict, time } from "../http/schema.ts"
import { parameterSchema, querySchema } from "../query-api/schema.ts"
import { newViewSchema, noteFilterSchema, viewSchema } from "../saved/schema.ts"
import { boardColumns, maxHeight, minSize } from "./layout.ts"

// `expected` is the error message for a value that does not match the schema.

/** Maximum number of tiles on a board. A board runs a query for each tile, and a wallboard does so every minute. */
export const maxTiles = 24

const integer = (minimum: number, maximum: number, description: string) =>
  Type.Integer({
    minimum,
    maximum,
    description,
    expected: `must be a whole number from ${minimum} to ${maximum}`,
  })

/** How a value is formatted. */
const format = Type.Union(
  [
    Type.Literal("text"),
    Type.Literal("count"),
    Type.Literal("number"),
    Type.Literal("percent"),
    Type.Literal("seconds"),
    Type.Literal("milliseconds"),
    Type.Literal("time"),
  ],
  {
    description:
      "How values are shown; time: the value is an ISO 8601 time, and the time since then is shown",
    expected: "must be text, count, number, percent, seconds, milliseconds or time",
  },
)

const column = (description: string) =>
  Type.String({
    minLength: 1,
    maxLength: 600,
    description,
    expected: "must be a string of 1 to 600 characters",
  })

const measure = Type.Object(
  {
    column: column("A column of the query's rows"),
    label: name,
    format,
    better: Type.Optional(
      Type.Union([Type.Literal("higher"), Type.Literal("lower")], {
        description: "Whether higher or lower values are better; absent: changes are neutral",
        expected: "must be higher or lower",
      }),
    ),
  },
  { ...strict, description: "A column and how it is shown" },
)

// The query of a tile has no range, because the range is chosen on the page that shows the board.
const parameter = Type.Omit(
  parameterSchema,
  ["id", "start_date", "end_date", "preset", "page", "cursor"],
  strict,
)

const query = (parameters: number, description: string) =>
  Type.Object(
    {
      parameters: Type.Array(parameter, {
        minItems: 1,
        maxItems: parameters,
        description,
        expected: `must be a list of ${parameters === 1 ? "one parameter" : `1 to ${parameters} parameters`} of a query`,
      }),
      filters: querySchema.properties.filters,
    },
    {
      ...strict,
      description:
        'Body of POST /v1/query without a range. The board page sets "compare" and "granularity", but not the granularity of a retention query',
    },
  )

const id = Type.String({
  pattern: "^[A-Za-z0-9-]{1,36}$",
  description: "Id of the tile, unique on its board. Default: a new id",
  expected: "must be 1 to 36 characters from A-Z, a-z, 0-9 and '-'",
})

/** The fields of all tiles. */
const shared = {
  title: name,
  websiteId: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description:
        "The website that the tile shows, on a board that covers all websites; none: events without a website; absent: all websites",
      expected: 'must be the ID of a website, or "none"',
    }),
  ),
  path: Type.Optional({
    ...newViewSchema.properties.path,
    description: "Dashboard path and query string that open the same data",
  }),
}

const placement = {
  x: integer(
    0,
    boardColumns - minSize,
    `Column of the left edge, from 0; a board has ${boardColumns} columns`,
  ),
  y: integer(
    0,
    1_000,
    "Row of the top edge, from 0. Each tile moves up until it touches another tile or the top",
  ),
  width: integer(minSize, boardColumns, "Number of columns"),
  height: integer(minSize, maxHeight, "Number of rows"),
}

/**
 * Returns two schemas for a kind of tile: one for requests, where the position is optional, and one for stored tiles.
 */
function tile<Kind extends string, Fields extends TProperties>(kind: Kind, fields: Fields) {
  const content = { kind: Type.Literal(kind, { expected: `must be ${kind}` }), ...shared, ...fields }
  return {
    input: Type.Object(
      { id: Type.Optional(id), ...content, ...Type.Partial(Type.Object(placement)).properties },
      strict,
    ),
    output: Type.Object({ id, ...content, ...placement }, strict),
  }
}

/** The schemas for each kind of tile. */
const kinds = {
  number: tile("number", {
    query: query(
      2,
      "The first parameter returns one row with the number; the second returns the number over time",
    ),
    measure,
    trend: Type.Optional(
      column(
        "Column with the number in the rows that the second parameter returns. Default: the column of the measure",
      ),
    ),
  }),
  chart: tile("chart", {
    query: query(
      2,
      "The first parameter returns values over time; with `by`, a second one can return the parts of these values, which are shown as stacked bars",
    ),
    measure,
    by: Type.Optional(column("Column with the name of each line, or of each part of a stack")),
    display: Type.Union([Type.Literal("lines"), Type.Literal("bars")], {
      expected: "must be lines or bars",
    }),
  }),
  table: tile("table", {
    query: query(1, "Returns the rows"),
    columns: Type.Array(measure, {
      minItems: 1,
      maxItems: 10,
      description:
        "The columns to show; if the query has a comparison, the first numeric column is followed by its change",
      expected: "must be a list of 1 to 10 columns {column, label, format}",
    }),
  }),
  funnel: tile("funnel", { query: query(1, "A funnel query") }),
  retention: tile("retention", {
    query: query(1, "A retention query"),
    show: Type.Optional(
      Type.Union([Type.Literal("percent"), Type.Literal("people")], {
        description: "Default: percent",
        expected: "must be percent or people",
      }),
    ),
  }),
}

export type TileKind = keyof typeof kinds

/** The type assertion is needed because Object.keys loses the literal types. */
export const tileKinds = Object.keys(kinds) as TileKind[]

export const newTileSchemas = {
  number: kinds.number.input,
  chart: kinds.chart.input,
  table: kinds.table.input,
  funnel: kinds.funnel.input,
  retention: kinds.retention.input,
} satisfies Record<TileKind, TSchema>

export const newTileSchema = Type.Union(
  [kinds.number.input, kinds.chart.input, kinds.table.input, kinds.funnel.input, kinds.retention.input],
  { description: "A tile. If x or y is absent, the tile goes into the first free position" },
)

export const tileSchema = Type.Union(
  [kinds.number.output, kinds.chart.output, kinds.table.output, kinds.funnel.output, kinds.retention.output],
  { description: "A tile" },
)

const expectedTiles = `must be a list of at most ${maxTiles} tiles`
const newTiles = Type.Array(newTileSchema, {
  maxItems: maxTiles,
  description: "The tiles. A tile that overlaps another tile moves down",
  expected: expectedTiles,
})

export const newBoardSchema = Type.Object({ name, tiles: Type.Optional(newTiles) }, strict)

export const boardChangesSchema = Type.Object(
  {
    name: Type.Optional(name),
    tiles: Type.Optional(newTiles),
    revision: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          "The board's revision on which the change is based. If the board has a different revision by now, the change is rejected with the reason `conflict`",
        expected: "must be a whole number above 0",
      }),
    ),
  },
  strict,
)

/**
 * Accepts a list of any values. The schemas for requests use it, because a union of all kinds of tiles would report
 * only the errors for the first kind. Each tile is then validated against the schema for its own kind.
 */
const anyTiles = Type.Optional(Type.Array(Type.Unknown(), { maxItems: maxTiles, expected: expectedTiles }))
export const newBoardRequestSchema = Type.Object({ ...newBoardSchema.properties, tiles: anyTiles }, strict)
export const boardChangesRequestSchema = Type.Object(
  { ...boardChangesSchema.properties, tiles: anyTiles },
  strict,
)

const boardFields = {
  id: Type.String({ description: "Id" }),
  websiteId: viewSchema.properties.websiteId,
  name,
  revision: Type.Integer({ description: "Revision number; starts at 1 and increases with each change" }),
  createdAt: time("Creation time"),
  updatedAt: time("Time of the last change"),
}

/** A board in a list of boards, with the number of its tiles instead of the tiles. */
export const boardSummarySchema = Type.Object({
  ...boardFields,
  tiles: Type.Integer({ minimum: 0, description: "Number of tiles" }),
})

export const boardSchema = Type.Object({
  ...boardFields,
  tiles: Type.Array(tileSchema, { description: "Tiles in reading order, none of which overlap" }),
})

const { startDate, endDate, preset, timeZone, granularity, compare } = querySchema.properties

/**
 * A request to run a tile's query. The server builds the query, so the request contains only the settings chosen on the
 * board page.
 */
export const tileQuerySchema = Type.Object(
  {
    tile: Type.String({ description: "Id of the tile", expected: "must be the ID of a tile on the board" }),
    startDate,
    endDate,
    preset,
    timeZone,
    granularity: {
      ...granularity,
      description:
        "Applies to the tile's parameters that have a granularity. Default: the tile's granularity",
    },
    compare: {
      ...compare,
      description: "Applies to the tile's parameters that have a comparison. Default: no comparison",
    },
  },
  strict,
)

/** Query string of requests for a website's boards. */
export const boardFilterSchema = noteFilterSchema

export type NewTile = Static<typeof newTileSchema>
export type Tile = Static<typeof tileSchema>
export type TileQueryJson = Static<typeof tileQuerySchema>
export type TileMeasure = Static<typeof measure>
export type BoardJson = Static<typeof boardSchema>
export type BoardSummaryJson = Static<typeof boardSummarySchema>
