/** Describes which rows have been sealed, which means that column blocks were built from them. */
export interface SealedState {
  /** Rows up to this id are in blocks. */
  id: number
  /** Number of times rows above `id` have been deleted. Changes that invalidate dictionary ids also count. */
  deleted: number
  /** Number of times all blocks have been discarded to be rebuilt. A rebuild invalidates all dictionary ids. */
  rebuilds: number
  /** Highest row id. */
  last: number
}

export const sealedStateSql =
  "select id, deleted, rebuilds, (select coalesce(max(id), 0) from event_rows) as last from sealed"
