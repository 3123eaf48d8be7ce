import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Command } from "commander"
import { addServeOptions } from "../../src/serve-options.ts"
import { scriptNames } from "../../src/tracker/scripts.ts"
import { openApp, type TestApp } from "../support/app.ts"

describe("the page scripts", () => {
  let app: TestApp
  beforeAll(() => {
    app = openApp(() => ({ scriptName: "app.js" }))
  })
  afterAll(() => app.close())

  const request = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    app.send(
      new Request(`http://localhost/${path}`, {
        method,
        headers: { origin: "https://shop.example", ...headers },
      }),
    )

  test.each([...scriptNames, "app.js"])(
    "%s is JavaScript that any page can load and cache for a day",
    async (name) => {
      const response = await request(name)
      expect(response.status).toBe(200)
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "access-control-allow-origin": "*",
        "cache-control": "public, max-age=86400",
        "content-type": "text/javascript; charset=utf-8",
        "cross-origin-resource-policy": "cross-origin",
        etag: expect.stringMatching(/^W\/"[\w-]{22}"$/),
        vary: "Accept-Encoding",
        "x-content-type-options": "nosniff",
      })
      const source = await response.text()
      const digest = new Bun.CryptoHasher("sha384").update(source).digest("base64")
      expect(response.headers.get("x-script-integrity")).toBe(`sha384-${digest}`)
      expect(() => new Bun.Transpiler({ loader: "js" }).scan(source)).not.toThrow()
      const head = await request(name, {}, "HEAD")
      expect(head.status).toBe(200)
      expect(head.headers.get("etag")).toBe(response.headers.get("etag"))
      const packed = await request(name, { "accept-encoding": "gzip, br" })
      expect(packed.headers.get("content-encoding")).toBe("gzip")
      expect(new TextDecoder().decode(Bun.gunzipSync(new Uint8Array(await packed.arrayBuffer())))).toBe(
        source,
      )
    },
  )

  test.each([...scriptNames, "app.js"])("%s supports preflight requests", async (name) => {
    const headers = { "access-control-request-headers": "x-trace" }
    const { status, headers: answered } = await request(name, headers, "OPTIONS")
    expect(status).toBe(204)
    expect(Object.fromEntries(answered)).toMatchObject({
      "access-control-allow-origin": "https://shop.example",
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "GET, OPTIONS",
      "access-control-allow-headers": "x-trace",
      vary: "Origin",
    })
  })

  test.each([(etag: string) => etag, (etag: string) => `"other", ${etag}`, () => "*"])(
    "a browser that has the current script gets 304, case %#",
    async (headerOf) => {
      const etag = (await request("databuddy.js")).headers.get("etag") ?? ""
      const response = await request("databuddy.js", { "if-none-match": headerOf(etag) })
      expect(response.status).toBe(304)
      expect(await response.text()).toBe("")
      expect(Object.fromEntries(response.headers)).toMatchObject({
        "access-control-allow-origin": "*",
        "cache-control": "public, max-age=86400",
        etag,
      })
    },
  )

  test("a browser that has another script gets the current one", async () => {
    const other = (await request("vitals.js")).headers.get("etag") ?? ""
    expect((await request("databuddy.js", { "if-none-match": other })).status).toBe(200)
  })

  test("the scripts are also served below --ingest-path", async () => {
    const below = openApp((deps) => ({ settings: { ...deps.settings, ingestPath: "/e" } }))
    for (const path of ["/e/databuddy.js", "/e/vitals.js", "/databuddy.js"]) {
      const response = await below.send(new Request(`http://localhost${path}`))
      expect([path, response.status]).toEqual([path, 200])
    }
    await below.close()
  })

  test("the name from --script-name serves the same script as databuddy.js", async () => {
    const [usual, other] = await Promise.all(
      ["databuddy.js", "app.js"].map(async (name) => (await request(name)).text()),
    )
    expect(other).toBe(usual ?? "")
  })

  test.each(["POST", "PUT", "DELETE"])("%s is not allowed", async (method) => {
    expect((await request("databuddy.js", {}, method)).status).toBe(404)
  })
})

describe("--script-name", () => {
  const option = addServeOptions(new Command("serve")).options.find(({ long }) => long === "--script-name")
  const parse = (text: string) => option?.parseArg?.(text, undefined)

  test.each(["databuddy.js", "app.js", "a-1.min.js", "_.js"])("can be %s", (name) => {
    expect(parse(name) as unknown).toBe(name)
  })

  const invalid = [
    "",
    "app",
    "app.css",
    "/app.js",
    "js/app.js",
    "../app.js",
    ".js",
    "a b.js",
    "vitals.js",
    "errors.js",
  ]
  test.each([...invalid, "databuddy-debug.js", "app.js?x", `${"a".repeat(65)}.js`])(
    "cannot be '%s'",
    (name) => {
      expect(() => parse(name)).toThrow(
        "It must be a file name of letters, digits, '_', '-' and '.' that ends with .js",
      )
    },
  )
})
