import { RequestError } from "../errors.ts"

/** A file response. */
export interface Download {
  bytes: AsyncIterable<Uint8Array>
  headers: Record<string, string>
}

/** Maximum number of concurrent downloads. Each download competes with ingestion and uses a few MB of memory. */
const maxDownloads = 4
/** Maximum number of concurrent downloads by one key or login, so that others can still export. */
const maxPerCaller = 2
/** Retry-After for a rejected download, in seconds. */
const retryAfter = 10

/** Limits concurrent downloads. */
export class Downloads {
  /** The caller of each running download. */
  readonly #running: string[] = []

  /**
   * Returns the bytes from `open`. Counts the download as running from this call until the bytes end or the client
   * disconnects (`signal`). Rejects with `rate_limited` if a limit is reached, or with the error from `open`.
   */
  async limit(
    caller: string,
    open: () => Promise<AsyncGenerator<Uint8Array>>,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const running = this.#running.filter((other) => other === caller).length
    if (running >= maxPerCaller)
      throw tooMany(`${running} of your exports are running, which is the maximum for one key or login`)
    if (this.#running.length >= maxDownloads)
      throw tooMany(`${maxDownloads} exports are running, which is the maximum`)
    this.#running.push(caller)
    let isRunning = true
    const end = () => {
      if (!isRunning) return
      isRunning = false
      signal.removeEventListener("abort", end)
      this.#running.splice(this.#running.indexOf(caller), 1)
    }
    signal.addEventListener("abort", end)
    let bytes: AsyncGenerator<Uint8Array>
    try {
      bytes = await open()
    } catch (error) {
      end()
      throw error
    }
    const iterator: AsyncIterator<Uint8Array> = {
      next: async () => {
        try {
          const result = await bytes.next()
          if (result.done) end()
          return result
        } catch (error) {
          end()
          throw error
        }
      },
      return: async () => {
        end()
        return await bytes.return(undefined)
      },
    }
    return { [Symbol.asyncIterator]: () => iterator }
  }
}

function tooMany(what: string): RequestError {
  return new RequestError("rate_limited", {
    retryAfter,
    detail: `${what}; retry after the time in Retry-After`,
  })
}

/**
 * Streams a download. Bytes are produced only as fast as the client reads them. If an error occurs, calls `onError` and
 * aborts the connection, because the status has already been sent. The client then sees an incomplete transfer.
 */
export function downloadResponse(
  { bytes, headers: fileHeaders }: Download,
  headers: Record<string, string>,
  onError: (error: unknown) => void,
): Response {
  const iterator = bytes[Symbol.asyncIterator]()
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await iterator.next()
          if (done) controller.close()
          else controller.enqueue(value)
        } catch (error) {
          onError(error)
          throw error
        }
      },
      async cancel() {
        await iterator.return?.()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: { ...headers, ...fileHeaders } })
}
