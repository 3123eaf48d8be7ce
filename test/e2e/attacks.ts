import { connect } from "node:net"
import { gzipSync } from "node:zlib"

// The attacks of `npm run test:attack`. They run in one process at the lowest priority and at a limited rate, so that
// what slows down honest clients is the server's work and not the attackers' own. Attackers know what is public: the
// website's ID and a share link. Some also have a key that can read or a key that can send. Their events use a known
// name, because new names are soon rejected.

export interface Target {
  port: number
  websiteId: string
  /** The token of a share link. */
  share: string
  /** Key of another program of the owner. It can send events without a rate limit. */
  senderKey: string
  /** Key of a person who can read data. */
  readerKey: string
  /** Email of the owner, whose password the attackers try to guess. */
  email: string
  /** Number of distinct values of the property `item` in stored events. */
  values: number
}

export interface Attack {
  title: string
  /** Requests per second. */
  rate: number
  /** Maximum number of requests without a response. While it is reached, further requests are skipped. */
  open: number
  /** Returns a function that sends one request. It resolves to the response status, or to what happened instead. */
  prepare: (target: Target) => (index: number) => Promise<number | string>
}

/** The address that honest clients share with an attacker, as behind one NAT. */
export const sharedAddress = "203.0.113.200"

const many = <Item>(count: number, make: (index: number) => Item) =>
  Array.from({ length: count }, (_, index) => make(index))
/** An address in an attack's own network, in the header X-Forwarded-For, which the server trusts from loopback. */
const from = (index: number, addresses: number, network: string) => ({
  "x-forwarded-for": `${network}.${1 + (index % addresses)}`,
})

/** Levels of nested brackets, which gzip compresses to 2 KB. */
const nest = 1_040_000
const zone = "timezone=UTC"

async function post(
  { port }: Target,
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
    signal: AbortSignal.timeout(60_000),
  })
  await response.arrayBuffer()
  return response.status
}

const track = (target: Target, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>) =>
  post(target, `/track?website_id=${target.websiteId}`, body, headers)
const query = (target: Target, body: object, headers: Record<string, string>) =>
  post(target, `/v1/query?website_id=${target.websiteId}&${zone}`, JSON.stringify(body), headers)

/**
 * Sends text over a new connection and waits at most `ms`. Returns the response status, or `silent` if there is none.
 * `trickle` is sent each second.
 */
function raw(
  { port }: Target,
  text: string,
  { ms, trickle, read = true }: { ms: number; trickle?: string; read?: boolean },
): Promise<number | string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    let result: number | string = read ? "silent" : "not read"
    const timers = [setTimeout(() => socket.destroy(), ms)]
    if (trickle) timers.push(setInterval(() => socket.write(trickle), 1_000))
    socket.on("connect", () => {
      socket.write(text)
      if (!read) socket.pause()
    })
    socket.on("data", (data: Buffer) => {
      if (!read) return
      const status = /^HTTP\/1\.1 (\d{3})/.exec(data.toString("latin1"))?.[1]
      if (status) result = Number(status)
      socket.destroy()
    })
    socket.on("error", () => {
      result = "broken"
    })
    socket.on("close", () => {
      for (const timer of timers) clearTimeout(timer)
      resolve(result)
    })
  })
}

const minuteTrend = {
  name: "events",
  granularity: "minute",
  measures: [
    "events",
    "users",
    "sessions",
    "profiles",
    "pages",
    "event_types",
    "with_properties",
    "first",
    "last",
  ],
}

