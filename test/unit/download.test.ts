import { expect, test } from "bun:test"
import { Downloads } from "../../src/admin-api/download.ts"

async function* threeBytes(): AsyncGenerator<Uint8Array> {
  for (let byte = 0; byte < 3; byte++) yield Uint8Array.of(byte)
}

const never = new AbortController().signal
const start = async (downloads: Downloads, caller: string, signal = never, bytes = threeBytes()) =>
  (await downloads.limit(caller, async () => bytes, signal))[Symbol.asyncIterator]()

test("one caller can have two of the four downloads, which count before their first byte is read", async () => {
  const downloads = new Downloads()
  await start(downloads, "key a")
  await start(downloads, "key a")
  await expect(start(downloads, "key a")).rejects.toThrow("2 of your exports are running")
  await start(downloads, "key b")
  await start(downloads, "login c")
  await expect(start(downloads, "login d")).rejects.toThrow("4 exports are running")
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
test.each(ends)("a download that %s frees its place only once", async (_, end) => {
  const downloads = new Downloads()
  const client = new AbortController()
  const download = await start(downloads, "key a", client.signal)
  await start(downloads, "key a")
  await end(download, () => client.abort())
  await start(downloads, "key a")
  await expect(start(downloads, "key a")).rejects.toThrow()
})

test("a download that fails frees its place", async () => {
  const downloads = new Downloads()
  const failing = (async function* (): AsyncGenerator<Uint8Array> {
    yield Uint8Array.of(1)
    throw new Error("disk")
  })()
  const download = await start(downloads, "key a", never, failing)
  await start(downloads, "key a")
  await download.next()
  await expect(download.next()).rejects.toThrow("disk")
  await start(downloads, "key a")
})

test("a download that cannot start frees its place", async () => {
  const downloads = new Downloads()
  const fail = () => Promise.reject(new Error("cluster"))
  for (let attempt = 0; attempt < 5; attempt++)
    await expect(downloads.limit("key a", fail, never)).rejects.toThrow("cluster")
})
