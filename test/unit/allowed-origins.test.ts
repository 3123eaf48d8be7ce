import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { targetWebsites } from "../../src/ingest/credential.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { Registry } from "../../src/store/ingest/registry.ts"
import { appOriginOf, createWebsite, hostOf } from "../../src/store/websites.ts"
import { openTestDatabase, temporaryFolder } from "../harness.ts"

describe("hostOf", () => {
  const hosts: [address: string, host: string | undefined][] = [
    ["example.com", "example.com"],
    ["EXAMPLE.com", "example.com"],
    ["www.example.com", "example.com"],
    ["https://www.Example.com:8080/x?y#z", "example.com"],
    ["example.com:3000", "example.com"],
    ["example.com.", "example.com"],
    ["app.example.com", "app.example.com"],
    ["www.www.example.com", "www.example.com"],
    ["wwwexample.com", "wwwexample.com"],
    ["www.", "www"],
    ["www.com", "www.com"],
    ["www.com.", "www.com"],
    ["www.www.com", "www.com"],
    ["www.localhost", "www.localhost"],
    ["localhost:5173", "localhost"],
    ["192.0.2.7:80", "192.0.2.7"],
    ["0x7f.1", "127.0.0.1"],
    ["http://[2001:DB8::1]:80", "[2001:db8::1]"],
    ["münchen.de", "xn--mnchen-3ya.de"],
    ["https://bücher.example/", "xn--bcher-kva.example"],
    ["", undefined],
    ["null", "null"],
    ["https://", undefined],
    ["file:///etc/passwd", undefined],
    ["ftp://example.com", undefined],
    ["chrome-extension://abc", undefined],
    ["javascript:alert(1)", undefined],
    ["https://user@example.com", undefined],
    ["https://user:pass@example.com", undefined],
    ["exa mple.com", undefined],
    ["a b", undefined],
  ]
  for (const [address, host] of hosts) {
    test(`of '${address}' is ${host}`, () => expect(hostOf(address)).toBe(host as string))
  }
})

describe("appOriginOf", () => {
  const origins: [address: string, origin: string | undefined][] = [
    ["capacitor://localhost", "capacitor://localhost"],
    ["Tauri://LocalHost/", "tauri://localhost"],
    ["chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"],
    ["file://", "file://"],
    ["https://example.com", undefined],
    ["HTTP://example.com", undefined],
    ["app://my-app/path", undefined],
    ["app://user@my-app", undefined],
    ["app://*", undefined],
    ["app://my app", undefined],
    ["javascript:alert(1)", undefined],
    ["app:my-app", undefined],
    ["://x", undefined],
    ["", undefined],
  ]
  for (const [address, origin] of origins) {
    test(`of '${address}' is ${origin}`, () => expect(appOriginOf(address)).toBe(origin as string))
  }
})

describe("origins that can send to a website", () => {
  const folder = temporaryFolder()
  let db: Db
  let registry: Registry

  beforeAll(() => {
    db = openTestDatabase(folder.file("origins.db"))
    const rest = { name: "", anonymize: "off" } as const
    createWebsite(db, "plain", { ...rest, domain: "example.com", allowedOrigins: [] }, 0)
    createWebsite(db, "idn", { ...rest, domain: "xn--mnchen-3ya.de", allowedOrigins: [] }, 0)
    createWebsite(db, "ip", { ...rest, domain: "192.0.2.7", allowedOrigins: [] }, 0)
    createWebsite(db, "local", { ...rest, domain: "localhost", allowedOrigins: [] }, 0)
    createWebsite(db, "www", { ...rest, domain: hostOf("www.com") ?? "", allowedOrigins: [] }, 0)
    createWebsite(db, "listed", { ...rest, domain: "shop.test", allowedOrigins: ["a.b.test", "[::1]"] }, 0)
    const apps = ["capacitor://localhost", "app://my-app", "file://"]
    createWebsite(db, "apps", { ...rest, domain: "shop.test", allowedOrigins: apps }, 0)
    registry = new Registry(db, () => 0)
  })
  afterAll(() => {
    db.close()
    folder[Symbol.dispose]()
  })

  const cases: [id: string, origin: string | null, allowed: boolean][] = [
    ["plain", "https://example.com.", true],
    ["plain", "https://xexample.com", false],
    ["plain", "https://example.com@evil.test", false],
    ["plain", "https://evil.test#.example.com", false],
    ["plain", "https://evil.test\\.example.com", false],
    ["plain", "//example.com", false],
    ["plain", "example.com", false],
    ["plain", "", false],
    ["plain", "null", false],
    ["plain", "https://localhost.", true],
    ["plain", "http://sub.localhost", true],
    ["plain", "http://sub.localhost:8080", true],
    ["plain", "http://localhost.evil.test", false],
    ["plain", "http://notlocalhost", false],
    ["plain", "http://127.8.9.10:3000", true],
    ["plain", "http://127.0.0.1.evil.test", false],
    ["plain", "http://128.0.0.1", false],
    ["plain", "http://0.0.0.0", false],
    ["plain", "http://[::1]:3000", true],
    ["plain", "http://[::2]:3000", false],
    ["plain", "capacitor://localhost", false],
    ["plain", "app://example.com", false],
    ["plain", "file://", false],
    ["plain", null, true],
    ["idn", "https://münchen.de", true],
    ["idn", "https://xn--mnchen-3ya.de", true],
    ["idn", "https://munchen.de", false],
    ["ip", "http://192.0.2.7:8080", true],
    ["ip", "http://192.0.2.70", false],
    ["local", "http://localhost:3000", true],
    ["local", "https://example.com", false],
    ["www", "https://www.com", true],
    ["www", "https://app.www.com", true],
    ["www", "https://com", false],
    ["www", "https://example.com", false],
    ["www", "https://www.example.com", false],
    ["listed", "https://a.b.test", true],
    ["listed", "https://b.test", false],
    ["listed", "https://c.a.b.test", false],
    ["listed", "http://[::1]:3000", true],
    ["listed", null, false],
    ["apps", "capacitor://localhost", true],
    ["apps", "Capacitor://LOCALHOST", true],
    ["apps", "ionic://localhost", false],
    ["apps", "capacitor://localhost:80", false],
    ["apps", "capacitor://other", false],
    ["apps", "app://my-app", true],
    ["apps", "app://my-app.evil", false],
    ["apps", "https://my-app", false],
    ["apps", "file://", true],
    ["apps", "null", false],
    ["apps", "https://shop.test", true],
  ]
  for (const [id, origin, allowed] of cases) {
    test(`${origin} ${allowed ? "can" : "cannot"} send to '${id}'`, () => {
      const find = () =>
        targetWebsites(
          [undefined],
          id,
          { kind: "website", websiteId: id, keyProblem: undefined },
          origin,
          registry,
        )
      if (allowed) expect(find()).toMatchObject([{ id }])
      else expect(find).toThrow("Origin not authorized")
    })
  }
})