/** The attacks, by the name that the report shows. */
export const attacks = {
  keys: {
    title: "60 events with 2,000 new property keys each",
    rate: 0.3,
    open: 4,
    prepare: (target) => {
      const events = (index: number) =>
        many(60, (event) => {
          const keys = many(2_000, (key) => `"${index.toString(36)}_${event}_${key}":0`)
          return `{"name":"viewed","properties":{${keys.join(",")}}}`
        })
      return (index) => track(target, `[${events(index).join(",")}]`, from(index, 1, "10.1.0"))
    },
  },
  "one key each": {
    title: "1,000 events with one new key each, with a key",
    rate: 0.5,
    open: 4,
    prepare: (target) => (index) => {
      const events = many(1_000, (n) => ({
        name: "viewed",
        websiteId: target.websiteId,
        properties: { [`item_${index * 1_000 + n}`]: 1 },
      }))
      return track(target, JSON.stringify(events), { authorization: `Bearer ${target.senderKey}` })
    },
  },
  "gzip nests": {
    title: "two million nested brackets in 2 KB, to /track, /identify and /v1/login",
    rate: 25,
    open: 50,
    prepare: (target) => {
      const text = `{"name":"x","properties":{"a":${"[".repeat(nest)}${"]".repeat(nest)}}}`
      const body = gzipSync(text, { level: 9 })
      const paths = [`/track?website_id=${target.websiteId}`, "/identify", "/v1/login"]
      const more = { "content-encoding": "gzip", "x-databuddy-page": "1" }
      return (index) =>
        post(target, paths[index % paths.length] as string, body, {
          ...more,
          ...from(index, 4, "10.3.0"),
        })
    },
  },
  "rejected bodies": {
    title: "2 MB of 170,000 different keys that are not an event, in gzip",
    rate: 0.5,
    open: 8,
    prepare: (target) => {
      const body = gzipSync(`{${many(170_000, (key) => `"k${key}":0`).join(",")}}`)
      const paths = [`/track?website_id=${target.websiteId}`, "/identify", "/v1/login"]
      const more = { "content-encoding": "gzip", "x-databuddy-page": "1" }
      return (index) =>
        post(target, paths[index % paths.length] as string, body, { ...more, ...from(index, 6, "10.4.0") })
    },
  },
  "minute trends": {
    title:
      "20 queries with 50 trends by the minute, of nine measures, through a share link; every other one of the maximum size",
    rate: 1,
    open: 30,
    prepare: (target) => {
      const whole = many(20, () => ({ parameters: many(50, () => minuteTrend), preset: "last_7d" }))
      const allowed = { parameters: many(50, () => minuteTrend), preset: "last_hour" }
      return (index) =>
        query(target, index % 2 ? whole : allowed, {
          "x-databuddy-share": target.share,
          ...from(index, 4, "10.5.0"),
        })
    },
  },
  breakdowns: {
    title: "breakdowns by a property with 200,000 values, through a share link from ten addresses",
    rate: 1,
    open: 10,
    prepare: (target) => {
      const parameter = { name: "custom_events", by: ["property.item"], limit: 1_000 }
      return (index) =>
        query(
          target,
          { parameters: [parameter], preset: "last_7d" },
          { "x-databuddy-share": target.share, ...from(index, 10, "10.6.0") },
        )
    },
  },
  "wrong keys": {
    title: "unknown keys, from the address of honest clients",
    rate: 20,
    open: 50,
    prepare: (target) => (index) =>
      post(target, "/track", '{"name":"x"}', {
        authorization: `Bearer dbdy_${String(index).padStart(32, "0")}`,
        "x-forwarded-for": sharedAddress,
      }),
  },
  "wrong passwords": {
    title: "the owner's email with wrong passwords, from the address of honest clients",
    rate: 5,
    open: 20,
    prepare: (target) => (index) =>
      post(
        target,
        "/v1/login",
        JSON.stringify({ email: target.email, password: `wrong ${index} password` }),
        {
          "x-databuddy-page": "1",
          "x-forwarded-for": sharedAddress,
        },
      ),
  },
  hosts: {
    title: "Host headers that are short, invalid, a path or missing",
    rate: 20,
    open: 50,
    prepare: (target) => {
      const hosts = ["Host: x", "Host: nas", "Host: a/b", "Host: a@b", "Host: ", "X-None: 1", "Host: [::1"]
      return (index) =>
        raw(target, `GET /track?a=/v1/me HTTP/1.1\r\n${hosts[index % hosts.length]}\r\n\r\n`, { ms: 5_000 })
    },
  },
  names: {
    title: "1,000 new names per request",
    rate: 0.5,
    open: 10,
    prepare: (target) => (index) =>
      track(
        target,
        JSON.stringify(many(1_000, (name) => ({ name: `name_${index}_${name}` }))),
        from(index, 8, "10.10.0"),
      ),
  },
  "user agents": {
    title: "user agents of 8,000 characters, each different",
    rate: 10,
    open: 50,
    prepare: (target) => (index) =>
      track(target, '{"name":"viewed"}', {
        "user-agent": `${index}`.padEnd(8_000, "Mozilla/5.0 "),
        ...from(index, 10, "10.11.0"),
      }),
  },
  streams: {
    title: "event streams of one reader that are held open, every fourth a HEAD",
    rate: 5,
    open: 200,
    prepare: (target) => async (index) => {
      const response = await fetch(`http://127.0.0.1:${target.port}/v1/events/stream?website_id=all`, {
        method: index % 4 === 3 ? "HEAD" : "GET",
        headers: { authorization: `Bearer ${target.readerKey}`, ...from(index, 10, "10.12.0") },
        signal: AbortSignal.timeout(300_000),
      })
      // Streams stay open, but the clients stop reading.
      return response.status
    },
  },
  "slow bodies": {
    title: "bodies of 20 bytes that arrive at one byte per second",
    rate: 20,
    open: 400,
    prepare: (target) => (index) => {
      const head = `POST /track?website_id=${target.websiteId} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.13.0.${1 + (index % 4)}\r\n`
      return raw(target, `${head}Content-Length: 20\r\n\r\n{`, { ms: 20_000, trickle: " " })
    },
  },
  batches: {
    title: "1,000 events of 2 KB: as large as a body can be",
    rate: 0.3,
    open: 8,
    prepare: (target) => {
      const body = JSON.stringify(
        many(1_000, (n) => ({ name: "viewed", properties: { text: `${n} `.padEnd(2_000, "x") } })),
      )
      return (index) => track(target, body, from(index, 3, "10.14.0"))
    },
  },
  "slow readers": {
    title: "large responses that are not read, through a share link and with a reading key",
    rate: 1,
    open: 60,
    prepare: (target) => {
      const values = { name: "custom_events", by: ["property.item"], limit: 10_000 }
      const body = JSON.stringify({ parameters: [values], preset: "last_7d" })
      return (index) => {
        const credential =
          index % 2 ? `X-Databuddy-Share: ${target.share}` : `Authorization: Bearer ${target.readerKey}`
        const head = `POST /v1/query?website_id=${target.websiteId} HTTP/1.1\r\nHost: x\r\n${credential}\r\nX-Forwarded-For: 10.15.0.${1 + (index % 10)}\r\n`
        return raw(target, `${head}Content-Length: ${body.length}\r\n\r\n${body}`, {
          ms: 20_000,
          read: false,
        })
      }
    },
  },
} satisfies Record<string, Attack>

export type AttackName = keyof typeof attacks

export interface AttackReport {
  sent: number
  /** Number of requests by response status, or by what happened to requests without a response. */
  results: Record<string, number>
}

/** Prepares an attack. It runs from `start` until the process ends. */
export function runAttack(
  name: AttackName,
  target: Target,
): { start: () => void; report: () => AttackReport } {
  const { rate, open, prepare }: Attack = attacks[name]
  const send = prepare(target)
  const results: Record<string, number> = {}
  const count = (result: number | string) => {
    results[result] = (results[result] ?? 0) + 1
  }
  let [sent, waiting] = [0, 0]
  const run = async () => {
    const started = performance.now()
    for (let turn = 0; ; turn++) {
      const due = started + (turn * 1_000) / rate
      if (due > performance.now()) await Bun.sleep(due - performance.now())
      if (waiting >= open) {
        count("left out")
        continue
      }
      waiting++
      const settle = (result: number | string) => {
        waiting--
        count(result)
      }
      send(sent++).then(settle, () => settle("broken"))
    }
  }
  return {
    start: () => void run(),
    report: () => ({ sent, results: waiting > 0 ? { ...results, unanswered: waiting } : results }),
  }
}
