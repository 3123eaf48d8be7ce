import { basename } from "node:path"
import { Elysia } from "elysia"
import { compress, fileResponse, immutable, lazy, noCache, type StaticFile } from "../http/static-files.ts"
import page from "./index.html"
import { type PageAccess, type PageDeps, pageAccess } from "./page-access.ts"

/** Allows only this server's own files and requests: no third parties, no inline scripts or styles. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "manifest-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
]

const fileHeaders = { "Cache-Control": immutable }

/** Routes that the page handles. It shows unknown ones as not found. */
const pageRoutes = [
  "/",
  "/login",
  "/invite/:token",
  "/w/*",
  "/share/*",
  "/embed/*",
  "/settings",
  "/settings/*",
]

/**
 * Serves the dashboard: one HTML page for all its routes, and its scripts and styles. The build embeds them in the
 * binary; without a build there is no dashboard. Only the page contains `basePath`: the other files are cached forever
 * and refer to each other by relative paths.
 */
export function dashboardRoutes(deps: PageDeps, basePath: string) {
  const app = new Elysia()
  const files = page.files ?? []
  if (files.length > 0)
    addManifest(
      app,
      files.map(({ path }) => basename(path)),
    )
  for (const { path, loader, headers } of files) {
    const type = headers["content-type"]
    if (loader === "html") {
      const page = async () => Buffer.from(pageBelow(basePath, await Bun.file(path).text()))
      addPage(
        app,
        deps,
        lazy(async () => compress(type, await page())),
      )
      continue
    }
    const file = lazy(async () => compress(type, await Bun.file(path).bytes()))
    // File names contain a hash of the content, so they can be cached forever.
    app.get(`/${basename(path)}`, async ({ request }) => fileResponse(await file(), request, fileHeaders))
  }
  return app
}

/**
 * The page for a server with --base-path. It is served at many paths, so its relative references become absolute. A
 * `<base>` element would need a weaker policy, and would change the meaning of `href="#main"`.
 */
function pageBelow(basePath: string, html: string): string {
  return html
    .replaceAll('="./', `="${basePath}/`)
    .replace('data-base-path=""', `data-base-path="${basePath}"`)
    .replace(" /docs", ` ${basePath}/docs`)
}

function addPage(app: Elysia, deps: PageDeps, file: () => Promise<StaticFile>): void {
  for (const route of pageRoutes) {
    app.get(route, async ({ request }) => pageResponse(deps, request, await file()))
  }
}

/** Without the database, the page is still served: it shows the error of the API. */
function accessOf(deps: PageDeps, request: Request): PageAccess {
  try {
    return pageAccess(deps, request)
  } catch {
    return { status: 200, embedHosts: [] }
  }
}

/** The response of a page. Only an embedded share link can be framed, and only by the hosts that its owner lists. */
export function pageResponse(deps: PageDeps, request: Request, file: StaticFile): Response {
  const { status, embedHosts } = accessOf(deps, request)
  const ancestors = embedHosts.length === 0 ? "'none'" : embedHosts.join(" ")
  const headers = {
    "Cache-Control": noCache,
    "Content-Security-Policy": [...contentSecurityPolicy, `frame-ancestors ${ancestors}`].join("; "),
  }
  const response = fileResponse(file, request, headers, status)
  // This header has no value for a list of hosts.
  if (embedHosts.length > 0) response.headers.delete("X-Frame-Options")
  return response
}

/** Lets browsers install the dashboard as an app. Its URLs are relative, so they are valid under any path. */
function addManifest(app: Elysia, names: readonly string[]): void {
  const manifest = {
    name: "Databuddy",
    start_url: "./",
    scope: "./",
    display: "standalone",
    background_color: "#f6f6f4",
    theme_color: "#f6f6f4",
    icons: names.flatMap((name) => {
      if (/^icon-.*\.svg$/.test(name)) return [{ src: `./${name}`, type: "image/svg+xml", sizes: "any" }]
      // Its edges are empty, so that a mask can crop them.
      if (/^icon-.*\.png$/.test(name))
        return [{ src: `./${name}`, type: "image/png", sizes: "512x512", purpose: "maskable" }]
      return []
    }),
  }
  const file = lazy(() =>
    compress("application/manifest+json", new TextEncoder().encode(JSON.stringify(manifest))),
  )
  app.get("/manifest.webmanifest", async ({ request }) =>
    fileResponse(await file(), request, { "Cache-Control": noCache }),
  )
}
