import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { createServer } from "node:net"
import { connect } from "node:tls"
import { eventually, type Server, startFailure, startServer, temporaryFolder } from "../harness.ts"
import { type AcmeServer, startAcmeServer } from "../support/acme-server.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"
import { openNotifySocket } from "../support/notify-socket.ts"

// The life of one server with --acme, in order: without a certificate, with its first one, after a restart, and after a
// renewal. test/integration/acme.test.ts has the details.

const name = "events.example.com"
const folder = temporaryFolder()
const db = folder.file("databuddy.db")
const socket = folder.file("notify")
const systemd = process.platform === "linux" ? openNotifySocket(socket) : undefined
let authority: AcmeServer
let server: Server
let [port, httpPort] = [0, 0]

beforeAll(async () => {
  authority = await startAcmeServer()
  ;[port, httpPort] = await freePorts()
  authority.challengePort = httpPort
  authority.behaviour.outage = 503
  server = await start()
})
afterAll(async () => {
  await server?.stop()
  systemd?.[Symbol.dispose]()
  authority[Symbol.dispose]()
  folder[Symbol.dispose]()
})

/** Two ports that nothing listens on. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()]
  const ports = await Promise.all(
    servers.map(
      (one) =>
        new Promise<number>((resolve) => {
          one.listen(0, "127.0.0.1", () => resolve((one.address() as { port: number }).port))
        }),
    ),
  )
  for (const one of servers) one.close()
  return [ports[0] ?? 0, ports[1] ?? 0]
}

const flags = () => [
  ...["--host", "127.0.0.1", "--port", String(port), "--acme", name, "--acme-http-port", String(httpPort)],
  ...["--acme-directory", authority.directory],
]
const start = () =>
  startServer({ db, args: [...flags(), "--metrics", "local"], env: { NOTIFY_SOCKET: socket } })

/** Runs a command with the flags of the server. */
async function databuddy(...args: string[]) {
  const run = Bun.spawn([binary, ...args], { env: environment(), stdout: "pipe", stderr: "pipe" })
  const [out, err] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()])
  return { out, err, code: await run.exited }
}
const where = () => flags().slice(0, 8)

/** Sends a request for the name to the server's address, and accepts only certificates of the authority. */
const secureFetch = (path: string, options: RequestInit = {}) =>
  fetch(`https://127.0.0.1:${port}${path}`, {
    ...options,
    headers: { ...Object(options.headers), Host: name },
    tls: { ca: authority.ca, checkServerIdentity: () => undefined, serverName: name },
  } as RequestInit)

/** Returns the serial number of the certificate that new connections get. */
function serialNumber(): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = connect({ host: "127.0.0.1", port, servername: name, ca: authority.ca }, () => {
      resolve(connection.getPeerCertificate().serialNumber)
      connection.destroy()
    })
    connection.once("error", reject)
  })
}

