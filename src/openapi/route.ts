import { Elysia, NotFoundError } from "elysia"
import { compress, fileResponse, immutable, lazy, noCache, pageHeaders } from "../http/static-files.ts"
import type { Limits } from "./ingest.ts"

/**
 * Allows the page to load from and connect to only this server. Also allows inline styles for the viewer's theme, and
 * data images for its arrows.
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

/** Creates the routes of the API documentation, /openapi.json and /docs. Both are loaded and built on first use. */
export function docsRoutes(limits: Limits, basePath: string) {
  const document = lazy(async () => {
    const { openapi } = await import("./openapi.ts")
    return compress("application/json", Buffer.from(JSON.stringify(await openapi(limits, basePath))))
  })
  const page = lazy(async () => (await import("./page.ts")).createPage(basePath))
  const script = lazy(async () => compress("text/javascript; charset=utf-8", (await page()).viewer.bytes))
  return new Elysia()
    .get("/openapi.json", async ({ request }) =>
      fileResponse(await document(), request, { "Cache-Control": noCache }),
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
        return fileResponse(await script(), request, { "Cache-Control": immutable })
      throw new NotFoundError()
    })
}
