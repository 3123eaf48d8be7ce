import { type TInteger, type TNull, type TString, type TUnion, Type } from "@sinclair/typebox"
import { type ColumnType, copiedTables } from "../store/registry-copy.ts"

type ColumnSchema = TInteger | TString | TUnion<[TInteger, TNull]> | TUnion<[TString, TNull]>

const types: Readonly<Record<ColumnType, ColumnSchema>> = {
  integer: Type.Integer(),
  "integer?": Type.Union([Type.Integer(), Type.Null()]),
  text: Type.String(),
  "text?": Type.Union([Type.String(), Type.Null()]),
  blob: Type.String({ pattern: "^[0-9a-f]*$" }),
  "blob?": Type.Union([Type.String({ pattern: "^[0-9a-f]*$" }), Type.Null()]),
}

const rowsOf = (columns: Readonly<Record<string, ColumnType>>) =>
  Type.Array(
    Type.Object(Object.fromEntries(Object.entries(columns).map(([name, type]) => [name, types[type]]))),
  )

/** The response of GET /v1/registry. A later version can add columns. */
export const registrySchema = Type.Object({
  registry: Type.String({ minLength: 1, description: "Random ID of the registry" }),
  revision: Type.Integer({ description: "Increases with each change" }),
  websites: rowsOf(copiedTables.websites),
  keys: rowsOf(copiedTables.keys),
  users: rowsOf(copiedTables.users),
  deleted_websites: rowsOf(copiedTables.deleted_websites),
})
