import { describe, expect, test } from "bun:test"
import { loginPath, wantedPath } from "../../src/dashboard/door/wanted.ts"

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
    ["the login itself", "/login?to=/login"],
    ["no address at all", "https://["],
  ] as const
  test.each(passedOver)("the first website instead of %s", (_, to) => {
    expect(wantedPath(to, origin)).toBeUndefined()
  })
})

test("whoever comes to the bare address is sent to a bare login", () => {
  expect(loginPath("/")).toBe("/login")
})
