import { gunzipSync } from "node:zlib"
import { codeOf, RequestError } from "../errors.ts"
import { freeBuffer } from "../free-buffer.ts"
import type { TrustedNetworks } from "./address.ts"
import { isNestedDeeper, type LargeBodies, largeBody, maxNesting, parse, parseInSteps } from "./large-body.ts"
import { addressOf, type RequestContext } from "./request-context.ts"

/**
 * Content types that are parsed as JSON. Beacons send text/plain to avoid a preflight. `curl -d` sends the form type by
 * default.
 */
const jsonTypes = new Set(["", "application/json", "text/plain", "application/x-www-form-urlencoded"])

export interface JsonBody {
  value: unknown
  /** Size of the body, in bytes: as received or after decompression, whichever is larger. */
  size: number
  /**
   * True if the text has no \u escape. No string in it then contains NUL or a lone surrogate, because JSON allows NUL
   * only as an escape, and UTF-8 cannot encode lone surrogates.
   */
  isPlain: boolean
  /** True if the value should also be validated in steps. */
  isLarge: boolean
}

/** Dependencies of `readJson`. */
export interface BodyDeps {
  bodyBudget: BodyBudget
  largeBodies: LargeBodies
  settings: {
    /** Maximum size of a body after decompression, in bytes. */
    maxBodyBytes: number
    trustedProxies: TrustedNetworks
  }
}

/**
 * Minimum number of bytes to reserve for an incomplete body. They cover its request object, promise and socket buffer.
 */
const minReservedBytes = 4_096
/** Maximum share of the budget for one address. */
const maxAddressShare = 1 / 4

/**
 * Minimum size of the budget in bytes. Several small bodies must fit at the same time, even with a tiny --queue-bytes.
 */
const minBudgetBytes = 1_048_576

/**
 * Limits the total size of the request bodies that are being received, because each one stays in memory until its last
 * byte arrives. Also limits the share of each address, so that one slow client cannot use up the budget.
 *
 * @example
 * const reservation = bodyBudget.reserve(context, trustedProxies, contentLength) // throws queue_full
 * try {
 *   return await request.arrayBuffer()
 * } finally {
 *   reservation.release()
 * }
 */
export class BodyBudget {
  #bytes = 0
  readonly #maxBytes: number
  /** Reservations whose address has not been looked up yet. */
  readonly #unattributed = new Set<Reservation>()
  readonly #byAddress = new Map<string, number>()

  constructor(maxBytes: number) {
    this.#maxBytes = Math.max(maxBytes, minBudgetBytes)
  }

  /**
   * Reserves `size` bytes until the reservation is released. Throws `queue_full` if they exceed the budget or the share
   * of the address.
   */
  reserve(context: RequestContext, trustedProxies: TrustedNetworks, size: number): Reservation {
    const reservation = new Reservation(this, () => addressOf(context, trustedProxies))
    this.#unattributed.add(reservation)
    try {
      this.grow(reservation, Math.max(size, minReservedBytes))
    } catch (error) {
      this.release(reservation)
      throw error
    }
    return reservation
  }

  /**
   * Adds bytes to a reservation. Throws `queue_full` if they exceed the budget or the share of the address. The budget
   * does not apply if there is no other body, and the share does not apply if there is no other body from the address,
   * because --max-body limits the size of each body.
   */
  grow(reservation: Reservation, bytes: number): void {
    const total = this.#bytes + bytes
    if (total > this.#maxBytes && this.#bytes > reservation.size) throw queueFull()
    const share = this.#maxBytes * maxAddressShare
    // While the total is below one share, no address can exceed its share, so the addresses are not needed.
    if (total > share) {
      this.#attributeAll()
      const held = this.#byAddress.get(reservation.address ?? "") ?? 0
      if (held + bytes > share && held > reservation.size) throw queueFull()
    }
    this.#bytes += bytes
    reservation.size += bytes
    this.#count(reservation, bytes)
  }

  /** Returns a reservation's bytes to the budget. */
  release(reservation: Reservation): void {
    this.#unattributed.delete(reservation)
    this.#bytes -= reservation.size
    this.#count(reservation, -reservation.size)
  }

  #attributeAll(): void {
    for (const reservation of this.#unattributed) {
      reservation.address = reservation.lookUp()
      this.#count(reservation, reservation.size)
    }
    this.#unattributed.clear()
  }

  #count({ address }: Reservation, bytes: number): void {
    if (address === undefined) return
    const held = (this.#byAddress.get(address) ?? 0) + bytes
    if (held > 0) this.#byAddress.set(address, held)
    else this.#byAddress.delete(address)
  }
}

