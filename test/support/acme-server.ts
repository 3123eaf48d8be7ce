import { createHash, createPublicKey, verify } from "node:crypto"
import * as x509 from "@peculiar/x509"

/** How the server behaves. Changes apply to the next requests. */
export interface AcmeBehaviour {
  /** If set, new orders are rejected with `rateLimited` and this Retry-After. */
  rateLimit: string | undefined
  /** If set, every request gets a response with this status and no problem document. */
  outage: number | undefined
  /** Number of nonces that are rejected next. */
  badNonces: number
  /** Names in certificates. Undefined for the names in the order. */
  issuedNames: readonly string[] | undefined
  /** Time since the start of a new certificate's validity, in ms. */
  age: number
  /** Validity period of a certificate, in ms. */
  lifetime: number
}

/** An ACME server (RFC 8555) in the test's process. Checks signatures, nonces and names, and signs with its own key. */
export interface AcmeServer {
  directory: string
  /** The certificate of the authority, in PEM. */
  ca: string
  behaviour: AcmeBehaviour
  /** Names of each issued certificate. */
  issued: string[][]
  /** Number of orders, including failed ones, and number of requests of any kind. */
  counts: { orders: number; requests: number }
  /** Contacts by account. */
  accounts: Map<string, string[]>
  /** The port to which the server connects to verify challenges. */
  challengePort: number
  [Symbol.dispose](): void
}

interface Authorization {
  name: string
  token: string
  thumbprint: string
  status: "pending" | "valid" | "invalid"
  error?: { type: string; detail: string }
}

interface Order {
  authorizations: string[]
  names: string[]
  certificate?: string
}

interface Jws {
  payload: Record<string, unknown>
  /** Thumbprint of the account's key. */
  thumbprint: string
}

const day = 86_400_000
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
const prefix = "urn:ietf:params:acme:error:"

type Jwk = Record<"crv" | "kty" | "x" | "y", string>

