import { gunzipSync } from "node:zlib"
import { Refusal } from "../errors.ts"

/** Types whose body is taken as JSON: beacons send text/plain to avoid a preflight, `curl -d` says a form where nobody told it. */
const jsonTypes = new Set(["", "application/json", "text/plain", "application/x-www-form-urlencoded"])

export interface JsonBody {
  value: unknown
  /** Bytes after decompression. */
  size: number
}

/**
 * The request's body as a JSON value. Throws a Refusal: `payload_too_large` above `maxBytes` (also after decompression;
 * no more than that is ever held), or the kind of nonsense that it is.
 */
export async function readJson(request: Request, maxBytes: number): Promise<JsonBody> {
  const { headers } = request
  const length = headers.get("content-length")
  if (length !== null && Number(length) > maxBytes) throw new Refusal("payload_too_large")
  // Wrapping the buffer in a Uint8Array costs as much as a tenth of the whole request; the decoder takes it as it is.
  const sent = length === null ? await readChunks(request, maxBytes) : await request.arrayBuffer()
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
