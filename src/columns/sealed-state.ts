/** How far rows have been sealed. */
export interface SealedState {
  /** Rows up to this id are in blocks. */
  id: number
  /** Number of deletions among later rows. */
  deleted: number
  /** Number of rebuilds. A rebuild invalidates all dictionary ids. */
  rebuilds: number
  /** Highest row id. */
  last: number
}

export const sealedStateSql =
  "select id, deleted, rebuilds, (select coalesce(max(id), 0) from event_rows) as last from sealed"
