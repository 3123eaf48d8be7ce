import { basename } from "node:path"
import { Elysia } from "elysia"
import { forGood, fresh, once, type Packed, pack, sent } from "../http/static.ts"
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

const pageOnly = { "Cache-Control": fresh, "Content-Security-Policy": contentSecurityPolicy }
const kept = { "Cache-Control": forGood }

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
    const packed = once(async () => pack(headers["content-type"], await Bun.file(path).bytes()))
    if (loader === "html") addPage(app, packed)
    // Their names hold a hash of what is in them.
    else app.get(`/${basename(path)}`, async ({ request }) => sent(await packed(), request, kept))
  }
  return app
}

function addPage(app: Elysia, packed: () => Promise<Packed>): void {
  for (const address of addresses) {
    app.get(address, async ({ request }) => sent(await packed(), request, pageOnly))
  }
}
