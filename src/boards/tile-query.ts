import { type FieldError, RequestError } from "../errors.ts"
import { type ParsedQuery, parseQueries } from "../query-api/parse.ts"
import type { ParsedParameter } from "../query-api/parse-parameter.ts"
import { typeOf } from "../query-api/query-types.ts"
import { fullLimits } from "../query-api/result-limits.ts"
import { parametersOf } from "./parameters.ts"
import type { NewTile, Tile, TileKind, TileQueryJson } from "./schema.ts"

/**
 * Maximum length of a tile as JSON, in characters. This is enough for a funnel of ten steps with a dozen filters each.
 * Tiles are limited in size, because a board is always loaded with all its tiles.
 */
const maxTileLength = 16_384

/**
 * The query type that a kind of tile requires. A kind that is not listed accepts any query type that returns the tile's
 * columns.
 */
const requiredQueryType: Partial<Record<TileKind, string>> = { funnel: "funnel", retention: "retention" }

/**
 * Returns the errors in a tile's query. The query must be valid and return the columns that the tile shows. The tile
 * must already match its schema. `now`: Unix ms. `canReadData`: true if the query can use visitor, session and profile
 * ids.
 */
export function queryErrors(tile: NewTile, now: number, canReadData = true): FieldError[] {
  if (JSON.stringify(tile).length > maxTileLength) {
    return [
      {
        field: "query",
        message: `is too large: the maximum is ${maxTileLength} characters of JSON per tile`,
      },
    ]
  }
  try {
    const { parameters } = parse(tile, now, canReadData)
    return parameters.flatMap((parameter, index) => {
      const field = `query.parameters.${index}`
      return parameterErrors(tile, parameter, field, index)
    })
  } catch (error) {
    if (!(error instanceof RequestError) || !error.fields) throw error
    return error.fields.map(({ field, message }) => ({ field: `query.${field}`, message }))
  }
}

/** True if callers without read:data can run the tile's query. `now`: Unix ms. */
export function isReport(tile: NewTile, now: number): boolean {
  return queryErrors(tile, now, false).length === 0
}

/** Builds the body of POST /v1/query from a tile and a request for it. */
export function queryOf(
  { query }: Tile,
  { compare, granularity, startDate, endDate, preset, timeZone }: TileQueryJson,
): object {
  const parameters = parametersOf(query.parameters, compare, granularity)
  return { parameters, filters: query.filters, startDate, endDate, preset, timeZone }
}

function parse({ query }: NewTile, now: number, canReadData: boolean): { parameters: ParsedParameter[] } {
  // The query is only validated here and does not run, so any range and website will do.
  const body = { ...query, preset: "last_7d" }
  const steps = parseQueries(body, { websites: [], now, zone: "UTC", canReadData, limits: fullLimits })
  for (;;) {
    const step = steps.next()
    if (!step.done) continue
    // The type assertion is safe because the body is a single query, not a batch.
    const [parsed] = step.value.queries as [ParsedQuery]
    return parsed
  }
}

function parameterErrors(
  tile: NewTile,
  parameter: ParsedParameter,
  field: string,
  index: number,
): FieldError[] {
  if ("failure" in parameter) {
    return [{ field, message: `is not valid: ${parameter.failure.detail ?? parameter.failure.message}` }]
  }
  const { type: name, granularity, measures } = parameter
  const type = typeOf(name)
  const needed = requiredQueryType[tile.kind] ?? name
  if (name !== needed) {
    return [{ field: `${field}.name`, message: `must be ${needed} for a ${tile.kind} tile` }]
  }
  if (type?.needsReadData) {
    return [
      { field: `${field}.name`, message: "must not be a type that returns individual events or people" },
    ]
  }
  if (tile.kind === "chart" && granularity === undefined) {
    return [{ field: `${field}.granularity`, message: "is required, because a chart shows values over time" }]
  }
  // Only the rows of the first parameter must have the columns that the tile shows.
  if (index > 0) return []
  const columns = [
    ...(type?.columns ?? []).filter((column) => column !== "…"),
    ...parameter.by,
    ...(type?.takes.includes("measures") ? measures.map((measure) => measure.name) : []),
  ]
  return columnsOf(tile)
    .filter(({ column }) => !columns.includes(column))
    .map((unknown) => ({
      field: unknown.field,
      message: `must be a column of ${name}: ${columns.join(", ")}`,
    }))
}

/** Returns the columns that a tile shows. `field`: the field of the tile that contains the name of the column. */
function columnsOf(tile: NewTile): { field: string; column: string }[] {
  switch (tile.kind) {
    case "table":
      return tile.columns.map(({ column }, index) => ({ field: `columns.${index}.column`, column }))
    case "number":
    case "chart":
      return [{ field: "measure.column", column: tile.measure.column }]
    default:
      return []
  }
}
