/** Describes which rows have been sealed, which means that column blocks were built from them. */
export interface SealedState {
  /** Rows up to this id are in blocks. */
  id: number
  /** How often rows above `id` have been deleted. */
  deleted: number
  /** How often all blocks have been discarded to be rebuilt. A rebuild invalidates all dictionary ids. */
  rebuilds: number
  /** Highest row id. */
  last: number
}

export const sealedStateSql =
  "select id, deleted, rebuilds, (select coalesce(max(id), 0) from event_rows) as last from sealed"
