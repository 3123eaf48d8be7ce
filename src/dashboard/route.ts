import { basename } from "node:path"
import { Elysia } from "elysia"
import { compress, immutable, noCache, once, type StaticFile, sent } from "../http/static-files.ts"
import page from "./index.html"

/** Nothing comes from elsewhere and nothing goes elsewhere; no script and no style stands in the page itself. */
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

const pageOnly = { "Cache-Control": noCache, "Content-Security-Policy": contentSecurityPolicy }
const kept = { "Cache-Control": immutable }

/** Addresses that are the page's own to read; where there is nothing, the page says so. */
const addresses = ["/", "/login", "/invite/:token", "/w/*", "/share/*", "/settings", "/settings/*"]

/**
 * The dashboard: one page for all of its addresses, and what that page is made of. The build puts them into the binary; run
 * from the sources there is no page.
 */
export function dashboardRoutes() {
  const app = new Elysia()
  const files = page.files ?? []
  for (const { path, loader, headers } of files) {
    const packed = once(async () => compress(headers["content-type"], await Bun.file(path).bytes()))
    if (loader === "html") addPage(app, packed)
    // Their names hold a hash of what is in them.
    else app.get(`/${basename(path)}`, async ({ request }) => sent(await packed(), request, kept))
  }
  return app
}

function addPage(app: Elysia, packed: () => Promise<StaticFile>): void {
  for (const address of addresses) {
    app.get(address, async ({ request }) => sent(await packed(), request, pageOnly))
  }
}
