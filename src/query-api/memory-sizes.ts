import { cacheKiB as writerCacheKiB } from "../store/db/open.ts"

/**
 * Maximum share of the query memory for one query, and maximum share for all queries and unsent responses together.
 * Caches get the rest.
 */
export const queryShare = 1 / 2
export const queriesShare = 5 / 8
/**
 * Shares of the query memory for SQLite's page caches: of the connection for queries, and of the one for writing. Both
 * are outside the query memory. Their sizes in KiB are limited. They are small because columns have their own cache and
 * the operating system caches the file.
 */
const pageCache = { share: 1 / 16, min: 8_192, max: 16_384 }
const writerPageCache = { share: 1 / 8, min: 16_384, max: writerCacheKiB }

/** Returns the size of SQLite's page cache for queries in KiB. */
export function pageCacheKiB(queryMemory: number): number {
  return cacheKiB(queryMemory, pageCache)
}

/** Returns the size of SQLite's page cache for writing in KiB. */
export function writerPageCacheKiB(queryMemory: number): number {
  return cacheKiB(queryMemory, writerPageCache)
}

function cacheKiB(queryMemory: number, { share, min, max }: typeof pageCache): number {
  return Math.min(max, Math.max(min, Math.floor((queryMemory * share) / 1_024)))
}
