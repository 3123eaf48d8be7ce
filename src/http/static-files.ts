import { promisify } from "node:util"
import { gzip } from "node:zlib"

/** A browser asks again each time: what is said there changes with the server's version and settings. */
export const noCache = "no-cache"
/** A year, the most that is usual: for files whose name says what is in them. */
export const immutable = "public, max-age=31536000, immutable"

/** Of every file and page that a browser is given. */
export const pageHeaders = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "X-Frame-Options": "DENY",
}

/** A file in both forms that are sent. */
export interface StaticFile {
  type: string
  plain: Uint8Array
  gzipped: Uint8Array
}

/** Compresses off the event loop: the largest takes some 50 ms. */
export async function compress(type: string, plain: Uint8Array): Promise<StaticFile> {
  return { type, plain, gzipped: await promisify(gzip)(plain, { level: 9 }) }
}

export function sent(
  { type, plain, gzipped }: StaticFile,
  request: Request,
  headers: Record<string, string>,
): Response {
  const zipped = /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "")
  return new Response(zipped ? gzipped : plain, {
    headers: {
      ...pageHeaders,
      "Content-Type": type,
      Vary: "Accept-Encoding",
      ...(zipped ? { "Content-Encoding": "gzip" } : {}),
      ...headers,
    },
  })
}

/** What `make` gives, made at the first call; a failure is not remembered. */
export function once<Made>(make: () => Promise<Made>): () => Promise<Made> {
  let made: Promise<Made> | undefined
  return () => {
    made ??= make().catch((error) => {
      made = undefined
      throw error
    })
    return made
  }
}
