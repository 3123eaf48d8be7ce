import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { readTls } from "../../src/server/tls.ts"
import { type Server, startFailure, startServer, temporaryFolder } from "../harness.ts"

// TLS without a proxy, and the security headers of every kind of response, with and without TLS.

const folder = temporaryFolder()
const { file } = folder
let ca = ""
let plain: Server
let secure: Server

/** Creates a self-signed certificate for 127.0.0.1 and one name, in `NAME.crt` and `NAME.key`. */
function makeCertificate(name: string, days: string, dnsName = "localhost"): void {
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`), "-subj", "/CN=databuddy test"],
    ...["-days", days, "-addext", `subjectAltName=IP:127.0.0.1,DNS:${dnsName}`],
  ])
  if (!made.success) throw new Error(String(made.stderr))
}

const tlsArgs = (cert: string, key: string) => ["--tls-cert", file(cert), "--tls-key", file(key)]

beforeAll(async () => {
  makeCertificate("own", "3650")
  makeCertificate("other", "3650")
  const encrypted = ["-aes256", "-passout", "pass:secret", "-out", file("encrypted.key")]
  Bun.spawnSync(["openssl", "pkey", "-in", file("own.key"), ...encrypted])
  writeFileSync(file("no.pem"), "no PEM\n")
  writeFileSync(file("damaged.crt"), readFileSync(file("own.crt"), "utf8").replace(/[A-Z]{4}/, "AAAA"))
  ca = readFileSync(file("own.crt"), "utf8")
  plain = await startServer({ db: file("plain.db"), args: ["--metrics", "local"] })
  secure = await startServer({
    db: file("secure.db"),
    args: [...tlsArgs("own.crt", "own.key"), "--metrics", "local"],
  })
})

afterAll(async () => {
  await Promise.all([plain?.stop(), secure?.stop()])
  folder[Symbol.dispose]()
})

test("the curl command of the start message works with a self-signed certificate", async () => {
  const line = /^ {2}(curl .*)$/m.exec(secure.output())?.[1] ?? ""
  expect(line).toContain(
    `--cacert ${file("own.crt")} -X POST "https://localhost:${secure.port}/track?website_id=`,
  )
  expect(secure.output()).toContain(`  https://localhost:${secure.port}/invite/`)
  const curl = Bun.spawnSync(["sh", "-c", `${line} --silent --show-error --noproxy '*'`])
  expect(String(curl.stderr)).toBe("")
  expect(String(curl.stdout)).toBe('{"status":"success","type":"custom_event","count":1}')
})

test("events are stored over TLS, and plain HTTP gets no response", async () => {
  const headers = { Authorization: `Bearer ${secure.key}` }
  const body = '{"name":"sent"}'
  const answer = await fetch(`${secure.url}/track`, { method: "POST", headers, body, tls: { ca } })
  expect(answer.status).toBe(200)
  await expect(fetch(`http://127.0.0.1:${secure.port}/health`)).rejects.toThrow()
  await expect(fetch(`${secure.url}/health`)).rejects.toThrow()
})

describe("a start fails with a hint and creates no database:", () => {
  const refused: { sentence: string; args: () => string[]; error: string; hint: string }[] = [
    {
      sentence: "a certificate without a key",
      args: () => ["--tls-cert", file("own.crt")],
      error: "--tls-cert is set without --tls-key",
      hint: "set both",
    },
    {
      sentence: "a key without a certificate",
      args: () => ["--tls-key", file("own.key")],
      error: "--tls-key is set without --tls-cert",
      hint: "set both",
    },
    {
      sentence: "a missing certificate file",
      args: () => tlsArgs("none.crt", "own.key"),
      error: `--tls-cert ${file("none.crt")} cannot be read (ENOENT)`,
      hint: "choose a file that the system user running databuddy can read",
    },
    {
      sentence: "a key that is a folder",
      args: () => tlsArgs("own.crt", "."),
      error: `--tls-key ${file(".")} cannot be read (EISDIR)`,
      hint: "choose a file",
    },
    {
      sentence: "a file without a certificate",
      args: () => tlsArgs("no.pem", "own.key"),
      error: `--tls-cert ${file("no.pem")} does not contain a PEM certificate`,
      hint: "-----BEGIN CERTIFICATE-----",
    },
    {
      sentence: "a damaged certificate",
      args: () => tlsArgs("damaged.crt", "own.key"),
      error: `--tls-cert ${file("damaged.crt")} does not contain a PEM certificate`,
      hint: "-----BEGIN CERTIFICATE-----",
    },
    {
      sentence: "a certificate in place of the key",
      args: () => tlsArgs("own.crt", "own.crt"),
      error: `--tls-key ${file("own.crt")} does not contain a PEM private key`,
      hint: "openssl pkey",
    },
    {
      sentence: "a key with a passphrase",
      args: () => tlsArgs("own.crt", "encrypted.key"),
      error: `--tls-key ${file("encrypted.key")} is encrypted`,
      hint: "openssl pkey",
    },
    {
      sentence: "the key of another certificate",
      args: () => tlsArgs("own.crt", "other.key"),
      error: `--tls-key ${file("other.key")} is not the key of the first certificate in --tls-cert ${file("own.crt")}`,
      hint: "use the key of the server's certificate",
    },
  ]
  test.each(refused)("$sentence", async ({ args, error, hint }) => {
    const failure = await startFailure({ db: file("none.db"), args: args() })
    expect(failure).toContain(`error: ${error}`)
    expect(failure).toMatch(new RegExp(`hint: .*${hint}`))
    expect(failure).toContain("serve ended with 1 ")
    expect(await Bun.file(file("none.db")).exists()).toBe(false)
  })
})

