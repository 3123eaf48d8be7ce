import { pageCacheKiB, queriesShare, queryShare, writerPageCacheKiB } from "../query-api/memory-sizes.ts"
import type { ServeOptions } from "../serve-options.ts"

type MemoryOptions = Pick<ServeOptions, "queryMemory" | "queueBytes">

/**
 * Returns the memory for queries, their responses and caches, in bytes. `available` is the memory that this process can
 * use, in bytes.
 */
export function queryMemoryOf({ queryMemory }: MemoryOptions, available: number): number {
  return queryMemory ?? standardQueryMemory(available)
}

/**
 * Returns the default query memory in bytes: an eighth of the available memory, because peak usage is two to three
 * times the limit. With less than the minimum, even one month of a small website would not fit in the cache, and every
 * query would reread its events. The maximum is enough to cache what all dashboard pages read from 10 million events.
 */
export function standardQueryMemory(availableBytes: number): number {
  const [min, max] = [134_217_728, 536_870_912]
  return Math.max(min, Math.min(Math.floor(availableBytes / 8), max))
}

/**
 * Returns the limits of all memory that grows with use, in MiB, for the log. The base memory of the process is not
 * included.
 */
export function memoryPlan(options: MemoryOptions, available: number): Record<string, number | string> {
  const queryMemory = queryMemoryOf(options, available)
  return {
    available_mib: mib(available),
    query_memory_mib: mib(queryMemory),
    query_memory_from: options.queryMemory === undefined ? "the memory available" : "--query-memory",
    one_query_mib: mib(queryMemory * queryShare),
    caches_mib: mib(queryMemory * (1 - queriesShare)),
    sqlite_cache_mib: mib((writerPageCacheKiB(queryMemory) + pageCacheKiB(queryMemory)) * 1_024),
    queue_mib: mib(options.queueBytes),
    bodies_mib: mib(options.queueBytes),
  }
}

function mib(bytes: number): number {
  return Math.round(bytes / 1_048_576)
}
