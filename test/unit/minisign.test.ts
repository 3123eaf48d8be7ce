import { describe, expect, test } from "bun:test"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parsePublicKey, verifySignature } from "../../src/update/minisign.ts"
import { newestFor, releasesIn } from "../../src/update/newest-release.ts"
import { createSigningKey } from "../support/minisign.ts"

const key = createSigningKey()
const message = Buffer.from("checksums\n")

describe("a signature", () => {
  test.each([
    ["of the hash", key.sign(message)],
    ["of the file itself, as created by older versions", key.sign(message, { legacy: true })],
  ])("%s is valid", (_, file) => {
    expect(() => verifySignature(message, file, parsePublicKey(key.publicKey))).not.toThrow()
  })

  const lines = key.sign(message).split("\n")
  test.each([
    ["of another message", key.sign("other"), "does not match"],
    ["of another key with the same ID", createSigningKey().sign(message), "does not match"],
    ["of another key", createSigningKey("87654321").sign(message), "a different key"],
    ["with another comment", lines.with(2, "trusted comment: new").join("\n"), "comment does not match"],
    ["that is empty", "", "is not a minisign signature"],
    ["that is a web page", "<html>\n<body>\n</body>\n</html>\n", "is not a minisign signature"],
    ["without its last line", lines.slice(0, 3).join("\n"), "comment does not match"],
  ])("%s is rejected", (_, file, reason) => {
    expect(() => verifySignature(message, file, parsePublicKey(key.publicKey))).toThrow(reason)
  })
})

test.each(["", "RW", "untrusted comment: minisign public key", Buffer.alloc(42).toString("base64")])(
  "%p is not a public key",
  (text) => {
    expect(() => parsePublicKey(text)).toThrow("is not a minisign public key")
  },
)

const minisign = Bun.which("minisign")
test.skipIf(!minisign)(
  `signatures created by minisign are valid${minisign ? "" : " (skipped: needs minisign)"}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), "databuddy-minisign-"))
    try {
      writeFileSync(join(folder, "SHA256SUMS"), message)
      const run = (...args: string[]) => Bun.spawnSync(["minisign", ...args], { cwd: folder })
      run("-G", "-W", "-p", "key.pub", "-s", "key.sec")
      run("-S", "-s", "key.sec", "-m", "SHA256SUMS")
      const publicKey = parsePublicKey(readFileSync(join(folder, "key.pub"), "utf8").split("\n")[1] ?? "")
      const file = readFileSync(join(folder, "SHA256SUMS.minisig"), "utf8")
      expect(() => verifySignature(message, file, publicKey)).not.toThrow()
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
)

test("the releases of a platform are sorted by version, and other files are ignored", () => {
  const hash = "0".repeat(64)
  const names = [
    "databuddy-1.10.0-linux-x64.tar.gz",
    "databuddy-1.9.0-linux-x64.tar.gz",
    "databuddy-1.10.0-rc.1-linux-x64.tar.gz",
    "databuddy-2.0.0-linux-x64-musl.tar.gz",
    "databuddy-2.0.0-darwin-x64.tar.gz",
    "databuddy_2.0.0_amd64.deb",
    "../databuddy-3.0.0-linux-x64.tar.gz",
    "databuddy-3.0.0/../../x-linux-x64.tar.gz",
  ]
  const sums = names.map((name) => `${hash}  ${name}\n`).join("")
  const versions = (platform: string) => releasesIn(sums, platform).map((release) => release.version)
  expect(versions("linux-x64")).toEqual(["1.9.0", "1.10.0-rc.1", "1.10.0"])
  expect(versions("linux-x64-musl")).toEqual(["2.0.0"])
  expect(versions("linux-arm64")).toEqual([])
})

test.each([
  ["1.0.0", ["1.1.0", "1.2.0-rc.1"], "1.1.0"],
  ["1.0.0", ["1.1.0", "1.2.0+build-1"], "1.2.0+build-1"],
  ["1.2.0-rc.1", ["1.1.0", "1.2.0-rc.2"], "1.2.0-rc.2"],
  ["1.2.0-rc.1", ["1.2.0-rc.2", "1.2.0"], "1.2.0"],
  ["1.0.0", ["1.2.0-rc.1"], undefined],
])("a prerelease replaces only a prerelease: %s of %j", (running, versions, expected) => {
  const releases = versions.map((version) => ({ version, archive: "", sha256: "" }))
  expect(newestFor(running, releases)?.version).toBe(expected)
})
