import { gunzipSync } from "node:zlib"
import { Refusal } from "../errors.ts"

/** Types whose body is taken as JSON: beacons send text/plain to avoid a preflight, `curl -d` says a form where nobody told it. */
const jsonTypes = new Set(["", "application/json", "text/plain", "application/x-www-form-urlencoded"])

export interface JsonBody {
  value: unknown
  /** Bytes after decompression. */
  size: number
}

/** Bytes below which a body is not counted: so many of those would need more connections than a server has. */
const smallBody = 65_536

/** The large bodies that are under way together, bounded in bytes: each is held in memory until the last of it has come. */
export class Uploads {
  #bytes = 0

  constructor(private readonly maxBytes: number) {}

  /** Waits for a body of `size` bytes. Throws `queue_full` where there is no room for it. */
  async hold<Body>(size: number, read: () => Promise<Body>): Promise<Body> {
    if (this.#bytes + size > this.maxBytes) throw new Refusal("queue_full", { retryAfter: 1 })
    this.#bytes += size
    try {
      return await read()
    } finally {
      this.#bytes -= size
    }
  }
}

/**
 * The request's body as a JSON value. Throws a Refusal: `payload_too_large` above `maxBytes` (also after decompression;
 * no more than that is ever held), `queue_full`, or the kind of nonsense that it is.
 */
export async function readJson(request: Request, maxBytes: number, uploads: Uploads): Promise<JsonBody> {
  const { headers } = request
  const length = headers.get("content-length")
  const size = length === null ? maxBytes : Number(length)
  if (size > maxBytes) throw new Refusal("payload_too_large")
  const read = (): Promise<ArrayBuffer | Uint8Array> =>
    length === null ? readChunks(request, maxBytes) : request.arrayBuffer()
  // Wrapping the buffer in a Uint8Array costs as much as a tenth of the whole request; the decoder takes it as it is.
  const sent = size <= smallBody ? await read() : await uploads.hold(size, read)
  const type = headers.get("content-type") ?? ""
  if (!jsonTypes.has(type) && !jsonTypes.has((type.split(";", 1)[0] as string).trim().toLowerCase())) {
    throw new Refusal("unsupported_content_type")
  }
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() || "identity"
  if (encoding !== "identity" && encoding !== "gzip") throw new Refusal("unsupported_content_encoding")
  const bytes = encoding === "gzip" ? gunzip(sent, maxBytes) : sent
  return { value: parse(decode(bytes)), size: bytes.byteLength }
}

/** Nobody said how long it is, so it is counted as it comes. */
async function readChunks(request: Request, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength
    if (size > maxBytes) throw new Refusal("payload_too_large")
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function gunzip(bytes: ArrayBuffer | Uint8Array, maxBytes: number): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxBytes })
  } catch (error) {
    const tooLarge = (error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE"
    throw new Refusal(tooLarge ? "payload_too_large" : "invalid_gzip")
  }
}

/** Keeps nothing between two calls. */
const utf8 = new TextDecoder("utf-8", { fatal: true })

function decode(bytes: ArrayBuffer | Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Refusal("invalid_utf8")
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Refusal("invalid_json")
  }
}
