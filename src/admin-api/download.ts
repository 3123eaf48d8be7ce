import { RequestError } from "../errors.ts"

/** An answer that is a file. */
export interface Download {
  bytes: AsyncIterable<Uint8Array>
  headers: Record<string, string>
}

/** Downloads at a time, all keys together: each takes turns with the ingestion, and some MB of memory. */
const maxDownloads = 4
/** Seconds, the Retry-After of one more. */
const retryAfter = 10

/** Counts the downloads that are under way. */
export class Downloads {
  #running = 0

  /** The same bytes, counted while they are taken. Throws `rate_limited` where there are enough. */
  counted(bytes: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
    if (this.#running < maxDownloads) return this.#run(bytes)
    const detail = `${maxDownloads} exports are under way, and no more run at a time`
    throw new RequestError("rate_limited", { retryAfter, detail })
  }

  async *#run(bytes: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.#running++
    try {
      yield* bytes
    } finally {
      this.#running--
    }
  }
}

/**
 * The bytes go out as the client takes them, and none are made when it does not, or is gone. An error while they are made cuts
 * the connection, for the status is sent: the client sees that the end is missing.
 */
export function fileAnswer({ bytes, headers: more }: Download, headers: Record<string, string>): Response {
  const iterator = bytes[Symbol.asyncIterator]()
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await iterator.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await iterator.return?.()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: { ...headers, ...more } })
}
