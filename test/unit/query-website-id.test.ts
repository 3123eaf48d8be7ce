import { expect, test } from "bun:test"
import { queryWebsiteId } from "../../src/ingest/credential.ts"

test.each([
  ["", undefined],
  ["?client_id=shop", "shop"],
  ["?website_id=8c0ff5a0-1c1e-4b8e-9a52-2f9a6a5d8e11", "8c0ff5a0-1c1e-4b8e-9a52-2f9a6a5d8e11"],
  ["?client_id=a%26b", "a&b"],
  ["?client_id=a+b", "a b"],
  ["?client_id=", undefined],
  ["?website_id=&client_id=shop", "shop"],
  ["?client_id=shop&website_id=blog", "blog"],
  ["?sdk_version=2&client_id=shop&client_id=blog", "shop"],
] as const)("the query %p names the website %p", (query, id) => {
  expect(queryWebsiteId(`https://stats.example/batch${query}`)).toBe(id)
})
