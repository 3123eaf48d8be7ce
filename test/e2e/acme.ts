// bun run test:acme: tests certificates from Pebble, Let's Encrypt's ACME server for tests (apt-get install pebble):
// the first one, renewals under load, a restart, and an authority that is down. Needs openssl. Pebble rejects a fifth
// of all nonces, waits before it checks a name, and issues certificates that are valid for 24 s.
import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { connect } from "node:tls"
import { eventually, openReader, type Server, startServer, temporaryFolder } from "../harness.ts"
import { environment } from "../support/environment.ts"

const missing = ["pebble", "pebble-challtestsrv", "openssl"].filter((program) => !Bun.which(program))
if (missing.length > 0) {
  process.stderr.write(`${missing.join(", ")} not found: apt-get install pebble openssl\n`)
  process.exit(1)
}

const names = ["events.example.com", "stats.example.com"]
/** Seconds for which a certificate is valid: it is renewed every 16 s. */
const lifetime = 24
/** Number of renewals under load, and of clients that post without a pause. */
const [renewals, clients] = [3, 12]
/** Options for `eventually`, in ms. Pebble waits up to 3 s before it checks a name. */
const patient = { timeout: 90_000, pause: 20 }

using folder = temporaryFolder()
const { file } = folder
const db = file("databuddy.db")
const [acmePort, managementPort, dnsPort, dnsManagementPort, port, httpPort] = await freePorts(6)

writePebbleFiles()
const dns = spawn([
  ...[
    "pebble-challtestsrv",
    "-defaultIPv4",
    "127.0.0.1",
    "-defaultIPv6",
    "",
    "-dns01",
    `127.0.0.1:${dnsPort}`,
  ],
  ...["-management", `127.0.0.1:${dnsManagementPort}`, "-http01", "", "-https01", "", "-tlsalpn01", ""],
])
let pebble = await startPebble()
let server: Server | undefined

try {
  await report("the first certificate has both names, and clients trust it", async () => {
    const started = performance.now()
    server = await serve()
    const waiting = await fetch(`http://127.0.0.1:${httpPort}/`, { headers: { Host: names[0] ?? "" } })
    expectTrue(waiting.status === 503, `before the certificate: ${waiting.status}`)
    await printed("started HTTPS")
    const took = performance.now() - started
    for (const name of names) await verifiedSerial(name)
    return `${(took / 1_000).toFixed(1)} s after the start, including the checks of the names`
  })

  await report(`${renewals} renewals, while ${clients} clients post without a pause`, async () => {
    const { key, pid } = running()
    const headers = { Authorization: `Bearer ${key}` }
    const tls = { rejectUnauthorized: false }
    const url = `https://127.0.0.1:${port}`
    const stream = await fetch(`${url}/v1/events/stream?website_id=none`, { headers, tls })
    let streamed = ""
    const reading = (async () => {
      const decoder = new TextDecoder()
      // Only the end of the stream matters.
      for await (const chunk of stream.body ?? [])
        streamed = (streamed + decoder.decode(chunk)).slice(-10_000)
      streamed = "the stream was closed"
    })()
    const counts = { stored: 0, reset: 0, other: 0 }
    const serials = new Set([await verifiedSerial(names[0] ?? "")])
    let isDone = false
    const post = async () => {
      while (!isDone) {
        const body = JSON.stringify({ name: "during renewals", eventId: crypto.randomUUID() })
        const status = await fetch(`${url}/track`, { method: "POST", headers, tls, body }).then(
          (response) => response.status,
          () => 0,
        )
        counts[status === 200 ? "stored" : status === 0 ? "reset" : "other"]++
      }
    }
    const posting = Array.from({ length: clients }, post)
    for (let renewal = 1; renewal <= renewals; renewal++) {
      await printed("reloaded the certificate", renewal)
      serials.add(await verifiedSerial(names[1] ?? ""))
    }
    isDone = true
    await Promise.all(posting)
    expectTrue(serials.size === renewals + 1, `${serials.size} different certificates`)
    expectTrue(counts.other === 0, `${counts.other} requests were rejected`)
    const rows = countRows()
    expectTrue(rows >= counts.stored, `${rows} of ${counts.stored} events are stored`)
    await fetch(`${url}/track`, { method: "POST", headers, tls, body: '{"name":"after renewals"}' })
    await eventually(() => streamed.includes("after renewals"), patient).catch(() => {
      throw new Error(`the event stream does not continue: ${streamed.slice(-300)}`)
    })
    void reading
    return `${counts.stored} requests stored, ${counts.reset} reset, the event stream of the first certificate is open; ${residentMegabytes(pid)} MB resident`
  })

  await report("a restart serves the stored certificate at once, without a request", async () => {
    const serial = await verifiedSerial(names[0] ?? "")
    await running().stop()
    server = await serve()
    expectTrue(!server.output().includes("will listen"), "it waits for a certificate")
    expectTrue((await verifiedSerial(names[0] ?? "")) === serial, "the certificate has changed")
    return undefined
  })

  await report(
    "while the authority is down, the certificate stays in use; when it is back without its data, it issues a new one",
    async () => {
      pebble.kill("SIGKILL")
      await pebble.exited
      await printed("the certificate was not renewed")
      const [line = ""] = /.*the certificate was not renewed.*/.exec(running().output()) ?? []
      await serial()
      pebble = await startPebble()
      process.kill(running().pid, "SIGHUP")
      await printed("reloaded the certificate", 1)
      for (const name of names) await verifiedSerial(name)
      return JSON.parse(line).error
    },
  )

  await report("a name that the authority cannot verify: the log suggests what to do", async () => {
    await running().stop()
    const [wrongPort] = await freePorts(1)
    server = await serve(["--acme-http-port", String(wrongPort), "--acme-dir", file("other")])
    await printed("no certificate yet")
    const [line = ""] = /.*no certificate yet.*/.exec(running().output()) ?? []
    const { error, hint } = JSON.parse(line)
    return `${error} → ${hint}`
  })
} finally {
  await server?.stop()
  for (const child of [pebble, dns]) {
    child.kill()
    await child.exited
  }
}

