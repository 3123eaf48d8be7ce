import { gunzipSync } from "node:zlib"
import { RequestError } from "../errors.ts"
import type { TrustedNetworks } from "./address.ts"
import { addressOf, type RequestContext } from "./request-context.ts"

/** Types whose body is taken as JSON: beacons send text/plain to avoid a preflight, `curl -d` says a form where nobody told it. */
const jsonTypes = new Set(["", "application/json", "text/plain", "application/x-www-form-urlencoded"])

export interface JsonBody {
  value: unknown
  /** Bytes after decompression. */
  size: number
  /**
   * True where the text has no \u escape. No string in it can then hold NUL or half a surrogate pair: JSON takes the first only
   * as an escape, UTF-8 has no form for the second.
   */
  isPlain: boolean
}

/** What `readJson` works with. */
export interface BodyReading {
  bodyBudget: BodyBudget
  settings: {
    /** Bytes of a body, after decompression. */
    maxBodyBytes: number
    trustedProxies: TrustedNetworks
  }
}

/**
 * Levels of objects and arrays in a body. An event takes 64 levels of properties, and two around them in a batch; with twice as many
 * the error can still name the field. It is counted before parsing: a million levels are 2 KB of gzip and cost the parser 100 ms.
 */
const maxNesting = 128
/** Bytes that an unfinished body counts at least: its request, its promise and the socket's buffer take as much. */
const leastReserved = 4_096
/** Of all reserved bytes, the part that one address may hold. */
const addressShare = 1 / 4

/** Least size of the whole budget: with a tiny --queue-bytes several small bodies must still be able to come at once. */
const leastBudget = 1_048_576

/**
 * Bytes of all bodies that are not completely received. Each is in memory until its last byte has come, so their sum is bounded, and so
 * is each address's part of it: one client that sends slowly must not take the place of all others.
 */
export class BodyBudget {
  #bytes = 0
  readonly #maxBytes: number
  /** Reservations whose address nobody has looked up yet. */
  readonly #unnamed = new Set<Reservation>()
  readonly #byAddress = new Map<string, number>()

  constructor(maxBytes: number) {
    this.#maxBytes = Math.max(maxBytes, leastBudget)
  }

  /** Counts a body of `size` bytes until it is released. Throws `queue_full` where there is no room for it. */
  reserve(arrival: RequestContext, trustedProxies: TrustedNetworks, size: number): Reservation {
    const reservation = new Reservation(this, () => addressOf(arrival, trustedProxies))
    this.#unnamed.add(reservation)
    try {
      this.grow(reservation, Math.max(size, leastReserved))
    } catch (error) {
      this.release(reservation)
      throw error
    }
    return reservation
  }

  /** Throws `queue_full`. A body that is alone, or the only one of its address, always has room: its own limit bounds it. */
  grow(reservation: Reservation, bytes: number): void {
    const total = this.#bytes + bytes
    if (total > this.#maxBytes && this.#bytes > reservation.size) throw full()
    const share = this.#maxBytes * addressShare
    // Below one share nobody can have more than that, and addresses need not be known.
    if (total > share) {
      this.#nameAll()
      const held = this.#byAddress.get(reservation.address ?? "") ?? 0
      if (held + bytes > share && held > reservation.size) throw full()
    }
    this.#bytes += bytes
    reservation.size += bytes
    this.#count(reservation, bytes)
  }

  release(reservation: Reservation): void {
    this.#unnamed.delete(reservation)
    this.#bytes -= reservation.size
    this.#count(reservation, -reservation.size)
  }

  #nameAll(): void {
    for (const reservation of this.#unnamed) {
      reservation.address = reservation.lookUp()
      this.#count(reservation, reservation.size)
    }
    this.#unnamed.clear()
  }

  #count({ address }: Reservation, bytes: number): void {
    if (address === undefined) return
    const held = (this.#byAddress.get(address) ?? 0) + bytes
    if (held > 0) this.#byAddress.set(address, held)
    else this.#byAddress.delete(address)
  }
}

/** The place of one body in the budget. */
class Reservation {
  /** Bytes */
  size = 0
  /** Undefined until memory is short enough to look it up, which costs more than most checks. */
  address: string | undefined

