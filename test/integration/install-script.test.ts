import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzip, tar } from "../../src/release/archive.ts"
import { repository } from "../support/repository.ts"

// The script with a release whose program is a shell script. test/release/ installs the real one into a clean system.

const script = join(repository, "src/release/install.sh")
const platform = `${process.platform}-${process.arch}`
let folder: string
let server: ReturnType<typeof Bun.serve>

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "databuddy-install-"))
  writeRelease("release", ["1.2.3"])
  writeRelease("two", ["1.2.3", "1.3.0"])
  writeRelease("damaged", ["1.2.3"])
  writeFileSync(join(folder, "damaged", `databuddy-1.2.3-${platform}.tar.gz`), "something else")
  writeRelease("broken", ["1.2.3"], "#!/bin/sh\nexit 1\n")
  const completions = ["bash", "zsh", "fish"].map((shell) => `completions/databuddy.${shell}`)
  writeRelease("complete", ["1.2.3"], undefined, ["databuddy.1", ...completions])
  mkdirSync(join(folder, "empty"))
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const file = join(folder, new URL(request.url).pathname)
      return existsSync(file) ? new Response(Bun.file(file)) : new Response(null, { status: 404 })
    },
  })
})
afterAll(async () => {
  await server.stop(true)
  rmSync(folder, { recursive: true })
})

function writeRelease(
  name: string,
  versions: string[],
  program = "#!/bin/sh\necho databuddy\n",
  more: string[] = [],
): void {
  mkdirSync(join(folder, name))
  const lines = versions.map((version) => {
    const top = `databuddy-${version}-${platform}`
    const texts = ["LICENSE", "THIRD-PARTY-LICENSES.txt", "CHANGELOG.md"]
    const entries = [
      { path: `${top}/databuddy`, mode: 0o755, content: program },
      ...[...texts, ...more].map((text) => ({ path: `${top}/${text}`, mode: 0o644, content: text })),
    ]
    const bytes = gzip(tar(entries, 0))
    writeFileSync(join(folder, name, `${top}.tar.gz`), bytes)
    return `${createHash("sha256").update(bytes).digest("hex")}  ${top}.tar.gz\n`
  })
  writeFileSync(join(folder, name, "SHA256SUMS"), lines.join(""))
}

/** Asynchronous, because the server of this process answers the script. */
async function install(...args: string[]) {
  const run = Bun.spawn(["sh", script, "--no-service", ...args], { stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
    run.exited,
  ])
  return { out, err, code }
}

const files = (prefix: string) =>
  existsSync(prefix) ? readdirSync(prefix, { recursive: true, encoding: "utf8" }).sort() : []

const installed = [
  "bin",
  "bin/databuddy",
  "share",
  "share/databuddy",
  "share/databuddy/CHANGELOG.md",
  "share/databuddy/LICENSE",
  "share/databuddy/THIRD-PARTY-LICENSES.txt",
]

describe("install.sh", () => {
  test.each([
    ["a folder", () => join(folder, "release")],
    ["a URL", () => `${server.url.origin}/release/`],
  ])("installs from %s", async (name, from) => {
    const prefix = join(folder, `from ${name}`)
    const { out, err, code } = await install("--from", from(), "--prefix", prefix)
    expect({ err, code }).toEqual({ err: "", code: 0 })
    expect(out).toContain(`Installing databuddy-1.2.3-${platform} from ${from()}`)
    expect(files(prefix)).toEqual(installed)
    expect(Bun.spawnSync([join(prefix, "bin/databuddy")]).stdout.toString()).toBe("databuddy\n")
  })

  test("installs the manual page and the completions, and uninstalls without a trace", async () => {
    const prefix = join(folder, "complete prefix")
    await install("--from", join(folder, "complete"), "--prefix", prefix)
    const paths = [
      ["share/man/man1/databuddy.1", "databuddy.1"],
      ["share/bash-completion/completions/databuddy", "completions/databuddy.bash"],
      ["share/zsh/site-functions/_databuddy", "completions/databuddy.zsh"],
      ["share/fish/vendor_completions.d/databuddy.fish", "completions/databuddy.fish"],
    ] as const
    for (const [path, content] of paths) expect(readFileSync(join(prefix, path), "utf8")).toBe(content)
    // Another program's.
    writeFileSync(join(prefix, "share/zsh/site-functions/_other"), "")
    const { err, code } = await install("--uninstall", "--prefix", prefix)
    expect({ err, code }).toEqual({ err: "", code: 0 })
    const others = ["share/man", "share/zsh", "share/zsh/site-functions", "share/zsh/site-functions/_other"]
    expect(files(prefix)).toEqual(["bin", "share", ...others])
  })

  test("prints what it would do with --dry-run, and does nothing", async () => {
    const prefix = join(folder, "dry")
    const { out, code } = await install("--dry-run", "--from", join(folder, "release"), "--prefix", prefix)
    expect(code).toBe(0)
    expect(out).toContain(`would run: mv -f ${prefix}/bin/.databuddy.new ${prefix}/bin/databuddy`)
    expect(files(prefix)).toEqual([])
  })

  test("installs the version that --version names", async () => {
    const prefix = join(folder, "versions")
    const { out } = await install("--from", join(folder, "two"), "--version", "1.3.0", "--prefix", prefix)
    expect(out).toContain("databuddy-1.3.0-")
    expect(files(prefix)).toEqual(installed)
  })

  test.each([
    ["damaged", [], "does not have the checksum in SHA256SUMS: nothing was installed"],
    ["broken", [], "the program does not run on this system: nothing was installed"],
    ["two", [], "has several versions"],
    ["two", ["--version", "9.9.9"], "has no databuddy 9.9.9 for"],
    ["empty", [], "has no SHA256SUMS"],
    ["missing", [], "has no SHA256SUMS"],
  ] as const)("fails and installs nothing: %s %j", async (release, args, message) => {
    const prefix = join(folder, "failed")
    for (const from of [join(folder, release), `${server.url.origin}/${release}`]) {
      const { err, code } = await install("--from", from, "--prefix", prefix, ...args)
      expect(err).toContain(message)
      expect(code).toBe(1)
      expect(files(prefix)).toEqual([])
    }
  })
})
