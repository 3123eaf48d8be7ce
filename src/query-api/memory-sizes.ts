import { cacheKiB as writerCacheKiB } from "../store/db/open.ts"

/**
 * Maximum share of the query memory for one query, and maximum share for all queries and unsent responses together.
 * Caches get the rest.
 */
export const queryShare = 1 / 2
export const queriesShare = 5 / 8
/**
 * Sizes of SQLite's page caches, for the connection that runs queries and for the one that writes. `share` is relative
 * to the query memory, which does not include these caches. `min` and `max` are in KiB. The caches are small because
 * columns have their own cache and the operating system caches the file.
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
