import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:tls"
import { eventually, eventuallyPasses, type Server, startServer, temporaryFolder } from "../harness.ts"
import { openNotifySocket } from "../support/notify-socket.ts"

// SIGHUP reloads the certificate and the log level.

const folder = temporaryFolder()
const { file } = folder
let server: Server

function makeCertificate(name: string): void {
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`), "-subj", `/CN=${name}`, "-days", "30"],
    ...["-addext", "subjectAltName=IP:127.0.0.1"],
  ])
  if (!made.success) throw new Error(String(made.stderr))
}

function useCertificate(name: string): void {
  copyFileSync(file(`${name}.crt`), file("cert.pem"))
  copyFileSync(file(`${name}.key`), file("key.pem"))
}

/** Opens a connection. Returns the common name of the server's certificate, and the socket. */
async function open() {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false }, resolve)
  socket.once("error", reject)
  await promise
  return { name: socket.getPeerCertificate().subject.CN, socket }
}

async function certificateName(): Promise<string | string[] | undefined> {
  const { name, socket } = await open()
  socket.destroy()
  return name
}

const noTls = { tls: { rejectUnauthorized: false } }
const lines = (message: string) => server.output().split(message).length - 1

/** Sends SIGHUP, and waits until a message is logged again. */
async function reload(message: string): Promise<void> {
  const before = lines(message)
  process.kill(server.pid, "SIGHUP")
  await eventually(() => lines(message) > before)
}

beforeAll(() => {
  makeCertificate("first")
  makeCertificate("second")
})
beforeEach(async () => {
  useCertificate("first")
  rmSync(file("log-level"), { force: true })
  const tls = ["--tls-cert", file("cert.pem"), "--tls-key", file("key.pem")]
  server = await startServer({ db: file("a.db"), args: [...tls, "--log-level-file", file("log-level")] })
})
afterEach(async () => {
  expect(await server.stop()).toBe(0)
  // Without these files, the next start creates a key.
  for (const name of ["a.db", "a.db-wal", "a.db-shm"]) rmSync(file(name), { force: true })
})
afterAll(() => folder[Symbol.dispose]())

describe.skipIf(process.platform === "win32")("SIGHUP", () => {
  test("uses a renewed certificate for new connections, and finishes requests on existing ones", async () => {
    const headers = { authorization: `Bearer ${server.key}` }
    const stream = await fetch(`${server.url}/v1/events/stream?website_id=none`, { headers, ...noTls })
    expect(stream.status).toBe(200)
    const upload = await open()
    const body = '{"name":"during the reload","anonymousId":"a","sessionId":"s"}'
    upload.socket.write(
      `POST /track HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${server.key}\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 9)}`,
    )
    await Bun.sleep(100)
    useCertificate("second")
    await reload("reloaded the certificate")
    expect(server.output()).toMatch(/"reloaded the certificate","cert":".*cert.pem","valid_to":"\d{4}-/)
    expect(await certificateName()).toBe("second")

    let response = ""
    upload.socket.on("data", (data) => {
      response += data
    })
    upload.socket.write(body.slice(9))
    await eventually(() => response.includes('"status":"success"'))
    // The stream of the previous listener shows an event that the new one receives.
    const sent = await fetch(`${server.url}/track`, {
      method: "POST",
      headers,
      body: '{"name":"after the reload","anonymousId":"a","sessionId":"s"}',
      ...noTls,
    })
    expect(sent.status).toBe(200)
    let events = ""
    for await (const chunk of stream.body ?? []) {
      events += new TextDecoder().decode(chunk)
      if (events.includes("after the reload")) break
    }
    expect(events).toContain("during the reload")
  })

  const unusable: { sentence: string; write: () => void; error: string }[] = [
    {
      sentence: "the key of another certificate",
      write: () => copyFileSync(file("second.crt"), file("cert.pem")),
      error: "is not the key of the first certificate",
    },
    {
      sentence: "no certificate in the file",
      write: () => writeFileSync(file("cert.pem"), "no PEM\n"),
      error: "does not contain a PEM certificate",
    },
    { sentence: "no key file", write: () => rmSync(file("key.pem")), error: "cannot be read (ENOENT)" },
    {
      sentence: "a damaged issuer certificate",
      write: () => {
        useCertificate("second")
        const damaged = readFileSync(file("first.crt"), "utf8").replace("\nMII", "\nAAA")
        writeFileSync(file("cert.pem"), readFileSync(file("second.crt"), "utf8") + damaged)
      },
      error: "--tls-cert and --tls-key cannot be used",
    },
  ]
  test.each(unusable)("keeps the certificate in use if there is $sentence", async ({ write, error }) => {
    write()
    await reload("the previous certificate stays in use")
    expect(server.output()).toContain(error)
    expect(server.output()).toContain('"hint":"')
    expect(await certificateName()).toBe("first")
    useCertificate("second")
    await reload("reloaded the certificate")
    expect(await certificateName()).toBe("second")
  })

  test("keeps idle connections if the certificate is the same", async () => {
    const { socket } = await open()
    await reload("reloaded the certificate, which is unchanged")
    let response = ""
    socket.on("data", (data) => {
      response += data
    })
    socket.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await eventually(() => response.includes('{"status":"ok"}'))
    socket.destroy()
  })

  test("can be repeated without a warning", async () => {
    for (let round = 0; round < 12; round++) {
      useCertificate(round % 2 ? "first" : "second")
      await reload("reloaded the certificate")
    }
    expect(server.output()).not.toContain("Warning")
    expect(await certificateName()).toBe("first")
  })

  test("reloads the log level from a file, which need not exist", async () => {
    writeFileSync(file("log-level"), "warn\n")
    await reload('"reloaded the log level","log_level":"warn","previous":"info"')
    useCertificate("second")
    writeFileSync(file("log-level"), "loud\n")
    await reload(
      `the previous log level stays in use: --log-level-file ${file("log-level")} does not contain`,
    )
    // The level hides the line about the certificate, which is reloaded after the level.
    await eventuallyPasses(async () => expect(await certificateName()).toBe("second"))
    expect(server.output()).not.toContain('"reloaded the certificate",')
    rmSync(file("log-level"))
    await reload('"reloaded the log level","log_level":"info","previous":"warn"')
    await reload("reloaded the certificate")
  })

  test.skipIf(process.platform !== "linux")("tells systemd when a reload starts and ends", async () => {
    const name = file("notify")
    using socket = openNotifySocket(name)
    const plain = await startServer({ db: file("plain.db"), env: { NOTIFY_SOCKET: name } })
    process.kill(plain.pid, "SIGHUP")
    await eventually(() => socket.messages().length === 3)
    await plain.stop()
    expect(socket.messages().map((message) => message.split("\n")[0])).toEqual([
      "READY=1",
      "RELOADING=1",
      "READY=1",
      "STOPPING=1",
    ])
  })
})
