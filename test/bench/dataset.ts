import { mulberry32 } from "../support/random.ts"

/**
 * The standard data set: events with 40 names and four properties (50 buttons, 300 pages, 3 plans, 1,000 amounts), sent
 * by 200,000 visitors in sessions of five events on average, spread evenly over 30 days. The same seed generates the
 * same events.
 */
export interface StandardEvent {
  name: string
  timestamp: number
  properties: { button: string; page: string; plan: string; amount: number }
  anonymousId: string
  sessionId: string
}

const names = 40
const buttons = 50
const pages = 300
const plans = ["free", "pro", "team"]
const amounts = 1_000
const visitors = 200_000
const eventsPerSession = 5
const spanMs = 30 * 86_400_000

/** Generates `count` events in chronological order, the last one at `end` (Unix ms). */
export function* standardEvents(count: number, end: number, seed = 1): Generator<StandardEvent> {
  const random = mulberry32(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const sessions = new Uint32Array(visitors)
  let lastSession = 0
  for (let index = 1; index <= count; index++) {
    const visitor = below(visitors)
    if (sessions[visitor] === 0 || below(eventsPerSession) === 0) sessions[visitor] = ++lastSession
    yield {
      name: `event_${below(names)}`,
      timestamp: end - spanMs + Math.floor((index / count) * spanMs),
      properties: {
        button: `button_${below(buttons)}`,
        page: `/page/${below(pages)}`,
        plan: plans[below(plans.length)] as string,
        amount: below(amounts),
      },
      anonymousId: `user-${visitor}`,
      sessionId: `session-${sessions[visitor]}`,
    }
  }
}