function serve(more: string[] = []): Promise<Server> {
  return startServer({
    db,
    args: [
      ...[
        "--host",
        "127.0.0.1",
        "--port",
        String(port),
        "--acme",
        names.join(","),
        "--acme-http-port",
        String(httpPort),
      ],
      ...[
        "--acme-directory",
        `https://127.0.0.1:${acmePort}/dir`,
        "--acme-email",
        "ops@example.com",
        ...more,
      ],
    ],
    env: { NODE_EXTRA_CA_CERTS: file("pebble.crt") },
  })
}

function running(): Server {
  if (!server) throw new Error("no server is running")
  return server
}

async function printed(message: string, times = 1): Promise<void> {
  await eventually(() => running().output().split(`"message":"${message}`).length > times, patient).catch(
    () => {
      throw new Error(`"${message}" is not in the log ${times} times: ${running().output()}`)
    },
  )
}

/**
 * Returns the serial number of the certificate for a name in new connections. Rejects if Pebble's root is not its
 * issuer.
 */
async function verifiedSerial(name: string): Promise<string> {
  const tls = { ca: readFileSync(file("pebble.crt"), "utf8") }
  const root = await (await fetch(`https://127.0.0.1:${managementPort}/roots/0`, { tls })).text()
  return serial({ servername: name, ca: root })
}

function serial(
  options: { servername?: string; ca?: string; rejectUnauthorized?: false } = { rejectUnauthorized: false },
) {
  return new Promise<string>((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ...options }, () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    })
    socket.once("error", reject)
  })
}

/** Writes the certificate for Pebble's own HTTPS server, and Pebble's settings. */
function writePebbleFiles(): void {
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", file("pebble.key"), "-out", file("pebble.crt"), "-subj", "/CN=pebble", "-days", "3650"],
    ...["-addext", "subjectAltName=IP:127.0.0.1"],
  ])
  expectTrue(made.success, made.stderr.toString())
  const settings = {
    listenAddress: `127.0.0.1:${acmePort}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: file("pebble.crt"),
    privateKey: file("pebble.key"),
    httpPort,
    tlsPort: port,
    certificateValidityPeriod: lifetime,
  }
  writeFileSync(file("pebble.json"), JSON.stringify({ pebble: settings }))
}

async function startPebble(): Promise<Bun.Subprocess> {
  const child = spawn([
    "pebble",
    "-strict",
    "-config",
    file("pebble.json"),
    "-dnsserver",
    `127.0.0.1:${dnsPort}`,
  ])
  const tls = { rejectUnauthorized: false }
  const answers = () =>
    fetch(`https://127.0.0.1:${acmePort}/dir`, { tls }).then(
      ({ ok }) => ok,
      () => false,
    )
  await eventually(answers, patient)
  return child
}

function spawn(command: string[]): Bun.Subprocess {
  const env = environment({ PEBBLE_WFE_NONCEREJECT: "20", PEBBLE_VA_SLEEPTIME: "3" })
  return Bun.spawn(command, { env, stdio: ["ignore", "ignore", "ignore"] })
}

function countRows(): number {
  const reader = openReader(db)
  try {
    const { count } = reader.prepare("select count(*) as count from event_rows").get() as { count: number }
    return count
  } finally {
    reader.close()
  }
}

function residentMegabytes(pid: number): number {
  const [, kilobytes = "0"] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? []
  return Math.round(Number(kilobytes) / 1_024)
}

/** Ports that nothing listens on. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      (one) =>
        new Promise<number>((resolve) => {
          one.listen(0, "127.0.0.1", () => resolve((one.address() as { port: number }).port))
        }),
    ),
  )
  await Promise.all(servers.map((one) => new Promise((resolve) => one.close(resolve))))
  return ports
}

async function report(what: string, work: () => Promise<string | undefined>): Promise<void> {
  const detail = await work()
  process.stdout.write(`ok  ${what}${detail ? `: ${detail}` : ""}\n`)
}

function expectTrue(condition: boolean, problem: string): void {
  if (!condition) throw new Error(problem)
}
