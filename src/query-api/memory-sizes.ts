/**
 * Maximum share of the query memory for one query, and maximum share for all queries and unsent responses together.
 * Caches get the rest.
 */
export const queryShare = 1 / 2
export const queriesShare = 5 / 8
/**
 * Size of SQLite's page cache in KiB. It is small because columns have their own cache and the operating system caches
 * the file.
 */
export const pageCacheKiB = 16_384
