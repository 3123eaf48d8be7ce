/** Shares of the query memory for one query, and for all queries and unsent responses. The rest is for caches. */
export const queryShare = 1 / 2
export const queriesShare = 5 / 8
/**
 * KiB of SQLite's page cache. It is small, because columns have their own cache and the system caches the
 * file.
 */
export const pageCacheKiB = 16_384