  constructor(
    private readonly budget: BodyBudget,
    readonly lookUp: () => string,
  ) {}

  grow(bytes: number): void {
    this.budget.grow(this, bytes)
  }

  release(): void {
    this.budget.release(this)
  }
}

/** Seconds, the Retry-After: most bodies are complete by then. */
function full(): RequestError {
  return new RequestError("queue_full", { retryAfter: 1 })
}

/**
 * The request's body as a JSON value. Throws a Refusal: `payload_too_large` above the limit (also after decompression;
 * no more than that is ever held), `queue_full`, or what is wrong with it. Adds what it read to `arrival.bytes`.
 */
export async function readJson(
  { bodyBudget, settings: { maxBodyBytes, trustedProxies } }: BodyReading,
  arrival: RequestContext,
): Promise<JsonBody> {
  const { request } = arrival
  const { headers } = request
  const length = headers.get("content-length")
  const size = length === null ? 0 : Number(length)
  if (size > maxBodyBytes) throw new RequestError("payload_too_large")
  // Wrapping the buffer in a Uint8Array costs as much as a tenth of the whole request; the decoder takes it as it is.
  let sent: ArrayBuffer | Uint8Array
  const reservation = bodyBudget.reserve(arrival, trustedProxies, size)
  try {
    sent =
      length === null ? await readChunks(arrival, maxBodyBytes, reservation) : await request.arrayBuffer()
  } finally {
    reservation.release()
  }
  arrival.bytes = sent.byteLength
  const type = headers.get("content-type") ?? ""
  if (!jsonTypes.has(type) && !jsonTypes.has((type.split(";", 1)[0] as string).trim().toLowerCase())) {
    throw new RequestError("unsupported_content_type")
  }
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() || "identity"
  if (encoding !== "identity" && encoding !== "gzip") throw new RequestError("unsupported_content_encoding")
  const bytes = encoding === "gzip" ? gunzip(sent, maxBodyBytes, arrival) : sent
  arrival.bytes = bytes.byteLength
  const text = decode(bytes)
  if (isNestedDeeper(text, maxNesting)) throw new RequestError("nesting_too_deep")
  return { value: parse(text), size: bytes.byteLength, isPlain: !text.includes("\\u") }
}

/** Nobody said how long it is, so it is counted as it comes. */
async function readChunks(
  arrival: RequestContext,
  maxBytes: number,
  reservation: Reservation,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of arrival.request.body ?? []) {
    size += chunk.byteLength
    arrival.bytes = size
    if (size > maxBytes) throw new RequestError("payload_too_large")
    // The first bytes are counted already.
    if (size > leastReserved) reservation.grow(Math.min(chunk.byteLength, size - leastReserved))
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Stops at the limit: of a bomb of 100 MB that is 1 ms of work. */
function gunzip(bytes: ArrayBuffer | Uint8Array, maxBytes: number, arrival: RequestContext): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxBytes })
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_BUFFER_TOO_LARGE") throw new RequestError("invalid_gzip")
    arrival.bytes = maxBytes
    throw new RequestError("payload_too_large")
  }
}

/** Keeps nothing between two calls. */
const utf8 = new TextDecoder("utf-8", { fatal: true })

function decode(bytes: ArrayBuffer | Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new RequestError("invalid_utf8")
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RequestError("invalid_json")
  }
}

const quote = 0x22
const backslash = 0x5c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/** True where more than `limit` brackets and braces outside of strings are open at once. Of what is no JSON it may say either. */
export function isNestedDeeper(text: string, limit: number): boolean {
  let depth = 0
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case quote:
        index = endOfString(text, index)
        if (index < 0) return false
        break
      case openBracket:
      case openBrace:
        if (++depth > limit) return true
        break
      case closeBracket:
      case closeBrace:
        depth--
    }
  }
  return false
}

/** Where the string ends whose first quote is at `start`; -1: nowhere. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end
}

/** An odd number of backslashes stands before it. */
function isEscaped(text: string, index: number): boolean {
  let first = index
  while (text.charCodeAt(first - 1) === backslash) first--
  return (index - first) % 2 === 1
}
