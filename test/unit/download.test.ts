import { expect, test } from "bun:test"
import { Downloads } from "../../src/admin-api/download.ts"

async function* threeBytes(): AsyncGenerator<Uint8Array> {
  for (let byte = 0; byte < 3; byte++) yield Uint8Array.of(byte)
}

const never = new AbortController().signal
const start = (downloads: Downloads, caller: string, signal = never) =>
  downloads.limit(caller, threeBytes(), signal)[Symbol.asyncIterator]()

test("one caller takes at most two of the four downloads, also before the first byte is read", () => {
  const downloads = new Downloads()
  start(downloads, "key a")
  start(downloads, "key a")
  expect(() => start(downloads, "key a")).toThrow("2 of your exports are running")
  start(downloads, "key b")
  start(downloads, "login c")
  expect(() => start(downloads, "login d")).toThrow("4 exports are running")
})

const ends: [string, (download: AsyncIterator<Uint8Array>, abort: () => void) => unknown][] = [
  [
    "is read to its end",
    async (download) => {
      while (!(await download.next()).done);
    },
  ],
  ["is cancelled", (download) => download.return?.()],
  ["loses its client before the first byte", (_, abort) => abort()],
  [
    "is cancelled after its client is lost",
    async (download, abort) => {
      abort()
      await download.return?.()
    },
  ],
]
test.each(ends)("a download that %s frees its place, once", async (_, end) => {
  const downloads = new Downloads()
  const client = new AbortController()
  const download = start(downloads, "key a", client.signal)
  start(downloads, "key a")
  await end(download, () => client.abort())
  start(downloads, "key a")
  expect(() => start(downloads, "key a")).toThrow()
})

test("a download that fails frees its place", async () => {
  const downloads = new Downloads()
  const failing = (async function* (): AsyncGenerator<Uint8Array> {
    yield Uint8Array.of(1)
    throw new Error("disk")
  })()
  const download = downloads.limit("key a", failing, never)[Symbol.asyncIterator]()
  start(downloads, "key a")
  await download.next()
  await expect(download.next()).rejects.toThrow("disk")
  start(downloads, "key a")
})
