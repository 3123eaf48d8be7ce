import { promisify } from "node:util"
import { gzip } from "node:zlib"
import { Elysia, NotFoundError } from "elysia"
import type { Limits } from "./ingest.ts"
import { openapi } from "./openapi.ts"
import { makePage } from "./page.ts"

const securityHeaders = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "X-Frame-Options": "DENY",
}

/**
 * Nothing comes from elsewhere and nothing goes elsewhere. Styles may be inline because the viewer writes its theme into
 * style elements and attributes; images may be data because its arrows are.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ")

/** A browser asks again each time: what is said there changes with the server's version and settings. */
const fresh = "no-cache"
/** A year, the most that is usual. */
const forGood = "public, max-age=31536000, immutable"

/** The description of the API: /openapi.json for programs, /docs for people. All is made when it is first asked for. */
export function docsRoutes(limits: Limits) {
  const description = once(async () =>
    pack("application/json", Buffer.from(JSON.stringify(await openapi(limits)))),
  )
  const page = once(makePage)
  const script = once(async () => pack("text/javascript; charset=utf-8", (await page()).viewer.bytes))
  return new Elysia()
    .get("/openapi.json", async ({ request }) => sent(await description(), request, fresh))
    .get("/docs", async () => {
      const { html } = await page()
      return new Response(html, {
        headers: {
          ...securityHeaders,
          "Content-Security-Policy": contentSecurityPolicy,
          "Content-Type": "text/html; charset=utf-8",
          "Cache-Control": fresh,
        },
      })
    })
    .get("/docs/:file", async ({ request, params }) => {
      const { viewer } = await page()
      if (`/docs/${params.file}` === viewer.path) return sent(await script(), request, forGood)
      throw new NotFoundError()
    })
}

/** A file in both forms that are sent. */
interface Packed {
  type: string
  plain: Uint8Array
  gzipped: Uint8Array
}

/** Compresses off the event loop: the viewer takes some 50 ms. */
async function pack(type: string, plain: Uint8Array): Promise<Packed> {
  return { type, plain, gzipped: await promisify(gzip)(plain, { level: 9 }) }
}

function sent({ type, plain, gzipped }: Packed, request: Request, cacheControl: string): Response {
  const zipped = /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "")
  return new Response(zipped ? gzipped : plain, {
    headers: {
      ...securityHeaders,
      "Content-Type": type,
      "Cache-Control": cacheControl,
      Vary: "Accept-Encoding",
      ...(zipped ? { "Content-Encoding": "gzip" } : {}),
    },
  })
}

/** What `make` gives, made at the first call; a failure is not remembered. */
function once<Made>(make: () => Promise<Made>): () => Promise<Made> {
  let made: Promise<Made> | undefined
  return () => {
    made ??= make().catch((error) => {
      made = undefined
      throw error
    })
    return made
  }
}
