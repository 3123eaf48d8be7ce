/** The formats of exports. */
export const formats = ["ndjson", "csv", "parquet"] as const
export type Format = (typeof formats)[number]
