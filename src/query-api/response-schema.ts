import { type Static, Type } from "@sinclair/typebox"
import { oneOf } from "./schema.ts"

export const websiteSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  domain: Type.String(),
  isPublic: Type.Literal(false),
  lowerIsBetter: Type.Array(Type.String(), { description: "Names of events that should decrease" }),
  createdAt: Type.String({ format: "date-time" }),
})

export const metaSchema = Type.Object({
  source: Type.String({
    description:
      "Where the result came from, joined by +: kept (cached partial aggregates), counts (aggregates per quarter of an hour), blocks (columns) or rows in SQLite; clickhouse (with serve --clickhouse)",
  }),
  watermark: Type.Optional(
    Type.Integer({
      description:
        "With clickhouse as a source: events up to this ID come from the cluster, later events from rows",
    }),
  ),
  nodes: Type.Optional(
    Type.Array(
      Type.Object({
        node: Type.Integer(),
        watermark: Type.Integer(),
        shipped_at: Type.String({ format: "date-time", description: "When the node last shipped" }),
      }),
      {
        description:
          "With `serve --node`: the other nodes. Events from a node are included up to its watermark, which is an event ID",
      },
    ),
  ),
  rows_read: Type.Integer({ description: "Rows read" }),
  block_events: Type.Integer({ description: "Events scanned in column blocks" }),
  ms: Type.Number({ description: "Duration in ms" }),
  from: Type.String({ format: "date-time", description: "Start of the range" }),
  to: Type.String({ format: "date-time", description: "End of the range, exclusive" }),
  previous: Type.Optional(
    Type.Object(
      { from: Type.String({ format: "date-time" }), to: Type.String({ format: "date-time" }) },
      { description: "The previous period, with `compare`" },
    ),
  ),
  total: Type.Optional(Type.Integer({ description: "Rows on all pages" })),
  nextCursor: Type.Optional(
    Type.Union([Type.Null(), Type.String()], { description: "null on the last page" }),
  ),
  movers: Type.Optional(
    Type.Object(
      {
        total: Type.Number({ description: "The measure of all events in the range" }),
        previous_total: Type.Number({ description: "The measure of all events in the previous period" }),
        checked: Type.Array(Type.String(), { description: "Fields whose values were all compared" }),
        skipped: Type.Array(
          Type.Object({
            field: Type.String(),
            reason: oneOf(
              ["too_many_values", "too_many_properties"],
              "Why the field was not compared: it has more than 1,000 values in both periods together, or is not one of the 50 most frequent properties",
            ),
          }),
          { description: "Fields that were not compared" },
        ),
      },
      { description: "For movers: what was compared" },
    ),
  ),
})

/** A query type in the format of GET /v1/query/types. */
export const typeSchema = Type.Object({
  allowedFilters: Type.Array(Type.String(), { description: "Fields that filters can use" }),
  customizable: Type.Literal(true),
  defaultLimit: Type.Integer(),
  meta: Type.Object({
    description: Type.String(),
    outputFields: Type.Array(Type.String(), {
      description: "Columns of the rows; `…` stands for the columns of `by` and `measures`",
    }),
    takes: Type.Array(Type.String(), { description: "Options of this type" }),
    needs: Type.Array(Type.String(), { description: "Required options" }),
    sortBy: Type.Array(Type.String(), { description: "Sort columns; the first is the default" }),
  }),
})

export type TypeConfig = Static<typeof typeSchema>

export type MetaJson = Static<typeof metaSchema>
