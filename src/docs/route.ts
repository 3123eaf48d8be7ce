import { Elysia, NotFoundError } from "elysia"
import { compress, immutable, noCache, once, pageHeaders, sent } from "../http/static-files.ts"
import type { Limits } from "./ingest.ts"
import { openapi } from "./openapi.ts"
import { makePage } from "./page.ts"

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

/** The description of the API: /openapi.json for programs, /docs for people. All is made when it is first asked for. */
export function docsRoutes(limits: Limits) {
  const description = once(async () =>
    compress("application/json", Buffer.from(JSON.stringify(await openapi(limits)))),
  )
  const page = once(makePage)
  const script = once(async () => compress("text/javascript; charset=utf-8", (await page()).viewer.bytes))
  return new Elysia()
    .get("/openapi.json", async ({ request }) =>
      sent(await description(), request, { "Cache-Control": noCache }),
    )
    .get("/docs", async () => {
      const { html } = await page()
      return new Response(html, {
        headers: {
          ...pageHeaders,
          "Content-Security-Policy": contentSecurityPolicy,
          "Content-Type": "text/html; charset=utf-8",
          "Cache-Control": noCache,
        },
      })
    })
    .get("/docs/:file", async ({ request, params }) => {
      const { viewer } = await page()
      if (`/docs/${params.file}` === viewer.path)
        return sent(await script(), request, { "Cache-Control": immutable })
      throw new NotFoundError()
    })
}
