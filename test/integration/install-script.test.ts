import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzip, tar } from "../../src/release/archive.ts"
import { repository } from "../support/repository.ts"

// Runs install.sh with a release whose program is a shell script. `npm run test:release` installs a real release.

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
  writeRelease("service", ["1.2.3"], undefined, ["databuddy.env", "databuddy.service"])
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

/** Asynchronous because the script downloads from a server in this process. */
async function install(...args: string[]) {
  const run = Bun.spawn(["sh", script, "--no-service", ...args], { stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
    run.exited,
  ])
  return { out, err, code }
}

/**
 * Runs the script with all system folders below `root`. Commands that change the system are replaced by stubs, which
 * append their names and arguments to `calls`. The umask is the one of a hardened system.
 */
async function installService(root: string, ...args: string[]) {
  const commands = join(root, "commands")
  mkdirSync(commands, { recursive: true })
  const record = `echo "$(basename "$0") $*" >> "${root}/calls"`
  for (const name of ["systemctl", "useradd", "userdel", "groupdel", "chown"])
    writeFileSync(join(commands, name), `#!/bin/sh\n${record}\n`, { mode: 0o755 })
  // Pretends that the current user is root and that the user databuddy exists.
  writeFileSync(join(commands, "id"), "#!/bin/sh\necho 0\n", { mode: 0o755 })
  mkdirSync(join(root, "run/systemd/system"), { recursive: true })
  const copy = join(root, "install.sh")
  const folders = /\/(etc|var\/lib)\/databuddy\b|\/etc\/systemd\b|\/run\/systemd\b/g
  writeFileSync(
    copy,
    readFileSync(script, "utf8").replace(folders, (path) => root + path),
  )
  const env = { ...process.env, PATH: `${commands}:${process.env.PATH}` }
  const run = ["sh", "-c", 'umask 027 && exec sh "$0" "$@"', copy]
  const command = [...run, "--from", join(folder, "service"), "--prefix", join(root, "usr"), ...args]
  const { stdout, stderr, exitCode } = Bun.spawnSync(command, { env })
  return { out: stdout.toString(), err: stderr.toString(), code: exitCode }
}

const calls = (root: string) => readFileSync(join(root, "calls"), "utf8").trim().split("\n")

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

  test("installs the manual page and the completions, and uninstalls everything", async () => {
    const prefix = join(folder, "complete prefix")
    await install("--from", join(folder, "complete"), "--prefix", prefix)
    const paths = [
      ["share/man/man1/databuddy.1", "databuddy.1"],
      ["share/bash-completion/completions/databuddy", "completions/databuddy.bash"],
      ["share/zsh/site-functions/_databuddy", "completions/databuddy.zsh"],
      ["share/fish/vendor_completions.d/databuddy.fish", "completions/databuddy.fish"],
    ] as const
    for (const [path, content] of paths) expect(readFileSync(join(prefix, path), "utf8")).toBe(content)
    // A file of another program.
    writeFileSync(join(prefix, "share/zsh/site-functions/_other"), "")
    const { err, code } = await install("--uninstall", "--prefix", prefix)
    expect({ err, code }).toEqual({ err: "", code: 0 })
    const others = ["share/man", "share/zsh", "share/zsh/site-functions", "share/zsh/site-functions/_other"]
    expect(files(prefix)).toEqual(["bin", "share", ...others])
  })

  test("only prints what it would do with --dry-run", async () => {
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
    ["broken", [], "is mounted noexec, set TMPDIR to a folder where programs can run"],
    ["two", [], "has several versions"],
    ["two", ["--version", "9.9.9"], "has no databuddy 9.9.9 for"],
    ["empty", [], "has no SHA256SUMS"],
    ["missing", [], "has no SHA256SUMS"],
  ] as const)("fails and installs nothing with the release %s and %j", async (release, args, message) => {
    const prefix = join(folder, "failed")
    for (const from of [join(folder, release), `${server.url.origin}/${release}`]) {
      const { err, code } = await install("--from", from, "--prefix", prefix, ...args)
      expect(err).toContain(message)
      expect(code).toBe(1)
      expect(files(prefix)).toEqual([])
    }
  })
})

// The script only installs a service on Linux.
describe.skipIf(process.platform !== "linux")("install.sh with a service", () => {
  const emptyRoot = () => mkdtempSync(join(folder, "root-"))

  test("lets other users run the program and enter its folders despite a strict umask", async () => {
    const root = emptyRoot()
    await installService(root)
    const modes = {
      "usr/bin": 0o755,
      "usr/bin/databuddy": 0o755,
      "usr/share/databuddy": 0o755,
      "usr/share/databuddy/LICENSE": 0o644,
      "etc/databuddy": 0o755,
      "etc/databuddy/databuddy.env": 0o640,
      "etc/systemd/system/databuddy.service": 0o644,
      "var/lib/databuddy": 0o700,
    }
    const found = Object.keys(modes).map((path) => [path, statSync(join(root, path)).mode & 0o777])
    expect(Object.fromEntries(found)).toEqual(modes)
  })

  test("uninstalls what it installed, but not the administrator's files and the data", async () => {
    const root = emptyRoot()
    expect(await installService(root)).toMatchObject({ err: "", code: 0 })
    writeFileSync(join(root, "etc/databuddy/log-level"), "debug")
    writeFileSync(join(root, "etc/databuddy/key.pem"), "")
    writeFileSync(join(root, "var/lib/databuddy/databuddy.db"), "")
    const { out, err, code } = await installService(root, "--uninstall")
    expect({ err, code }).toEqual({ err: "", code: 0 })
    expect(files(join(root, "etc"))).toEqual(["databuddy", "databuddy/key.pem", "systemd", "systemd/system"])
    expect(files(join(root, "usr"))).toEqual(["bin", "share"])
    expect(files(join(root, "var/lib/databuddy"))).toEqual(["databuddy.db"])
    expect(out).toContain(`These files in ${root}/etc/databuddy were not removed:\nkey.pem\n`)
  })

  test("removes its folders if they are empty", async () => {
    const root = emptyRoot()
    await installService(root)
    const { out, code } = await installService(root, "--uninstall")
    expect({ out, code }).toEqual({ out: "Done.\n", code: 0 })
    expect(files(join(root, "etc"))).toEqual(["systemd", "systemd/system"])
    expect(files(join(root, "var/lib"))).toEqual([])
    expect(calls(root)).toContain("userdel databuddy")
  })

  test("uninstalls only the program with --no-service", async () => {
    const root = emptyRoot()
    await installService(root)
    const system = () => [files(join(root, "etc")), files(join(root, "var")), calls(root)]
    const before = system()
    const { out, err, code } = await installService(root, "--uninstall", "--no-service")
    expect({ out, err, code }).toEqual({ out: "Done.\n", err: "", code: 0 })
    expect(files(join(root, "usr"))).toEqual(["bin", "share"])
    expect(system()).toEqual(before)
  })
})
