import { describe, expect, test } from "bun:test"
import { loginPath, wantedPath } from "../../src/dashboard/login/redirect.ts"
import { safePath } from "../../src/saved/path.ts"

const origin = "https://events.example.com"

describe("after the login one comes to", () => {
  const followed = [
    ["a page of a website", "/w/shop/events?period=today&f=eq%3Apath%3A%2F"],
    ["a page of settings", "/settings/keys"],
  ] as const
  test.each(followed)("%s", (_, path) => {
    expect(wantedPath(path, origin)).toBe(path)
    expect(wantedPath(new URL(loginPath(path), origin).searchParams.get("to"), origin)).toBe(path)
  })

  const passedOver = [
    ["nothing", null],
    ["another server", "https://evil.example/w/shop/events"],
    ["another server, by two slashes", "//evil.example/w/shop/events"],
    ["another server, by backslashes", "\\\\evil.example/w/shop/events"],
    ["another port", "https://events.example.com:8443/w/shop/events"],
    ["a script", "javascript:alert(1)//w/"],
    ["what is no page of the dashboard", "/docs"],
    ["a way out of it", "/w/../docs"],
    ["an escaped way out of it", "/w/x/%2e%2E/%2e./docs"],
    ["one that is escaped twice", "/w/%252e%252e/docs"],
    ["one with an escaped slash", "/w/x%2f..%2f..%2fdocs"],
    ["one with a line feed in it", "/w/.\n./docs"],
    ["a way out that escapes lead to", "/w/%5c..%5cdocs"],
    ["another server behind three slashes", "///evil.example/w/x/"],
    ["another server with our name before it", "https://events.example.com@evil.example/w/x/"],
    ["the login itself", "/login?to=/login"],
    ["no address at all", "https://["],
  ] as const
  test.each(passedOver)("the first website instead of %s", (_, to) => {
    expect(wantedPath(to, origin)).toBeUndefined()
  })
})

describe("a saved path", () => {
  test.each(["%2e%2e/settings/users", "..", "x/%252e/y", "x%2f..", "x/%5c%2e%2e"])(
    "that leads out, %s, opens the overview",
    (path) => {
      expect(safePath(path)).toBe("overview")
    },
  )
  test.each(["", "?period=today", "funnels?step=a&x=../y", "people/user%2F1"])(
    "that stays, %s, is opened",
    (path) => {
      expect(safePath(path)).toBe(path)
    },
  )
})

test("whoever comes to the bare address is sent to a bare login", () => {
  expect(loginPath("/")).toBe("/login")
})