/** The bytes of one body in the budget. */
class Reservation {
  /** Number of reserved bytes. */
  size = 0
  /**
   * Undefined until all bodies together exceed the share of one address. The lookup is postponed until then, because it
   * costs more than most checks.
   */
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

function queueFull(): RequestError {
  // Most bodies are complete within a second.
  return new RequestError("queue_full", { retryAfter: 1 })
}

/**
 * Reads, decompresses and parses the body. Sets `context.bytes` to its size. Throws a RequestError with the reason
 * `queue_full`, `payload_too_large` (decompression stops at the limit), or a reason that says why the body is invalid.
 * `parseWide`: see `parseInSteps`.
 */
export async function readJson(
  { bodyBudget, largeBodies, settings: { maxBodyBytes, trustedProxies } }: BodyDeps,
  context: RequestContext,
  parseWide = parse,
): Promise<JsonBody> {
  const { request } = context
  const { headers } = request
  const length = headers.get("content-length")
  const size = length === null ? 0 : Number(length)
  if (size > maxBodyBytes) throw new RequestError("payload_too_large")
  const reservation = bodyBudget.reserve(context, trustedProxies, size)
  try {
    // Not wrapped in a Uint8Array, because creating one takes a tenth of the time of the whole request, and the decoder
    // accepts both.
    const received =
      length === null ? await readChunks(context, maxBodyBytes, reservation) : await request.arrayBuffer()
    context.bytes = received.byteLength
    const isGzip = isCompressed(headers)
    const bytes = isGzip ? gunzip(received, Math.min(maxBodyBytes, largeBody)) : received
    if (bytes === undefined && maxBodyBytes > largeBody) {
      // Reserves memory before the body waits for its turn, so that the number of waiting bodies is limited.
      const expected = statedSize(received, maxBodyBytes)
      if (expected > reservation.size) reservation.grow(expected - reservation.size)
      return await largeBodies.run(gunzipInSteps(context, received, maxBodyBytes, reservation, parseWide))
    }
    if (isGzip) freeBuffer(received)
    const text = textOf(context, bytes, maxBodyBytes)
    if (text.length > largeBody) return await largeBodies.run(largeJson(context, text, parseWide))
    if (isNestedDeeper(text, maxNesting)) throw new RequestError("nesting_too_deep")
    return { value: parse(text), size: context.bytes, isPlain: isPlain(text), isLarge: false }
  } finally {
    reservation.release()
  }
}

/**
 * Decompresses and parses a body that is large when decompressed. The decompression is one of the steps, because a gzip
 * of 2 KB can take 2 ms, and many can arrive at the same time.
 */
function* gunzipInSteps(
  context: RequestContext,
  received: ArrayBuffer | Uint8Array<ArrayBuffer>,
  maxBodyBytes: number,
  reservation: Reservation,
  parseWide: typeof parse,
): Generator<void, JsonBody> {
  const bytes = gunzip(received, maxBodyBytes)
  freeBuffer(received)
  const text = textOf(context, bytes, maxBodyBytes)
  if (context.bytes > reservation.size) reservation.grow(context.bytes - reservation.size)
  yield
  return yield* largeJson(context, text, parseWide)
}

/**
 * Returns the decompressed size in bytes that is stated at the end of a gzip, clamped to the range from `largeBody` to
 * `max`. A sender can state any size. If the real size is larger, more memory is reserved after the decompression.
 */
function statedSize(received: ArrayBuffer | Uint8Array<ArrayBuffer>, max: number): number {
  const bytes = received instanceof ArrayBuffer ? new Uint8Array(received) : received
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.byteLength - 4, true)
  return Math.min(Math.max(size, largeBody), max)
}

/**
 * Decodes and frees a body. `context.bytes` must be the number of received bytes, and is raised to the decompressed
 * size if that is larger. If `bytes` is undefined, throws `payload_too_large`.
 */
function textOf(
  context: RequestContext,
  bytes: ArrayBuffer | Uint8Array<ArrayBuffer> | undefined,
  maxBodyBytes: number,
): string {
  // A gzip of many empty parts has more bytes than its content.
  context.bytes = Math.max(context.bytes, bytes?.byteLength ?? maxBodyBytes)
  if (!bytes) throw new RequestError("payload_too_large")
  return decode(bytes)
}

function* largeJson(
  { bytes }: RequestContext,
  text: string,
  parseWide: typeof parse,
): Generator<void, JsonBody> {
  const value = yield* parseInSteps(text, parseWide)
  return { value, size: bytes, isPlain: isPlain(text), isLarge: true }
}

/** See `JsonBody.isPlain`. */
function isPlain(text: string): boolean {
  return !text.includes("\\u")
}

/** Returns true if the body is compressed with gzip. Throws if the headers do not describe a JSON body. */
function isCompressed(headers: Headers): boolean {
  const type = headers.get("content-type") ?? ""
  if (!jsonTypes.has(type) && !jsonTypes.has((type.split(";", 1)[0] as string).trim().toLowerCase())) {
    throw new RequestError("unsupported_content_type")
  }
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() || "identity"
  if (encoding !== "identity" && encoding !== "gzip") throw new RequestError("unsupported_content_encoding")
  return encoding === "gzip"
}

/** Reads a body without Content-Length and reserves its bytes as they arrive. */
async function readChunks(
  context: RequestContext,
  maxBytes: number,
  reservation: Reservation,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of context.request.body ?? []) {
    size += chunk.byteLength
    context.bytes = size
    if (size > maxBytes) throw new RequestError("payload_too_large")
    // `reserve` has already counted the first `minReservedBytes`.
    if (size > minReservedBytes) reservation.grow(Math.min(chunk.byteLength, size - minReservedBytes))
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/**
 * Decompresses up to the limit, so that a gzip bomb of 100 MB takes only 1 ms. Returns undefined if the content is
 * larger. Throws `invalid_gzip`.
 */
function gunzip(
  bytes: ArrayBuffer | Uint8Array<ArrayBuffer>,
  maxBytes: number,
): Uint8Array<ArrayBuffer> | undefined {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxBytes })
  } catch (error) {
    if (codeOf(error) === "ERR_BUFFER_TOO_LARGE") return undefined
    freeBuffer(bytes)
    throw new RequestError("invalid_gzip")
  }
}

/** Shared, because a decoder without streaming has no state between calls. */
const utf8 = new TextDecoder("utf-8", { fatal: true })

/** Decodes and frees a body. */
function decode(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new RequestError("invalid_utf8")
  } finally {
    freeBuffer(bytes)
  }
}
