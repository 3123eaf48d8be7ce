// Run with `bun run test:proxies [--restarts N] [--clients N] [--seed S] [caddy|haproxy|nginx]…`. Tests the proxy
// configurations of src/server/README.md with the real proxies: under load while the server restarts, and with the
// server below a path. Skips proxies that are not installed, and prints their names.
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { eventually, openReader, type Server, startServer, temporaryFolder } from "../harness.ts"
import { codeBlocks, readPage } from "../support/documentation.ts"
import { mulberry32, picker } from "../support/random.ts"

interface Place {
  folder: string
  /** Ports on which the proxy and the server listen. */
  front: number
  back: number
}

interface Proxy {
  command: (config: string) => string[]
  version: string[]
  /** Returns a code block of the page as a complete configuration, without TLS and with the test's ports. */
  config: (text: string, place: Place) => string
  /** Changes the page's configuration for a path as the page describes, so that the proxy removes the path. */
  removePath?: (text: string) => string
}

/** The page with the configurations. */
const documentation = readPage("src/server/README.md")
/** The names are those of the commands and of the page's code blocks. */
const proxies: Record<"caddy" | "haproxy" | "nginx", Proxy> = {
  caddy: {
    command: (config) => ["caddy", "run", "--adapter", "caddyfile", "--config", config],
    version: ["caddy", "version"],
    config: (text, { front }) =>
      `{\n\tadmin off\n\tauto_https off\n}\n${text.replace(/^\S*example\.com \{/, `http://127.0.0.1:${front} {`)}`,
    removePath: (text) => replaced(text, "handle /stats/*", "handle_path /stats/*"),
  },
  haproxy: {
    command: (config) => ["haproxy", "-db", "-f", config],
    version: ["haproxy", "-v"],
    config: (text, { front }) =>
      replaced(text, "bind :443 ssl crt /etc/haproxy/events.example.com.pem", `bind 127.0.0.1:${front}`),
  },
  nginx: {
    command: (config) => ["nginx", "-c", config, "-g", "daemon off;"],
    version: ["nginx", "-v"],
    config: (text, { folder, front }) => {
      const http = replaced(text, "listen 443 ssl;", `listen 127.0.0.1:${front};`).replace(
        /^\s*ssl_.*\n/gm,
        "",
      )
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((name) => `${name}_temp_path ${folder}/${name};`)
        .join(" ")
      // If root runs nginx, its workers would run as another user, who cannot read the folder.
      const user = process.getuid?.() === 0 ? "user root; " : ""
      // Debian loads modules this way.
      return `${user}include /etc/nginx/modules-enabled/*.conf;
error_log ${folder}/error.log; pid ${folder}/nginx.pid;
events {}
http { access_log off; ${temporary}
${http}}
`
    },
    removePath: (text) =>
      replaced(text, "proxy_pass http://127.0.0.1:4000;", "proxy_pass http://127.0.0.1:4000/;"),
  },
}

type Name = keyof typeof proxies
const names = Object.keys(proxies) as Name[]

/** Time between two restarts, and the downtime of the first restart and of the others, in ms. */
const quiet = 1_500
const longGap = 4_000
const shortGap = 200
/** Maximum time between two requests of a client, in ms. */
const pause = 20
/** Maximum padding in bytes. One in ten bodies is padded. */
const padding = 200_000
/** Timeout of a request in ms, longer than any of the proxies holds a request. */
const patience = 40_000

interface Report {
  /** Number of requests by the status of the response, or by the name of the error if there was no response. */
  answers: Record<string, number>
  /** Number of acknowledged events that are not stored, and of events that are stored more than once. */
  lost: number
  doubled: number
  /** Duration of the slowest request, in ms. */
  slowest: number
}

/**
 * Starts a proxy with a configuration from the page, and waits until it forwards requests to `path`. Returns a function
 * that stops it.
 */