test("an expired or not yet valid certificate is detected", () => {
  const tls = readTls({ tlsCert: file("own.crt"), tlsKey: file("own.key") })
  const day = 86_400_000
  expect(tls?.validityProblem(Date.now())).toBeUndefined()
  expect(tls?.validityProblem(Date.now() + 3_651 * day)).toMatch(
    /^the certificate expired on .*: clients will reject it$/,
  )
  expect(tls?.validityProblem(Date.now() - day)).toMatch(
    /^the certificate is not valid before .*: clients will reject it until/,
  )
})

test("the start message shows the host name of the certificate", async () => {
  makeCertificate("named", "1", "events.example.com")
  const server = await startServer({ db: file("named.db"), args: tlsArgs("named.crt", "named.key") })
  expect(server.output()).toContain(` listens on https://127.0.0.1:${server.port} `)
  expect(server.output()).toContain(` "https://events.example.com:${server.port}/track?website_id=`)
  await server.stop()
})

/** A kind of response, and its headers besides those of every response. `undefined` means that a header is absent. */
interface Kind {
  kind: string
  request: (server: Server) => Promise<Response> | Response
  status: number
  headers: Record<string, string | undefined>
}

const ask =
  (path: string, init: RequestInit = {}) =>
  (server: Server) =>
    fetch(server.url + path, { ...init, tls: { ca } })
const withKey =
  (path: string, init: RequestInit = {}) =>
  (server: Server) =>
    ask(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${server.key}` } })(server)
const json = "application/json"
const noStore = { "cache-control": "no-store", "access-control-allow-origin": undefined }
const page = {
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "access-control-allow-origin": undefined,
}
const origin = "https://page.example"
const echoed = { "access-control-allow-origin": origin, vary: "Origin" }

const kinds: Kind[] = [
  {
    kind: "a stored event",
    request: withKey("/track", { method: "POST", body: '{"name":"a"}', headers: { origin } }),
    status: 200,
    headers: { "content-type": json, ...echoed },
  },
  {
    kind: "a rejected event",
    request: ask("/track", { method: "POST", body: "{" }),
    status: 400,
    headers: { "content-type": json, "access-control-allow-origin": undefined },
  },
  {
    kind: "a rejected profile",
    request: ask("/identify", { method: "POST", body: '{"profileId":"p"}', headers: { origin } }),
    status: 400,
    headers: { "content-type": json, ...echoed },
  },
  {
    kind: "a preflight",
    request: ask("/track", { method: "OPTIONS", headers: { origin } }),
    status: 204,
    headers: { ...echoed },
  },
  { kind: "health", request: ask("/health"), status: 200, headers: { "content-type": json, ...noStore } },
  { kind: "readiness", request: ask("/ready"), status: 200, headers: { "content-type": json, ...noStore } },
  {
    kind: "the metrics",
    request: ask("/metrics"),
    status: 200,
    headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8", ...noStore },
  },
  {
    kind: "a list of websites",
    request: withKey("/v1/websites", { headers: { origin } }),
    status: 200,
    headers: { "content-type": json, ...noStore },
  },
  {
    kind: "a new key",
    request: withKey("/v1/keys", {
      method: "POST",
      body: '{"name":"k"}',
      headers: { "content-type": json },
    }),
    status: 201,
    headers: { "content-type": json, ...noStore },
  },
  {
    kind: "the rejected requests",
    request: withKey("/v1/refusals"),
    status: 200,
    headers: { "content-type": json, ...noStore },
  },
  {
    kind: "an error of the admin API",
    request: ask("/v1/keys", { headers: { origin } }),
    status: 401,
    headers: { "content-type": json, ...noStore },
  },
  {
    kind: "an unknown path of the admin API",
    request: ask("/v1/none"),
    status: 404,
    headers: { "content-type": json, ...noStore },
  },
  { kind: "an unknown path", request: ask("/none"), status: 404, headers: { "content-type": json } },
  {
    kind: "the API documentation",
    request: ask("/docs"),
    status: 200,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      ...page,
    },
  },
  {
    kind: "the script of the API documentation",
    request: async (server) => {
      const html = await (await ask("/docs")(server)).text()
      return ask(/src="(\/docs\/[^"]+)"/.exec(html)?.[1] ?? "")(server)
    },
    status: 200,
    headers: { "content-type": "text/javascript; charset=utf-8", ...page },
  },
  {
    kind: "the OpenAPI document",
    request: ask("/openapi.json"),
    status: 200,
    headers: { "content-type": json, ...page },
  },
]

describe("the headers of", () => {
  for (const { kind, request, status, headers } of kinds) {
    test(`${kind} include nosniff, no software name, and HSTS only over TLS`, async () => {
      for (const server of [plain, secure]) {
        const answer = await request(server)
        expect(answer.status).toBe(status)
        const expected = {
          "x-content-type-options": "nosniff",
          "strict-transport-security": server === secure ? "max-age=31536000" : undefined,
          server: undefined,
          "x-powered-by": undefined,
          ...headers,
        }
        const found = Object.keys(expected).map((name) => [name, answer.headers.get(name) ?? undefined])
        expect(Object.fromEntries(found)).toEqual(expected)
      }
    })
  }
})
