import { describe, expect, test } from "bun:test"
import { loginPath, redirectPath } from "../../src/dashboard/login/redirect.ts"
import { safePath } from "../../src/saved/path.ts"

const origin = "https://events.example.com"

describe("the page after the login is", () => {
  const allowed = [
    ["a page of a website", "/w/shop/events?period=today&f=eq%3Apath%3A%2F"],
    ["a page of settings", "/settings/keys"],
  ] as const
  test.each(allowed)("%s", (_, path) => {
    expect(redirectPath(path, origin)).toBe(path)
    expect(redirectPath(new URL(loginPath(path), origin).searchParams.get("to"), origin)).toBe(path)
  })

  const rejected = [
    ["nothing", null],
    ["another server", "https://evil.example/w/shop/events"],
    ["another server, with two slashes", "//evil.example/w/shop/events"],
    ["another server, with backslashes", "\\\\evil.example/w/shop/events"],
    ["another port", "https://events.example.com:8443/w/shop/events"],
    ["a script", "javascript:alert(1)//w/"],
    ["a page outside the dashboard", "/docs"],
    ["a path traversal", "/w/../docs"],
    ["an escaped path traversal", "/w/x/%2e%2E/%2e./docs"],
    ["a doubly escaped path traversal", "/w/%252e%252e/docs"],
    ["a path traversal with escaped slashes", "/w/x%2f..%2f..%2fdocs"],
    ["a path traversal with a line feed", "/w/.\n./docs"],
    ["a path traversal with escaped backslashes", "/w/%5c..%5cdocs"],
    ["another server, with three slashes", "///evil.example/w/x/"],
    ["another server, with this host as its user name", "https://events.example.com@evil.example/w/x/"],
    ["the login itself", "/login?to=/login"],
    ["an invalid URL", "https://["],
  ] as const
  test.each(rejected)("the first website instead of %s", (_, to) => {
    expect(redirectPath(to, origin)).toBeUndefined()
  })
})

describe("a saved path", () => {
  test.each(["%2e%2e/settings/users", "..", "x/%252e/y", "x%2f..", "x/%5c%2e%2e"])(
    "that leaves the website, %s, opens the overview",
    (path) => {
      expect(safePath(path)).toBe("overview")
    },
  )
  test.each(["", "?period=today", "funnels?step=a&x=../y", "people/user%2F1"])(
    "that stays in the website, %s, is opened",
    (path) => {
      expect(safePath(path)).toBe(path)
    },
  )
})

test("the root path needs no redirect after the login", () => {
  expect(loginPath("/")).toBe("/login")
})
