/** What `databuddy.js` passes to `start` of `vitals.js`, `errors.js` and `engagement.js`, which it loads on demand. */
export interface Host {
  /** Sends an item to a path of the server with the IDs of the visitor. */
  add: (path: string, fields: object) => void
  /** Path of a URL, masked. Default: of the current page. */
  path: (url?: string) => string
}
