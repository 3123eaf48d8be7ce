import { promisify } from "node:util"
import { gzip } from "node:zlib"

/** Makes browsers revalidate each time, because the content changes with the server's version and settings. */
export const noCache = "no-cache"
/** Lets browsers cache a file for a year. Used for files whose names contain a hash of the content. */
export const immutable = "public, max-age=31536000, immutable"

/** Security headers of every file and page. */
export const pageHeaders = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "X-Frame-Options": "DENY",
}

/** The media type and the content of a file, uncompressed and compressed. */
export interface StaticFile {
  type: string
  plain: Uint8Array
  gzipped: Uint8Array
}

/** Compresses a file in another thread, because the largest file takes 50 ms. */
export async function compress(type: string, plain: Uint8Array): Promise<StaticFile> {
  return { type, plain, gzipped: await promisify(gzip)(plain, { level: 9 }) }
}

/** Responds with the file, gzipped if the client accepts gzip. `headers` override the defaults. */
export function fileResponse(
  { type, plain, gzipped }: StaticFile,
  request: Request,
  headers: Record<string, string>,
  status = 200,
): Response {
  const acceptsGzip = /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "")
  return new Response(acceptsGzip ? gzipped : plain, {
    status,
    headers: {
      ...pageHeaders,
      "Content-Type": type,
      Vary: "Accept-Encoding",
      ...(acceptsGzip ? { "Content-Encoding": "gzip" } : {}),
      ...headers,
    },
  })
}

/** Returns a function that calls `create` on first use and caches the result. Does not cache a failure. */
export function lazy<Value>(create: () => Promise<Value>): () => Promise<Value> {
  let value: Promise<Value> | undefined
  return () => {
    value ??= create().catch((error) => {
      value = undefined
      throw error
    })
    return value
  }
}
