import { RequestError } from "../errors.ts"

/** A file response. */
export interface Download {
  bytes: AsyncIterable<Uint8Array>
  headers: Record<string, string>
}

/** Maximum concurrent downloads of all callers: each one competes with ingestion and takes a few MB of memory. */
const maxDownloads = 4
/** Retry-After of a rejected download, in seconds. */
const retryAfter = 10

/** Limits concurrent downloads. */
export class Downloads {
  #running = 0

  /** Returns `bytes` and counts the download until it ends. Throws `rate_limited` at the limit. */
  limit(bytes: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
    if (this.#running < maxDownloads) return this.#run(bytes)
    const detail = `${maxDownloads} exports are running, the maximum; retry after the time in Retry-After`
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
 * Streams a download. The bytes are produced only as the client reads them. The status is already sent when an error occurs, so the
 * error aborts the connection and the client sees an incomplete transfer.
 */
export function downloadResponse(
  { bytes, headers: fileHeaders }: Download,
  headers: Record<string, string>,
): Response {
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
  return new Response(body, { headers: { ...headers, ...fileHeaders } })
}
