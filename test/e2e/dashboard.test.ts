import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Server, startServer, temporaryFolder } from "../harness.ts"

const folder = temporaryFolder()
let server: Server
/** Paths of the page's assets, without the manifest. */
let files: string[]
const manifestPath = "/manifest.webmanifest"

beforeAll(async () => {
  server = await startServer({ db: folder.file("dashboard.db") })
  const html = await (await fetch(server.url)).text()
  const paths = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path)
  files = paths.filter((path) => path !== manifestPath)
  expect(paths).toContain(manifestPath)
})
afterAll(async () => {
  await server.stop()
  folder[Symbol.dispose]()
})

const zipped = { headers: { "accept-encoding": "gzip" }, decompress: false } as const

const addresses: [string, number][] = [
  ["/", 200],
  ["/login", 200],
  ["/invite/some-token", 404],
  ["/w/all/overview", 200],
  ["/w/a.b-c/person", 200],
  ["/share/some-token/funnels", 404],
  ["/embed/some-token/funnels", 404],
  ["/settings", 200],
  ["/settings/keys", 200],
]
test.each(addresses)(
  "%s is the page, which allows only its own scripts and cannot be shown in a frame",
  async (address, status) => {
    const response = await fetch(server.url + address)
    expect(response.status).toBe(status)
    expect(response.headers.get("content-type")).toBe("text/html;charset=utf-8")
    expect(response.headers.get("cache-control")).toBe("no-cache")
    expect(response.headers.get("referrer-policy")).toBe("no-referrer")
    const policy = response.headers.get("content-security-policy") ?? ""
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self';")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain("unsafe")
    const html = await response.text()
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+=|style=/)
  },
)

test("the page refers to no other host", async () => {
  expect(files.length).toBeGreaterThanOrEqual(3)
  expect(files.filter((path) => !path.startsWith("/") || path.startsWith("//"))).toEqual([])
})

test("the page's assets have content hashes in their names and are cached forever", async () => {
  for (const path of files) {
    const response = await fetch(server.url + path)
    expect(response.headers.get("cache-control")).toBe("public, max-age=31536000, immutable")
    expect(response.headers.get("x-content-type-options")).toBe("nosniff")
    expect(path).toMatch(/^\/[\w-]+-[a-z0-9]{8}\.(js|css|svg|png|woff2)$/)
  }
})

test("the style sheet has two fonts, and the page preloads the first one", async () => {
  const styles = files.filter((path) => path.endsWith(".css"))
  const style = await (await fetch(server.url + styles.join())).text()
  const fonts = [...style.matchAll(/url\(\.([^)]*)\)/g)].map(([, path = ""]) => path)
  expect(fonts).toHaveLength(2)
  expect(files.filter((path) => path.endsWith(".woff2"))).toEqual(fonts.slice(0, 1))
  for (const path of fonts) {
    const response = await fetch(server.url + path)
    expect(response.headers.get("cache-control")).toBe("public, max-age=31536000, immutable")
    expect(response.headers.get("content-type")).toBe("font/woff2")
    expect((await response.text()).slice(0, 4)).toBe("wOF2")
  }
})

test("the manifest refers to existing icons by relative URLs", async () => {
  const response = await fetch(server.url + manifestPath)
  expect(response.headers.get("content-type")).toBe("application/manifest+json")
  const manifest = (await response.json()) as { start_url: string; icons: { src: string; type: string }[] }
  expect(manifest.start_url).toBe("./")
  expect(manifest.icons.map(({ type }) => type).sort()).toEqual(["image/png", "image/svg+xml"])
  for (const { src, type } of manifest.icons) {
    expect(src).toStartWith("./icon-")
    const icon = await fetch(new URL(src, server.url + manifestPath))
    expect(icon.headers.get("content-type")).toBe(type)
  }
})

/** Returns the scripts that load before the page shows anything: those in its HTML and their static imports. */
async function firstScripts(): Promise<string[]> {
  const found = new Set(files.filter((path) => path.endsWith(".js")))
  for (const path of found) {
    const text = await (await fetch(server.url + path)).text()
    for (const [, name] of text.matchAll(/(?:from|import)"\.(\/chunk-\w+\.js)"/g)) found.add(name ?? "")
  }
  return [...found]
}

test("the page's initial scripts are smaller than 100 KB when compressed", async () => {
  const sizes = await Promise.all(
    (await firstScripts()).map(async (path) => {
      const response = await fetch(server.url + path, zipped)
      expect(response.headers.get("content-encoding")).toBe("gzip")
      expect(response.headers.get("vary")).toBe("Accept-Encoding")
      return (await response.bytes()).byteLength
    }),
  )
  expect(sizes.length).toBeGreaterThan(0)
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(100_000)
})

test("a browser that does not accept gzip gets the same script", async () => {
  const path = files.find((one) => one.endsWith(".js"))
  const [plain, unpacked] = await Promise.all([
    fetch(server.url + path, { headers: { "accept-encoding": "identity" } }),
    fetch(server.url + path),
  ])
  expect(plain.headers.get("content-encoding")).toBeNull()
  expect(await plain.text()).toBe(await unpacked.text())
})

test("an unknown path does not serve the page", async () => {
  const response = await fetch(`${server.url}/nothing-here`)
  expect(response.status).toBe(404)
  expect(response.headers.get("x-databuddy-reason")).toBe("route_unknown")
})
