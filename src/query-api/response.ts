import { freeBuffer } from "../free-buffer.ts"
import type { RenderedResponse } from "../query/engine/engine.ts"
import type { Entry, QueryAnswer } from "./execute.ts"

/** Rows rendered as JSON. `release` tells the query thread that their memory is free again. */
export type JsonRows = Pick<RenderedResponse, "chunks" | "release">

/** Maximum size in bytes of a response that is sent as a whole. */
const smallResponse = 262_144

/** Tracks responses that are being sent. If clients read too slowly, the oldest responses are aborted. */
export class Outbox {
  readonly #sending = new Map<object, { bytes: number; abort: () => void }>()
  #bytes = 0

  /** `maxBytes` returns the maximum number of unsent bytes. */
  constructor(private readonly maxBytes: () => number) {}

  add(response: object, bytes: number, abort: () => void): void {
    this.#sending.set(response, { bytes, abort })
    this.#bytes += bytes
    for (const [oldest, { abort }] of this.#sending) {
      if (this.#bytes <= this.maxBytes() || oldest === response) return
      abort()
    }
  }

  sent(response: object, bytes: number): void {
    const entry = this.#sending.get(response)
    if (!entry) return
    entry.bytes -= bytes
    this.#bytes -= bytes
    if (entry.bytes <= 0) this.#sending.delete(response)
  }
}

/** Yields the response body in pieces. The rows are already JSON, so only the JSON around them is built here. */
function* piecesOf(
  results: readonly QueryAnswer<JsonRows>[],
  isBatch: boolean,
): Generator<string | JsonRows> {
  yield isBatch ? '{"success":true,"batch":true,"results":[' : '{"success":true,'
  for (const [index, result] of results.entries()) {
    const { queryId, data, meta } = result
    if (isBatch) yield index === 0 ? "{" : ",{"
    yield `${queryId === undefined ? "" : `"queryId":${JSON.stringify(queryId)},`}"data":[`
    for (const [entryIndex, entry] of data.entries()) {
      if (entryIndex > 0) yield ","
      yield* entryPieces(entry)
    }
    yield `],"meta":${JSON.stringify(meta)}`
    if (isBatch) yield "}"
  }
  yield isBatch ? "]}" : "}"
}

function* entryPieces(entry: Entry<JsonRows>): Generator<string | JsonRows> {
  if (!entry.success) {
    yield JSON.stringify(entry)
    return
  }
  yield `{"parameter":${JSON.stringify(entry.parameter)},"success":true,"data":`
  yield entry.data
  yield `,"meta":${JSON.stringify(entry.meta)}}`
}

interface Chunk {
  bytes: Uint8Array<ArrayBuffer>
  /** Only set for rows, because the JSON around them does not count as used memory. */
  release: ((bytes: number) => void) | undefined
}

function chunksOf(results: readonly QueryAnswer<JsonRows>[], isBatch: boolean): Chunk[] {
  const chunks: Chunk[] = []
  let text = ""
  const flush = () => {
    if (text !== "") chunks.push({ bytes: new TextEncoder().encode(text), release: undefined })
    text = ""
  }
  for (const piece of piecesOf(results, isBatch)) {
    if (typeof piece === "string") text += piece
    else {
      flush()
      for (const bytes of piece.chunks) chunks.push({ bytes, release: piece.release })
    }
  }
  flush()
  return chunks
}

/** Releases the memory of rows that will not be sent. */
export function discard(rows: readonly JsonRows[]): void {
  for (const { chunks, release } of rows) {
    for (const bytes of chunks) {
      release(bytes.length)
      freeBuffer(bytes)
    }
  }
}

/**
 * Creates the response to a request. Large responses are sent chunk by chunk as the client reads them. Each chunk
 * counts as used memory until it has been read or the client disconnects (`signal`).
 */
export function queryResponse(
  results: readonly QueryAnswer<JsonRows>[],
  isBatch: boolean,
  headers: Record<string, string>,
  outbox: Outbox,
  signal: AbortSignal,
): Response {
  const chunks = chunksOf(results, isBatch)
  const size = chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)
  if (size <= smallResponse) {
    const body = Buffer.concat(chunks.map(({ bytes }) => bytes))
    for (const { bytes, release } of chunks) {
      release?.(bytes.length)
      freeBuffer(bytes)
    }
    return new Response(body, { headers })
  }
  const response = {}
  const take = () => {
    const chunk = chunks.shift()
    chunk?.release?.(chunk.bytes.length)
    if (chunk) outbox.sent(response, chunk.bytes.length)
    return chunk?.bytes
  }
  const drop = () => {
    for (let bytes = take(); bytes; bytes = take()) freeBuffer(bytes)
  }
  // Needed because nothing ever reads or cancels the stream if the client disconnects before the first chunk.
  signal.addEventListener("abort", drop)
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        outbox.add(response, size, () => {
          drop()
          controller.error(new Error("the client read the response too slowly"))
        })
      },
      pull(controller) {
        const bytes = take()
        if (bytes) controller.enqueue(bytes)
        if (chunks.length === 0) controller.close()
      },
      cancel: drop,
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers })
}
