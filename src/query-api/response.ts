import type { RenderedOnce } from "../query/engine/engine.ts"
import type { Entry, QueryAnswer } from "./execute.ts"

/** Rows as JSON, whose memory is given back by `release`. */
export type JsonRows = Pick<RenderedOnce, "chunks" | "release">

/** Bytes up to which an answer is sent in one piece. */
const smallAnswer = 262_144

/** Answers that are being sent. Where their clients take them too slowly, those that began first are cut. */
export class Outbox {
  readonly #sending = new Map<object, { bytes: number; cut: () => void }>()
  #bytes = 0

  /** `most`: bytes that may wait for clients. */
  constructor(private readonly most: () => number) {}

  add(answer: object, bytes: number, cut: () => void): void {
    this.#sending.set(answer, { bytes, cut })
    this.#bytes += bytes
    for (const [oldest, { cut }] of this.#sending) {
      if (this.#bytes <= this.most() || oldest === answer) return
      cut()
    }
  }

  sent(answer: object, bytes: number): void {
    const entry = this.#sending.get(answer)
    if (!entry) return
    entry.bytes -= bytes
    this.#bytes -= bytes
    if (entry.bytes <= 0) this.#sending.delete(answer)
  }
}

/** The body of a request's answer, in pieces: nothing is made text here that is large. */
function* piecesOf(
  answers: readonly QueryAnswer<JsonRows>[],
  isBatch: boolean,
): Generator<string | JsonRows> {
  yield isBatch ? '{"success":true,"batch":true,"results":[' : '{"success":true,'
  for (const [index, answer] of answers.entries()) {
    const { queryId, data, meta } = answer
    if (isBatch) yield index === 0 ? "{" : ",{"
    yield `${queryId === undefined ? "" : `"queryId":${JSON.stringify(queryId)},`}"data":[`
    for (const [place, entry] of data.entries()) {
      if (place > 0) yield ","
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
  /** Of rows; text of ours is not counted. */
  release: ((bytes: number) => void) | undefined
}

function chunksOf(answers: readonly QueryAnswer<JsonRows>[], isBatch: boolean): Chunk[] {
  const chunks: Chunk[] = []
  let text = ""
  const flush = () => {
    if (text !== "") chunks.push({ bytes: new TextEncoder().encode(text), release: undefined })
    text = ""
  }
  for (const piece of piecesOf(answers, isBatch)) {
    if (typeof piece === "string") text += piece
    else {
      flush()
      for (const bytes of piece.chunks) chunks.push({ bytes, release: piece.release })
    }
  }
  flush()
  return chunks
}

/** Rows that nobody wants any more. */
export function discard(rows: readonly JsonRows[]): void {
  for (const { chunks, release } of rows) for (const { length } of chunks) release(length)
}

/**
 * The answer to a request. A large one goes out as the client takes it, a chunk at a time; each counts as used memory until it is taken, or
 * the client is gone (`signal`).
 */
export function queryResponse(
  answers: readonly QueryAnswer<JsonRows>[],
  isBatch: boolean,
  headers: Record<string, string>,
  outbox: Outbox,
  signal: AbortSignal,
): Response {
  const chunks = chunksOf(answers, isBatch)
  const size = chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)
  if (size <= smallAnswer) {
    for (const { bytes, release } of chunks) release?.(bytes.length)
    return new Response(Buffer.concat(chunks.map(({ bytes }) => bytes)), { headers })
  }
  const answer = {}
  const take = () => {
    const chunk = chunks.shift()
    chunk?.release?.(chunk.bytes.length)
    if (chunk) outbox.sent(answer, chunk.bytes.length)
    return chunk?.bytes
  }
  const drop = () => {
    while (take());
  }
  // A client that is gone before the first chunk asks for none.
  signal.addEventListener("abort", drop)
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        outbox.add(answer, size, () => {
          drop()
          controller.error(new Error("the client takes its answer too slowly"))
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
