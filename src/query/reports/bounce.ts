/** A session of one view is a bounce if its pages were open for less than this many seconds. */
export const bounceSeconds = 10
/**
 * Maximum seconds that a page can be open, as in the endpoints of the page script. Imported events can have other
 * values.
 */
export const maxPageSeconds = 86_400

/**
 * A bounce is a session with one page view, shorter than 10 s, and without other events of `trafficKinds`: custom
 * events, errors and clicks on outgoing links. `seconds`: how long its pages were open.
 */
export function isBounce(views: number, hasOtherEvents: boolean, seconds: number): boolean {
  return views === 1 && !hasOtherEvents && seconds < bounceSeconds
}

/** Seconds that a page was open, from the `time_on_page` of a `page_exit`. */
export function pageSeconds(timeOnPage = 0): number {
  return Math.min(Math.max(timeOnPage, 0), maxPageSeconds)
}