describe("without a certificate,", () => {
  test("the start message and the log say what is missing, and the server waits", async () => {
    expect(server.output()).toContain(
      `will listen on https://${name} as soon as it has a certificate, and stores data in ${db}`,
    )
    expect(server.output()).toContain(`  https://${name}/invite/`)
    await server.prints("no certificate yet; HTTPS starts once there is one")
    expect(server.output()).toMatch(/"error":"127\.0\.0\.1:\d+ answered 503","hint":"check the network/)
  })

  test("HTTP serves only health checks", async () => {
    await expect(fetch(`https://127.0.0.1:${port}/health`)).rejects.toThrow()
    expect(await databuddy("health", ...where())).toEqual({ out: "ok\n", err: "", code: 0 })
    const { err, code } = await databuddy("health", "--ready", ...where())
    expect([code, err.split("\n")[0]]).toEqual([
      1,
      `error: http://127.0.0.1:${httpPort}/ready: no_certificate`,
    ])
  })

  test.skipIf(!systemd)("systemd is told that the server has started, and what it is waiting for", () => {
    expect(systemd?.messages()).toEqual([
      "READY=1\nSTATUS=HTTPS not started: waiting for the first certificate (see the log)",
    ])
  })

  test("doctor reports that it is missing", async () => {
    const { out } = await databuddy("doctor", "--db", db, ...flags().slice(4, 6), ...flags().slice(8))
    expect(out).toContain("todo  https     there is no certificate yet")
  })
})

test("SIGHUP requests the certificate at once, and HTTPS starts", async () => {
  authority.behaviour.outage = undefined
  process.kill(server.pid, "SIGHUP")
  await server.prints('"message":"started HTTPS"')
  if (systemd) await eventually(() => systemd.messages().at(-1) === "READY=1\nSTATUS=accepting requests")
  const { status, headers } = await secureFetch("/health")
  expect([status, headers.get("strict-transport-security")]).toEqual([200, "max-age=31536000"])
  expect(await databuddy("health", "--ready", ...where())).toEqual({ out: "ready\n", err: "", code: 0 })
  const redirect = await fetch(`http://127.0.0.1:${httpPort}/track?x=1`, {
    headers: { Host: name },
    redirect: "manual",
  })
  expect([redirect.status, redirect.headers.get("location")]).toEqual([308, `https://${name}/track?x=1`])
  const body = '{"name":"hello","anonymousId":"a","sessionId":"s"}'
  const sent = await secureFetch("/track", {
    method: "POST",
    headers: { Authorization: `Bearer ${server.key}` },
    body,
  })
  expect(sent.status).toBe(200)
})

test("metrics and doctor report when the certificate expires", async () => {
  const text = await (await secureFetch("/metrics")).text()
  const [, seconds] = /^databuddy_certificate_expiry_timestamp_seconds (\d+)$/m.exec(text) ?? []
  const days = (Number(seconds) * 1_000 - Date.now()) / 86_400_000
  expect([Math.round(days), /^databuddy_certificate_failures_total (\d+)$/m.exec(text)?.[1]]).toEqual([
    90,
    "1",
  ])
  const { out } = await databuddy("doctor", "--json", "--db", db, ...flags().slice(4, 6), ...flags().slice(8))
  const { findings, facts } = JSON.parse(out)
  expect(Date.parse(facts.certificateExpires)).toBe(Number(seconds) * 1_000)
  expect(findings.find(({ about }: { about: string }) => about === "https").hint).toBeNull()
})

test("a restart uses the stored certificate", async () => {
  const [requests, serial] = [authority.counts.requests, await serialNumber()]
  expect(await server.stop()).toBe(0)
  server = await start()
  expect(server.output()).toContain(`listens on https://127.0.0.1:${port} and stores data in`)
  expect([authority.counts.requests, await serialNumber()]).toEqual([requests, serial])
})

test("a renewed certificate is used for new connections", async () => {
  const serial = await serialNumber()
  await server.stop()
  // Issues a certificate that expires in 10 s, so its renewal is due at the next start.
  Object.assign(authority.behaviour, { lifetime: 3_600_000, age: 3_590_000 })
  using other = temporaryFolder()
  server = await startServer({ db, args: [...flags(), "--acme-dir", other.path] })
  await server.prints('"message":"started HTTPS"')
  const first = await serialNumber()
  expect(first).not.toBe(serial)
  await server.stop()
  Object.assign(authority.behaviour, { lifetime: 90 * 86_400_000, age: 0 })
  server = await startServer({ db, args: [...flags(), "--acme-dir", other.path] })
  await server.prints('"message":"reloaded the certificate"')
  expect(await serialNumber()).not.toBe(first)
  expect((await secureFetch("/health")).status).toBe(200)
})

test("with an unusable port, the start fails before a certificate is requested", async () => {
  using other = temporaryFolder()
  const before = authority.counts.requests
  const used = String(new URL(authority.directory).port)
  for (const [flag, args] of [
    ["--port", ["--port", used]],
    ["--acme-http-port", ["--port", "0", "--acme-http-port", used]],
  ] as const) {
    const failure = await startFailure({ db: other.file("a.db"), args: [...flags(), ...args] })
    expect(failure).toContain(`error: port ${used} on 127.0.0.1 is used by another process`)
    expect(failure).toContain(`choose another ${flag}`)
  }
  expect(authority.counts.requests).toBe(before)
})