async function startProxy(
  name: Name,
  text: string,
  place: Place,
  path: string,
): Promise<() => Promise<void>> {
  const { folder, front, back } = place
  const config = join(folder, "config")
  writeFileSync(config, proxies[name].config(text.replaceAll("127.0.0.1:4000", `127.0.0.1:${back}`), place))
  const [command = "", ...rest] = proxies[name].command(config)
  const proxy = spawn(command, rest, {
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let said = ""
  for (const stream of [proxy.stdout, proxy.stderr]) stream.on("data", (chunk) => (said += chunk))
  const ended = new Promise<void>((resolve) => proxy.once("exit", () => resolve()))
  const stop = () => {
    proxy.kill()
    return ended
  }
  const answers = () =>
    fetch(`http://127.0.0.1:${front}${path}`).then(
      ({ ok }) => ok,
      () => false,
    )
  await eventually(answers, { timeout: 10_000 }).catch(async () => {
    await stop()
    throw new Error(`${name} does not respond: ${said}`)
  })
  return stop
}

/** Returns the configurations of a proxy from the page: one for restarts, and one for a path if the page has it. */
function configurationsOf(name: Name): [restarts: string, path: string | undefined] {
  const [restarts, path, ...more] = codeBlocks(documentation, name)
  if (
    restarts === undefined ||
    (path !== undefined) !== (proxies[name].removePath !== undefined) ||
    more.length > 0
  )
    throw new Error(`src/server/README.md does not have the expected code blocks of ${name}`)
  return [restarts, path]
}

/** Tests a server with --base-path through a proxy. Throws if something does not work. */
async function runBelowPath(name: Name, text: string): Promise<void> {
  using folder = temporaryFolder()
  const place = { folder: folder.path, front: await freePort(), back: await freePort() }
  const args = ["--port", String(place.back), "--base-path", "/stats"]
  const server = await startServer({ db: folder.file("test.db"), args })
  const stopProxy = await startProxy(name, text, place, "/stats/health")
  const origin = `http://127.0.0.1:${place.front}`
  try {
    const page = await fetch(`${origin}/stats/w/all/overview`).then((response) => response.text())
    const script = / src="(\/stats\/[\w-]+\.js)"/.exec(page)?.[1] ?? ""
    const statuses: [path: string, status: number][] = [
      ["/stats", 200],
      ["/stats/", 200],
      [script, 200],
      ["/stats/databuddy.js", 200],
      ["/stats/docs", 200],
      ["/stats/nothing", 404],
      ["/health", 404],
      ["/statistics/", 404],
    ]
    for (const [path, status] of statuses) {
      const response = await fetch(origin + path)
      if (response.status !== status) throw new Error(`${path} got ${response.status} instead of ${status}`)
    }
    await hearsEvents(`${origin}/stats`, server.key)
    const invite = /\/invite\/([\w-]+)/.exec(server.output())?.[1]
    const accepted = await fetch(`${origin}/stats/v1/invites/${invite}`, {
      method: "POST",
      headers: { "x-databuddy-page": "1", "x-forwarded-proto": "https" },
      body: JSON.stringify({ email: "ann@example.com", password: "a long pass phrase" }),
    })
    const cookie = accepted.headers.get("set-cookie") ?? ""
    if (!cookie.includes("; Path=/stats;")) throw new Error(`the cookie is ${cookie}`)
  } finally {
    await stopProxy()
    await server.stop()
  }
}

async function run(name: Name, clients: number, restarts: number, seed: number): Promise<Report> {
  using folder = temporaryFolder()
  const [front, back] = [await freePort(), await freePort()]
  const args = ["--port", String(back), "--rate-limit", "0", ...unitFlags()]
  const start = () => startServer({ db: folder.file("test.db"), args })
  let server: Server = await start()
  const { key } = server
  const place = { folder: folder.path, front, back }
  const stopProxy = await startProxy(name, configurationsOf(name)[0], place, "/health")
  try {
    await hearsEvents(`http://127.0.0.1:${front}`, key)
    const load = {
      over: false,
      sent: 0,
      answers: {} as Report["answers"],
      stored: new Set<number>(),
      slowest: 0,
    }
    const sending = Array.from({ length: clients }, async (_, client) => {
      const pick = picker(mulberry32(seed + client))
      while (!load.over) {
        const id = load.sent++
        const filler = pick.chance(0.1) ? "x".repeat(pick.whole(1, padding)) : ""
        const body = JSON.stringify({ name: "sent", properties: { id }, ignored: filler })
        const begun = performance.now()
        const outcome = await fetch(`http://127.0.0.1:${front}/track`, {
          method: "POST",
          headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
          body,
          signal: AbortSignal.timeout(patience),
        }).then(
          async (answer) => (await answer.text()) && String(answer.status),
          (error: { code?: string; name: string }) => error.code ?? error.name,
        )
        load.answers[outcome] = (load.answers[outcome] ?? 0) + 1
        if (outcome === "200") load.stored.add(id)
        load.slowest = Math.max(load.slowest, performance.now() - begun)
        await Bun.sleep(pick.fraction() * pause)
      }
    })
    for (let restart = 0; restart < restarts; restart++) {
      await Bun.sleep(quiet)
      await server.stop()
      await Bun.sleep(restart === 0 ? longGap : shortGap)
      server = await start()
    }
    await Bun.sleep(quiet)
    load.over = true
    await Promise.all(sending)
    await server.stop()
    server = await startServer({ db: server.db, args: [...args, "--min-free", String(2 ** 50)] })
    await showsPagesOnFullDisk(front, key)
    await server.stop()
    const db = openReader(server.db)
    const rows = db
      .prepare(
        "select properties ->> 'id' as id, count(*) as times from events where name = 'sent' group by 1",
      )
      .all() as { id: number; times: number }[]
    db.close()
    const there = new Set(rows.map(({ id }) => id))
    return {
      answers: load.answers,
      lost: [...load.stored].filter((id) => !there.has(id)).length,
      doubled: rows.filter(({ times }) => times > 1).length,
      slowest: Math.round(load.slowest),
    }
  } finally {
    await stopProxy()
    await server.kill()
  }
}

/** Waits until the event stream shows an event. Fails if the proxy buffers the stream. */
async function hearsEvents(url: string, key: string): Promise<void> {
  const headers = { Authorization: `Bearer ${key}` }
  const stop = new AbortController()
  const stream = await fetch(`${url}/v1/events/stream?website_id=all`, {
    headers,
    signal: AbortSignal.any([stop.signal, AbortSignal.timeout(patience)]),
  })
  const sent = fetch(`${url}/track`, { method: "POST", headers, body: '{"name":"heard"}' })
  let heard = ""
  for await (const chunk of stream.body ?? []) {
    heard += new TextDecoder().decode(chunk)
    if (heard.includes("heard")) break
  }
  stop.abort()
  await sent
}

/** Checks that the proxy still forwards other requests while events get 503. */
async function showsPagesOnFullDisk(front: number, key: string): Promise<void> {
  const page = () => fetch(`http://127.0.0.1:${front}/`).then(({ status }) => status)
  await eventually(async () => (await page()) === 200, { timeout: patience })
  const headers = { Authorization: `Bearer ${key}` }
  const event = await fetch(`http://127.0.0.1:${front}/track`, {
    method: "POST",
    headers,
    body: '{"name":"full"}',
  })
  if (event.status !== 503) throw new Error(`on a full disk, an event got ${event.status}`)
}

/** Returns the flag with which the systemd unit delays the shutdown. */
function unitFlags(): string[] {
  const unit = readPage("src/release/linux/databuddy.service")
  const flag = /--shutdown-delay \d+/.exec(unit)?.[0]
  if (!flag) throw new Error("the systemd unit has no --shutdown-delay")
  return flag.split(" ")
}

function replaced(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`the configuration has no "${from}"`)
  return text.replace(from, to)
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    restarts: { type: "string", default: "8" },
    clients: { type: "string", default: "48" },
    seed: { type: "string", default: "20261128" },
  },
})
const say = (line: string) => process.stdout.write(`${line}\n`)
let failed = false
for (const name of names) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  if (!Bun.which(name)) {
    say(
      `${name}: skipped, it is not installed (apt-get install ${name === "nginx" ? "nginx libnginx-mod-http-echo" : name})`,
    )
    continue
  }
  const { stdout, stderr } = Bun.spawnSync(proxies[name].version)
  const version = `${stdout}${stderr}`.trim().split("\n")[0]
  const report = await run(name, Number(values.clients), Number(values.restarts), Number(values.seed))
  const { answers, lost, doubled } = report
  const good = Object.keys(answers).join() === "200" && lost === 0 && doubled === 0
  failed ||= !good
  say(`${name} (${version}): ${good ? "ok" : "FAILED"} ${JSON.stringify(report)}`)
  const [, path] = configurationsOf(name)
  for (const [way, text] of path === undefined
    ? []
    : ([
        ["keeps the path", path],
        ["removes the path", proxies[name].removePath?.(path) ?? ""],
      ] as const)) {
    const problem = await runBelowPath(name, text).then(
      () => undefined,
      (error: Error) => error.message,
    )
    failed ||= problem !== undefined
    say(`${name}, server below a path, ${way}: ${problem === undefined ? "ok" : `FAILED ${problem}`}`)
  }
}
process.exit(failed ? 1 : 0)
