import { basename } from "node:path"
import { Elysia } from "elysia"
import { compress, fileResponse, immutable, lazy, noCache, type StaticFile } from "../http/static-files.ts"
import page from "./index.html"
import { type PageAccess, type PageDeps, pageAccess } from "./page-access.ts"

/** Allows only this server's own files and requests: nothing from third parties, and no inline scripts or styles. */
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

/** Routes that serve the page. For unknown paths below them, the page shows its own “not found”. */
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
 * Serves the dashboard: one HTML page for all routes, and its scripts and styles. The build embeds these files in the
 * binary, so a server that runs without a build has no dashboard. Only the page contains `basePath`. The other files
 * are cached forever and refer to each other by relative paths.
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
    // File names contain a hash of the content, so the files can be cached forever.
    app.get(`/${basename(path)}`, async ({ request }) => fileResponse(await file(), request, fileHeaders))
  }
  return app
}

/**
 * Returns the page for a server with --base-path. Its relative references become absolute, because the page is served
 * at many paths. A `<base>` element would require a weaker Content-Security-Policy and change the meaning of
 * `href="#main"`.
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

/** If the database is unavailable, the page is still served and shows the API's error. */
function accessOf(deps: PageDeps, request: Request): PageAccess {
  try {
    return pageAccess(deps, request)
  } catch {
    return { status: 200, embedHosts: [] }
  }
}

/**
 * Returns the response to a request for a page. Only an embedded share link can be framed, and only by the hosts that
 * are listed for this link.
 */
export function pageResponse(deps: PageDeps, request: Request, file: StaticFile): Response {
  const { status, embedHosts } = accessOf(deps, request)
  const ancestors = embedHosts.length === 0 ? "'none'" : embedHosts.join(" ")
  const headers = {
    "Cache-Control": noCache,
    "Content-Security-Policy": [...contentSecurityPolicy, `frame-ancestors ${ancestors}`].join("; "),
  }
  const response = fileResponse(file, request, headers, status)
  // X-Frame-Options cannot express a list of hosts, so the header is left out. `frame-ancestors` replaces it.
  if (embedHosts.length > 0) response.headers.delete("X-Frame-Options")
  return response
}

/** Lets browsers install the dashboard as an app. The URLs are relative, so they work under any base path. */
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
      // The PNG icon has empty edges, which a mask can safely crop.
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
