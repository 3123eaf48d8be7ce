import { mulberry32, picker } from "../support/random.ts"
import { sharedAddress, type Target } from "./attacks.ts"

// The honest clients of `npm run test:attack`: programs and pages that send events, a dashboard, and a login.

export const password = "correct horse battery"
export const domain = "example.com"
export const names = ["viewed", "signed_up", "added", "bought", "left"]

/** Requests per second of each client, regardless of how long the responses take. */
const rates = {
  "events by key, 5 a request": 30,
  "events by website id": 30,
  "dashboard, four queries": 1,
  "login of the owner": 0.2,
} as const
export type Client = keyof typeof rates
const clients = Object.keys(rates) as Client[]
/** All clients except logins, which are too few for a percentile and spend most of their time hashing the password. */
export const measuredClients: Client[] = [
  "events by key, 5 a request",
  "events by website id",
  "dashboard, four queries",
]

/** Seconds that are not measured, because connections are opened and this process compiles its code. */
const warmUp = 1
/** Time after which a client gives up, in ms. */
const timeout = 60_000

export interface HonestOrder extends Target {
  seconds: number
  /** Prefix of the event ids. */
  phase: string
  honestKey: string
}

export interface HonestReport {
  /** Time from when each request was due until its response, in ms. */
  waits: Record<Client, number[]>
  /** Number of responses without success, by client and status. */
  failures: Record<string, number>
  /** Ids of acknowledged events. */
  stored: string[]
}

export function emptyWaits(): Record<Client, number[]> {
  // Object.fromEntries does not infer the keys.
  return Object.fromEntries(clients.map((client) => [client, [] as number[]])) as Record<Client, number[]>
}

/** Sends the requests of all honest clients. */
export async function sendHonest({ port, phase, seconds, ...order }: HonestOrder): Promise<HonestReport> {
  const random = picker(mulberry32(1))
  const url = `http://127.0.0.1:${port}`
  const waits = emptyWaits()
  const failures: Record<string, number> = {}
  const stored: string[] = []
  let cookie = ""
  const event = (id: string) => ({
    eventId: id,
    name: random.of(names),
    websiteId: order.websiteId,
    anonymousId: `visitor ${random.whole(0, 999)}`,
    sessionId: `session ${random.whole(0, 4_999)}`,
    path: `/page/${random.whole(0, 20)}`,
    properties: { plan: random.of(["free", "pro"]), price: random.whole(1, 100) },
  })
  const post = (path: string, body: unknown, headers: Record<string, string>) =>
    fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeout),
    })
  const sendEvents = async (ids: string[], path: string, headers: Record<string, string>) => {
    const events = ids.map(event)
    const response = await post(path, events.length === 1 ? events[0] : events, headers)
    await response.arrayBuffer()
    if (response.status === 200) stored.push(...ids)
    return response.status
  }
  const login = async () => {
    const response = await post(
      "/v1/login",
      { email: order.email, password },
      { "x-databuddy-page": "1", "x-forwarded-for": "203.0.113.250" },
    )
    await response.arrayBuffer()
    cookie = response.headers.get("set-cookie")?.split(";")[0] ?? cookie
    return response.status
  }
  const page = ["custom_events_summary", "custom_events", "custom_events_trends", "custom_events_by_path"]
  const send: Record<Client, (index: number) => Promise<number>> = {
    "events by key, 5 a request": (index) =>
      sendEvents(
        Array.from({ length: 5 }, (_, n) => `${phase} key ${index} ${n}`),
        "/track",
        { authorization: `Bearer ${order.honestKey}`, "x-forwarded-for": sharedAddress },
      ),
    "events by website id": (index) =>
      sendEvents([`${phase} page ${index}`], `/track?website_id=${order.websiteId}`, {
        origin: `https://${domain}`,
        "x-forwarded-for": index % 10 === 0 ? sharedAddress : `203.0.113.${1 + (index % 50)}`,
      }),
    "dashboard, four queries": async () => {
      const response = await post(
        `/v1/query?website_id=${order.websiteId}&timezone=UTC`,
        { parameters: page, preset: "last_7d" },
        { cookie, "x-databuddy-page": "1", "x-forwarded-for": "203.0.113.250" },
      )
      const answer = (await response.json()) as { data?: { success: boolean }[] }
      return answer.data?.every(({ success }) => success) ? response.status : -response.status
    },
    "login of the owner": login,
  }
  await login()
  await Promise.all(
    clients.map(async (client) => {
      const rate = rates[client]
      const requests: Promise<void>[] = []
      const started = performance.now()
      for (let index = 0; index / rate < seconds + warmUp; index++) {
        const due = started + (index * 1_000) / rate
        await Bun.sleep(Math.max(0, due - performance.now()))
        const result = send[client](index).catch((error: Error) => error.name)
        requests.push(
          result.then((status) => {
            if (due >= started + warmUp * 1_000) waits[client].push(performance.now() - due)
            if (status === 200) return
            const name = `${client}: ${status}`
            failures[name] = (failures[name] ?? 0) + 1
          }),
        )
      }
      await Promise.all(requests)
    }),
  )
  return { waits, failures, stored }
}
