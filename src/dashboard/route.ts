import { basename } from "node:path"
import { Elysia } from "elysia"
import { compress, fileResponse, immutable, lazy, noCache, type StaticFile } from "../http/static-files.ts"
import page from "./index.html"

/** Allows only this server's own files and requests: no third parties, no inline scripts or styles. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ")

const pageHeaders = { "Cache-Control": noCache, "Content-Security-Policy": contentSecurityPolicy }
const fileHeaders = { "Cache-Control": immutable }

/** Routes that the page handles. It shows unknown ones as not found. */
const pageRoutes = ["/", "/login", "/invite/:token", "/w/*", "/share/*", "/settings", "/settings/*"]

/**
 * Serves the dashboard: one HTML page for all its routes, and its scripts and styles. The build embeds them in the binary;
 * without a build there is no dashboard.
 */
export function dashboardRoutes() {
  const app = new Elysia()
  const files = page.files ?? []
  for (const { path, loader, headers } of files) {
    const file = lazy(async () => compress(headers["content-type"], await Bun.file(path).bytes()))
    if (loader === "html") addPage(app, file)
    // File names contain a hash of the content, so they can be cached forever.
    else
      app.get(`/${basename(path)}`, async ({ request }) => fileResponse(await file(), request, fileHeaders))
  }
  return app
}

function addPage(app: Elysia, file: () => Promise<StaticFile>): void {
  for (const route of pageRoutes) {
    app.get(route, async ({ request }) => fileResponse(await file(), request, pageHeaders))
  }
}
