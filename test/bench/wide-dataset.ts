import type { EventRow } from "../../src/store/events.ts"
import { mulberry32 } from "../support/random.ts"

/** An event of the wide data set. */
export interface WideEvent {
  /** 1 to 6 */
  website: number
  name: string
  /** Unix ms of the event, and of its receipt. */
  ts: number
  receivedAt: number
  visitor: string
  session: string
  page: string
  button: string
  plan: string
  amount: number
  /** Almost always unique. Only events named `event_3` have it. */
  order: string | undefined
}

/** Share of all events that each website receives. */
export const websiteShares = [0.7, 0.1, 0.08, 0.06, 0.04, 0.02] as const

const names = 40
const pages = 300
const buttons = 50
const plans = ["free", "pro", "team"] as const
/** In cents: amounts have two decimal places. */
const maxAmount = 100_000
const visitors = 1_000_000
/** Probability that an event starts a session: 8.6 million sessions in 10 million events. */
const newSession = 0.86
const lateShare = 0.05
const maxLateness = 3 * 86_400_000
export const wideSpan = 30 * 86_400_000

/**
 * Generates `count` events in order of arrival, the last one at `end` (Unix ms). A million visitors, some far more
 * active than others, have short sessions. Names, pages and buttons follow Zipf's law. One event in twenty is up to
 * three days late. The same seed generates the same events.
 */
export function* wideEvents(count: number, end: number, seed = 7): Generator<WideEvent> {
  const random = mulberry32(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const name = zipf(names, 0.9, random)
  const page = zipf(pages, 1, random)
  const button = zipf(buttons, 1, random)
  const sessions = new Uint32Array(visitors)
  let lastSession = 0
  for (let index = 1; index <= count; index++) {
    const visitor = Math.floor(random() ** 1.3 * visitors)
    if (sessions[visitor] === 0 || random() < newSession) sessions[visitor] = ++lastSession
    const receivedAt = end - wideSpan + Math.floor((index / count) * wideSpan)
    const number = name()
    yield {
      website: websiteOf(random()),
      name: `event_${number}`,
      ts: receivedAt - (random() < lateShare ? below(maxLateness) : 0),
      receivedAt,
      visitor: `user-${visitor}`,
      session: `session-${sessions[visitor]}`,
      page: `/page/${page()}`,
      button: `button_${button()}`,
      plan: plans[below(plans.length)] as string,
      amount: below(maxAmount) / 100,
      order: number === 3 ? `ord_${below(2 ** 40).toString(36)}` : undefined,
    }
  }
}

function websiteOf(share: number): number {
  let rest = share
  const index = websiteShares.findIndex((part) => {
    rest -= part
    return rest < 0
  })
  return index === -1 ? 1 : index + 1
}

/**
 * Draws numbers from 0 to `count` - 1, the nth with a probability proportional to 1 / (n + 1) ^ `exponent`.
 */
export function zipf(count: number, exponent: number, random: () => number): () => number {
  let sum = 0
  const sums = Float64Array.from({ length: count }, (_, index) => {
    sum += 1 / (index + 1) ** exponent
    return sum
  })
  return () => {
    const at = random() * sum
    let [low, high] = [0, count - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] as number) < at) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Returns the row that databuddy stores. `rids` are the rids of the websites, in order. */
export function rowOf(event: WideEvent, rids: readonly number[]): EventRow {
  const { page, button, plan, amount, order } = event
  const properties = { page, button, plan, amount, ...(order !== undefined && { order }) }
  return {
    websiteRid: rids[event.website - 1] as number,
    name: event.name,
    namespace: "",
    source: "",
    keys: JSON.stringify(Object.keys(properties)),
    ts: event.ts,
    receivedAt: event.receivedAt,
    anonymousId: event.visitor,
    hashVisitor: false,
    sessionId: event.session,
    profileId: null,
    path: page,
    viaKey: 1,
    crawler: 0,
    eventId: null,
    properties: JSON.stringify(Object.values(properties)).slice(1, -1),
  }
}

/** Types of DuckDB's columns. */
export const wideColumns = {
  website: "integer",
  name: "varchar",
  ts: "bigint",
  visitor: "varchar",
  session: "varchar",
  page: "varchar",
  button: "varchar",
  plan: "varchar",
  amount: "double",
} as const

/** A line of the file that DuckDB reads: `wideColumns`, tab-separated. */
export function lineOf(event: WideEvent): string {
  return `${(Object.keys(wideColumns) as (keyof typeof wideColumns)[]).map((column) => event[column]).join("\t")}\n`
}
