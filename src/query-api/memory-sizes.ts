import { buildMemory } from "../columns/column-builder.ts"

/**
 * Maximum share of the query memory for one query, and maximum share for all queries and unsent responses together.
 * Caches get the rest.
 */
export const queryShare = 1 / 2
export const queriesShare = 5 / 8
/** Share of the query memory for building columns in one pass of the sealer, and its minimum in bytes. */
const passShare = 1 / 8
const minPassMemory = 8_388_608

/**
 * Returns the memory for building columns in one pass of the sealer, in bytes. The memory is outside the query memory,
 * but depends on it, because a pass occupies two to three times this much.
 */
export function passMemory(queryMemory: number): number {
  return Math.min(buildMemory, Math.max(minPassMemory, Math.floor(queryMemory * passShare)))
}

/**
 * Size of SQLite's page cache in KiB. It is small because columns have their own cache and the operating system caches
 * the file.
 */
export const pageCacheKiB = 16_384
