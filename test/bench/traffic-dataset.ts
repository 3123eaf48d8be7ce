import type { ClientContext } from "../../src/store/contexts.ts"
import type { EventRow } from "../../src/store/events.ts"
import { acquisition, client } from "../support/page-event.ts"
import { mulberry32 } from "../support/random.ts"
import { zipf } from "./wide-dataset.ts"

/** Time that the data set covers. */
export const spanMs = 30 * 86_400_000
export const viewsPerSession = 3
const sessionsPerVisitor = 2
export const pages = 300
const countries = 40
const clients = 200
const referrers = 2_000
/** Number of recent visitors from whom returning visitors are chosen. */
const recentVisitors = 20_000
/** Maximum duration of a view and of a session, in ms. */
const longestView = 300_000
const longestSession = viewsPerSession * (longestView + 1_000)

/**
 * Generates page views, and their exits if `exits` is true, in order of arrival. Sessions start at random times and
 * overlap. The same seed generates the same events, except for their ids.
 */
export function* trafficRows(
  views: number,
  exits: boolean,
  rid: number,
  end: number,
  seed = 11,
): Generator<EventRow> {
  const random = mulberry32(seed)
  const page = zipf(pages, 1, random)
  const referrer = zipf(referrers, 1, random)
  const country = zipf(countries, 1, random)
  const agent = zipf(clients, 1, random)
  const sessions = Math.ceil(views / viewsPerSession)
  const below = (limit: number) => Math.floor(random() * limit)
  const visitors: { id: string; from: ClientContext; viewport: string }[] = []
  const newVisitor = () => {
    const [place, kind] = [country(), agent()]
    const width = 1_000 + (kind % 15)
    const from = client({
      browser_name: `Browser ${kind % 8}`,
      browser_version: String(kind),
      os_name: `System ${kind % 6}`,
      device_type: ["desktop", "mobile", "tablet"][kind % 3] as string,
      country: String.fromCharCode(65 + (place % 26), 65 + Math.floor(place / 26)),
      language: `l${place % 20}`,
      timezone: `Zone/${place % 30}`,
      screen_resolution: `${width}x800`,
    })
    return { id: `anon_${crypto.randomUUID()}`, from, viewport: `${width}x700` }
  }
  const pending = new TimeQueue()
  for (let session = 0; session < sessions; session++) {
    // Half of the sessions are the second session of a recent visitor.
    const isFirst = visitors.length < recentVisitors || session % sessionsPerVisitor === 0
    const known = isFirst
      ? newVisitor()
      : (visitors.splice(below(visitors.length), 1)[0] as (typeof visitors)[0])
    if (isFirst) visitors.push(known)
    const sessionId = `sess_${crypto.randomUUID()}`
    const start = end - spanMs + Math.floor(((session + random()) / sessions) * (spanMs - longestSession))
    yield* pending.before(start)
    const site = referrer()
    const source = acquisition({
      referrer: `https://site${site}.example/`,
      referrer_domain: `site${site}.example`,
      referrer_type: site % 5 === 0 ? "search" : "other",
      ...(site % 10 === 0 && { utm_source: `source ${site % 7}`, utm_campaign: `campaign ${site % 30}` }),
    })
    let ts = start
    for (let view = 0; view < viewsPerSession; view++) {
      const path = `/page/${page()}`
      const base = {
        websiteRid: rid,
        namespace: "",
        source: "",
        anonymousId: known.id,
        hashVisitor: false,
        sessionId,
        profileId: null,
        path,
        viaKey: 0 as const,
        crawler: 0 as const,
        client: known.from,
      }
      pending.add({
        ...base,
        name: "screen_view",
        kind: "page_view",
        acquisition: view === 0 ? source : acquisition({ referrer_type: "internal" }),
        eventId: crypto.randomUUID(),
        ts,
        receivedAt: ts + 20 + below(200),
        keys: '["title","hostname","viewport_size"]',
        properties: `"Title of ${path}","bench.example","${known.viewport}"`,
      })
      const timeOnPage = 1 + below(longestView / 1_000)
      ts += timeOnPage * 1_000 + below(1_000)
      if (!exits) continue
      pending.add({
        ...base,
        name: "page_exit",
        kind: "page_exit",
        acquisition: null,
        eventId: crypto.randomUUID(),
        ts,
        receivedAt: ts + 20 + below(200),
        keys: '["time_on_page","scroll_depth","interaction_count"]',
        properties: `${timeOnPage},${below(100)},${below(20)}`,
      })
    }
  }
  yield* pending.before(Number.POSITIVE_INFINITY)
}

/**
 * A binary heap of rows, ordered by arrival. The type assertions are safe: there is a row at each index below the
 * length.
 */
class TimeQueue {
  readonly #heap: EventRow[] = []

  add(row: EventRow): void {
    const heap = this.#heap
    let at = heap.push(row) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if ((heap[parent] as EventRow).receivedAt <= row.receivedAt) break
      heap[at] = heap[parent] as EventRow
      at = parent
    }
    heap[at] = row
  }

  /** Removes and yields the rows that are received before `time` (Unix ms). */
  *before(time: number): Generator<EventRow> {
    for (let first = this.#heap[0]; first && first.receivedAt < time; first = this.#heap[0]) {
      const last = this.#heap.pop() as EventRow
      if (this.#heap.length > 0) this.#sink(last)
      yield first
    }
  }

  #sink(row: EventRow): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      const [left, right] = [heap[child] as EventRow, heap[child + 1]]
      if (right && right.receivedAt < left.receivedAt) child++
      if ((heap[child] as EventRow).receivedAt >= row.receivedAt) break
      heap[at] = heap[child] as EventRow
      at = child
    }
    heap[at] = row
  }
}
