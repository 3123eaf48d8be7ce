/**
 * The functions that `databuddy.js` passes to the `start` function of each script that it loads on demand, such as
 * `vitals.js`.
 */
export interface Host {
  /** Sends an item to a path of the server, together with the IDs of the visitor. */
  add: (path: string, fields: object) => void
  /** Returns the masked path of a URL. Default: the current page. */
  path: (url?: string) => string
}
