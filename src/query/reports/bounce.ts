/** A session with one view can only be a bounce if its page was open for less than this number of seconds. */
export const bounceSeconds = 10
/**
 * If a page was open for longer than this number of seconds, only this number is counted. The page script's endpoints
 * enforce the same limit, but imported events can exceed it.
 */
export const maxPageSeconds = 86_400

/**
 * Returns true if a session is a bounce: it has one page view, lasts less than 10 s, and has no other events of
 * `trafficKinds` (custom events, errors and clicks on outgoing links). `seconds` is how long its pages were open.
 */
export function isBounce(views: number, hasOtherEvents: boolean, seconds: number): boolean {
  return views === 1 && !hasOtherEvents && seconds < bounceSeconds
}

/** Returns the number of seconds that a page was open, given the `time_on_page` of a `page_exit`. */
export function pageSeconds(timeOnPage = 0): number {
  return Math.min(Math.max(timeOnPage, 0), maxPageSeconds)
}