/** `now`: the clock of the authority. */
export async function startAcmeServer(now: () => number = Date.now): Promise<AcmeServer> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=databuddy test authority",
    notBefore: new Date(now() - 3_650 * day),
    notAfter: new Date(now() + 3_650 * day),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, 1, true)],
  })
  const nonces = new Set<string>()
  const authorizations = new Map<string, Authorization>()
  const orders = new Map<string, Order>()
  const behaviour: AcmeBehaviour = {
    rateLimit: undefined,
    outage: undefined,
    badNonces: 0,
    issuedNames: undefined,
    age: 0,
    lifetime: 90 * day,
  }
  const server: AcmeServer = {
    directory: "",
    ca: authority.toString("pem"),
    behaviour,
    issued: [],
    counts: { orders: 0, requests: 0 },
    accounts: new Map(),
    challengePort: 0,
    [Symbol.dispose]: () => void listener.stop(true),
  }

  const respond = (body: unknown, status = 200, headers: Record<string, string> = {}) => {
    const nonce = crypto.randomUUID()
    nonces.add(nonce)
    const text = typeof body === "string" ? body : JSON.stringify(body)
    return new Response(text, { status, headers: { "Replay-Nonce": nonce, ...headers } })
  }
  const reject = (status: number, type: string, detail: string, headers?: Record<string, string>) =>
    respond({ type: prefix + type, detail }, status, headers)
  const url = (path: string) => `${listener.url.origin}/${path}`

  /** Verifies a request and returns its content. If it is invalid, returns the response. */
  const open = async (request: Request): Promise<Jws | Response> => {
    const {
      protected: header = "",
      payload = "",
      signature = "",
    } = (await request.json()) as Record<string, string>
    const { alg, nonce, url, jwk, kid } = decode(header) as Record<string, string> & { jwk?: Jwk }
    if (behaviour.badNonces-- > 0 || !nonces.delete(nonce ?? ""))
      return reject(400, "badNonce", "unknown nonce")
    behaviour.badNonces = Math.max(0, behaviour.badNonces)
    if (alg !== "ES256" || url !== request.url) return reject(400, "malformed", "wrong algorithm or URL")
    const thumbprint = jwk ? thumbprintOf(jwk) : (kid ?? "").split("/").at(-1)
    const key = jwk ?? knownKeys.get(thumbprint ?? "")
    if (!key || !thumbprint) return reject(400, "accountDoesNotExist", "unknown account")
    const publicKey = createPublicKey({ key, format: "jwk" })
    const signed = Buffer.from(`${header}.${payload}`)
    const isValid = verify(
      "sha256",
      signed,
      { key: publicKey, dsaEncoding: "ieee-p1363" },
      Buffer.from(signature, "base64url"),
    )
    if (!isValid) return reject(400, "malformed", "wrong signature")
    knownKeys.set(thumbprint, key)
    return { payload: payload === "" ? {} : (decode(payload) as Record<string, unknown>), thumbprint }
  }
  const knownKeys = new Map<string, Jwk>()

  const shownOrder = (id: string, { authorizations: ids, names, certificate }: Order) => {
    const all = ids.map((one) => authorizations.get(one)?.status)
    const pending = all.every((status) => status === "valid") ? "ready" : "pending"
    const status = all.includes("invalid") ? "invalid" : certificate ? "valid" : pending
    return {
      status,
      identifiers: names.map((value) => ({ type: "dns", value })),
      authorizations: ids.map((one) => url(`authorization/${one}`)),
      finalize: url(`finalize/${id}`),
      ...(certificate ? { certificate: url(`certificate/${id}`) } : {}),
    }
  }
  const shownChallenge = (id: string, { token, status, error }: Authorization) => ({
    type: "http-01",
    url: url(`challenge/${id}`),
    token,
    status,
    ...(error ? { error } : {}),
  })

  /** Requests the challenge file of a name. Its server is always on this machine. */
  const validate = async (authorization: Authorization) => {
    const { name, token, thumbprint } = authorization
    const path = `/.well-known/acme-challenge/${token}`
    try {
      const options = { headers: { Host: name }, redirect: "manual" } as const
      const response = await fetch(`http://127.0.0.1:${server.challengePort}${path}`, options)
      const text = (await response.text()).trim()
      if (text === `${token}.${thumbprint}`) authorization.status = "valid"
      else {
        authorization.error = {
          type: `${prefix}unauthorized`,
          detail: `${name}: wrong answer to the challenge`,
        }
        authorization.status = "invalid"
      }
    } catch {
      authorization.error = { type: `${prefix}connection`, detail: `${name}: connection refused` }
      authorization.status = "invalid"
    }
  }

  const sign = async (csr: x509.Pkcs10CertificateRequest, names: readonly string[]) => {
    const start = now() - behaviour.age
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString("hex"),
      issuer: authority.subject,
      notBefore: new Date(start),
      notAfter: new Date(start + behaviour.lifetime),
      publicKey: csr.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value }))),
      ],
    })
    return `${certificate.toString("pem")}\n${server.ca}\n`
  }

  const answer = async (request: Request): Promise<Response> => {
    server.counts.requests++
    if (behaviour.outage) return new Response("<h1>Unavailable</h1>", { status: behaviour.outage })
    const [, kind = "", id = ""] = new URL(request.url).pathname.split("/")
    if (kind === "directory") {
      return respond({ newNonce: url("nonce"), newAccount: url("account"), newOrder: url("order") })
    }
    if (kind === "nonce") return respond("")
    if (request.method !== "POST") return reject(405, "malformed", "wrong method")
    const jws = await open(request)
    if (jws instanceof Response) return jws
    const { payload, thumbprint } = jws
    if (kind === "account") {
      if (payload.termsOfServiceAgreed !== true)
        return reject(403, "userActionRequired", "agree to the terms")
      const isNew = !server.accounts.has(thumbprint)
      server.accounts.set(thumbprint, (payload.contact ?? []) as string[])
      return respond({ status: "valid" }, isNew ? 201 : 200, { Location: url(`account/${thumbprint}`) })
    }
    if (!server.accounts.has(thumbprint)) return reject(400, "accountDoesNotExist", "unknown account")
    if (kind === "order" && id === "") {
      server.counts.orders++
      if (behaviour.rateLimit !== undefined) {
        return reject(429, "rateLimited", "too many certificates", { "Retry-After": behaviour.rateLimit })
      }
      const names = (payload.identifiers as { value: string }[]).map(({ value }) => value)
      const ids = names.map((name) => {
        const one = crypto.randomUUID()
        authorizations.set(one, { name, token: crypto.randomUUID(), thumbprint, status: "pending" })
        return one
      })
      const created = crypto.randomUUID()
      const order = { authorizations: ids, names }
      orders.set(created, order)
      return respond(shownOrder(created, order), 201, { Location: url(`order/${created}`) })
    }
    const authorization = authorizations.get(id)
    if (kind === "authorization" && authorization) {
      const { name, status } = authorization
      return respond({
        identifier: { type: "dns", value: name },
        status,
        challenges: [shownChallenge(id, authorization)],
      })
    }
    if (kind === "challenge" && authorization) {
      if (request.headers.get("content-type") !== "application/jose+json")
        return reject(415, "malformed", "type")
      // Further requests only ask for the status.
      if (authorization.status === "pending") await validate(authorization)
      return respond(shownChallenge(id, authorization))
    }
    const order = orders.get(id)
    if (!order) return reject(404, "malformed", "no such resource")
    if (kind === "finalize") {
      const csr = new x509.Pkcs10CertificateRequest(Buffer.from(String(payload.csr), "base64url"))
      if (shownOrder(id, order).status !== "ready" || !(await csr.verify())) {
        return reject(403, "orderNotReady", "names are not verified")
      }
      const names = behaviour.issuedNames ?? order.names
      order.certificate = await sign(csr, names)
      server.issued.push([...names])
    }
    if (kind === "certificate") return respond(order.certificate ?? "")
    return respond(shownOrder(id, order), 200, { Location: url(`order/${id}`) })
  }

  const listener = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer })
  server.directory = url("directory")
  return server
}

function decode(text: string): unknown {
  return JSON.parse(Buffer.from(text, "base64url").toString())
}

/** The thumbprint of a key (RFC 7638). */
function thumbprintOf({ crv, kty, x, y }: Jwk): string {
  return createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url")
}
