import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { gzip, tar } from "../../src/release/archive.ts"
import { Database } from "../../src/store/db/driver.ts"
import { migrations } from "../../src/store/db/migrate.ts"
import { type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"
import { createSigningKey } from "../support/minisign.ts"

/** In seconds. Long enough for a server to start on a busy machine. */
const readyWithin = "5"

// The built binary updates a copy of itself from a server in this process. The newer release is a script that prints
// another version and runs the same binary, or fails where a test requires it.

const newer = "99.0.0"
const platform = `${process.platform}-${process.arch}`
const archive = `databuddy-${newer}-${platform}.tar.gz`
const key = createSigningKey()

let folder: TemporaryFolder
let server: ReturnType<typeof Bun.serve>
/** Files of the release by name. */
let release: Map<string, Uint8Array | string>
let requests: string[]
let port: number
let program: string
let db: string

beforeEach(async () => {
  folder = temporaryFolder()
  mkdirSync(folder.file("bin"))
  program = folder.file("bin/databuddy")
  copyFileSync(binary, program, constants.COPYFILE_FICLONE)
  db = folder.file("databuddy.db")
  port = freePort()
  release = new Map()
  requests = []
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const name = new URL(request.url).pathname.slice(1)
      requests.push(name)
      return new Response(release.get(name) ?? null, { status: release.has(name) ? 200 : 404 })
    },
  })
  writeFileSync(folder.file("control"), controlScript(), { mode: 0o755 })
  await startPreviousServer()
})
afterEach(async () => {
  Bun.spawnSync([folder.file("control"), "stop", "databuddy.service"])
  await server.stop(true)
  folder[Symbol.dispose]()
})

function freePort(): number {
  const listener = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() })
  // Once the listener has stopped, its port is 0.
  const { port } = listener
  void listener.stop(true)
  return port ?? 0
}

/** Starts a process that responds to /ready as a server of the previous version. It does not migrate the database. */
async function startPreviousServer(): Promise<void> {
  const source = `Bun.serve({ port: ${port}, hostname: "127.0.0.1", fetch: () => Response.json({ status: "ready" }) })`
  const command = [process.execPath, "--eval", `${source}; console.log("listening")`]
  const child = Bun.spawn(command, { env: environment(), stdout: "pipe", stderr: "inherit" })
  writeFileSync(folder.file("pid"), String(child.pid))
  await child.stdout.getReader().read()
}

/** Returns a script that replaces systemctl. Before each start, it records the version and the pending migrations. */
function controlScript(): string {
  return `#!/bin/sh
cd "${folder.path}"
echo "$1 $2" >> calls
if [ "$1" = start ]; then
  "${program}" --version | cut -d ' ' -f 2 >> started
  "${program}" migrate --status --db "${db}" | grep -c pending >> pending
  "${program}" serve --db "${db}" --port ${port} --no-setup --min-free 0 > log 2>&1 &
  echo $! > pid
elif [ -e pid ]; then
  kill "$(cat pid)"
  # A process that nobody waits for stays as a zombie.
  while grep -q '^State:.[^ZX]' "/proc/$(cat pid)/status" 2>/dev/null; do sleep 0.05; done
  rm pid
fi
`
}

/** Publishes a release whose program runs this script first. */
function publish(script: string, version = newer, beforeVersion = ""): void {
  const content = `#!/bin/sh
${beforeVersion}
if [ "$1" = --version ]; then echo "databuddy ${version} (commit 0)"; exit; fi
${script}
exec "${binary}" "$@"
`
  const name = archive.replace(newer, version)
  const packed = gzip(tar([{ path: `databuddy-${version}/databuddy`, mode: 0o755, content }], 0))
  const sums = `${createHash("sha256").update(packed).digest("hex")}  ${name}\n`
  release = new Map<string, Uint8Array | string>([
    [name, packed],
    ["SHA256SUMS", sums],
    ["SHA256SUMS.minisig", key.sign(sums)],
  ])
}

function createDatabase(schema: string): void {
  const made = new Database(db)
  made.pragma("auto_vacuum = incremental")
  made.exec(readFileSync(join(import.meta.dir, `../fixtures/schema-${schema}.sql`), "utf8"))
  made.close()
}

/** Asynchronous, because the server in this process must be able to respond. */
async function update(...args: string[]) {
  const location = ["--url", server.url.origin, "--public-key", key.publicKey, "--db", db]
  const control = ["--control", folder.file("control"), "--port", String(port), "--ready-within", readyWithin]
  return databuddy("update", ...location, ...control, ...args)
}

/** Runs the copied binary with the umask of a hardened system. */
async function databuddy(...args: string[]) {
  const command = ["sh", "-c", 'umask 027 && exec "$0" "$@"', program, ...args]
  const run = Bun.spawn(command, { env: environment(), stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
    run.exited,
  ])
  return { out, err, code }
}

const lines = (name: string) =>
  existsSync(folder.file(name)) ? readFileSync(folder.file(name), "utf8").trim().split("\n") : []
const programs = () => readdirSync(folder.file("bin"))
const isReady = async () => (await fetch(`http://127.0.0.1:${port}/ready`)).status
const current = async () => (await databuddy("--version")).out.split(" ")[1]
/** Number of the schema before the newest. */
const older = migrations.at(-2)?.name.slice(0, 4) ?? ""

describe("update", () => {
  test("installs a newer version, migrates the database after a backup, and restarts the server", async () => {
    createDatabase(older)
    publish("")
    const { out, err, code } = await update()
    expect({ err, code }).toEqual({ err: "", code: 0 })
    expect(out).toContain(`to ${newer}, migrated its database (backup: ${db}.before-migration-${older}-`)
    expect(lines("calls")).toEqual(["stop databuddy.service", "start databuddy.service"])
    expect(await isReady()).toBe(200)
    expect(await current()).toBe(newer)
    expect(programs()).toEqual(["databuddy"])
    // The user of the service can run the program.
    expect(statSync(program).mode & 0o777).toBe(0o755)
  })

  test.each([
    ["does not start", 'if [ "$1" = serve ]; then exit 1; fi'],
    ["never becomes ready", 'if [ "$1" = serve ]; then exec sleep 60; fi'],
  ])("returns to the previous version and its database if the new one %s", async (_, script) => {
    createDatabase(older)
    publish(script)
    const previous = await current()
    const { err, code } = await update()
    expect(code).toBe(1)
    expect(err).toContain(
      `databuddy ${newer} did not start: the server is not ready: http://127.0.0.1:${port}/ready: no response`,
    )
    expect(err).toContain(
      "The previous version is running again with the database as it was before the migration",
    )
    const [replaced] = readdirSync(folder.path).filter((name) => name.includes(".before-restore-"))
    expect(err).toContain(
      `; ${folder.file(replaced ?? "none")} contains the events that arrived while the new version was running`,
    )
    expect(lines("started")).toEqual([newer, previous ?? ""])
    // The last migration is pending again when the previous version starts, so the database has the previous schema.
    expect(lines("pending")).toEqual(["0", "1"])
    expect(await isReady()).toBe(200)
    expect(await current()).toBe(previous ?? "")
    expect(programs()).toEqual(["databuddy"])
  })

  test("keeps the previous version if the migration fails", async () => {
    createDatabase(older)
    publish('if [ "$1" = migrate ]; then echo "error: no space" >&2; exit 1; fi')
    const previous = await current()
    const { err, code } = await update()
    expect(code).toBe(1)
    expect(err).toContain(`databuddy ${newer} was not installed: databuddy migrate failed`)
    expect(err).toContain("databuddy migrate failed: error: no space. The previous version is running again")
    expect(lines("started")).toEqual([previous ?? ""])
    expect(await isReady()).toBe(200)
    expect(programs()).toEqual(["databuddy"])
  })

  const signals = "for signal in INT TERM HUP; do kill -$signal $PPID; sleep 0.2; done"

  test("is not interrupted by signals after it has stopped the server", async () => {
    createDatabase(older)
    publish(`if [ "$1 $2" = "migrate --db" ]; then ${signals}; fi`)
    const { err, code } = await update()
    expect({ err, code }).toEqual({ err: "", code: 0 })
    expect(await isReady()).toBe(200)
    expect(await current()).toBe(newer)
  })

  test("returns to the previous version despite signals", async () => {
    createDatabase(older)
    publish(`if [ "$1 $2" = "migrate --db" ]; then ${signals}; exit 1; fi`)
    const { err, code } = await update()
    expect(err).toContain("The previous version is running again")
    expect(code).toBe(1)
    expect(await isReady()).toBe(200)
    expect(programs()).toEqual(["databuddy"])
  })

  test("keeps the previous program if the new one cannot replace it", async () => {
    createDatabase(older)
    publish(
      `if [ "$1" = migrate ]; then rm "${program}.new"; echo '{ "applied": [], "backup": null }'; exit; fi`,
    )
    const { err, code } = await update()
    expect(err).toContain(`databuddy ${newer} was not installed: ENOENT`)
    expect(err).toContain("The previous version is running again")
    expect(code).toBe(1)
    expect(await isReady()).toBe(200)
    expect(programs()).toEqual(["databuddy"])
  })

  test("--check reports a newer version and changes nothing", async () => {
    publish("")
    const { out, code } = await update("--check")
    expect(out).toContain(`databuddy ${newer} is available`)
    expect(code).toBe(0)
    expect(requests).not.toContain(archive)
    expect(programs()).toEqual(["databuddy"])
  })

  test("does not install an older version", async () => {
    publish("", "0.0.1")
    expect((await update()).out).toContain("is the newest version\n")
    expect(programs()).toEqual(["databuddy"])
  })

  test.each([
    [
      "another key signed the release",
      () => release.set("SHA256SUMS.minisig", createSigningKey().sign(text("SHA256SUMS"))),
      "SHA256SUMS is not signed by the configured key",
    ],
    [
      "the checksums were changed",
      () =>
        release.set(
          "SHA256SUMS",
          text("SHA256SUMS").replace(/^./, (digit) => (digit === "0" ? "1" : "0")),
        ),
      "SHA256SUMS is not signed by the configured key",
    ],
    [
      "the release is not signed",
      () => release.delete("SHA256SUMS.minisig"),
      "SHA256SUMS.minisig cannot be downloaded: status 404",
    ],
    [
      "the archive was changed",
      () => release.set(archive, "other"),
      "does not have the checksum in SHA256SUMS",
    ],
    ["the archive is missing", () => release.delete(archive), `${archive} cannot be downloaded: status 404`],
    ["there is no release", () => release.clear(), "SHA256SUMS cannot be downloaded: status 404"],
    ["the program does not run", () => publish("", newer, "exit 1"), "does not run on this machine"],
  ])("installs nothing if %s", async (_, change, message) => {
    createDatabase(older)
    publish("")
    change()
    const { err, code } = await update()
    expect(err).toContain(message)
    expect(err).toContain("nothing was changed")
    expect(code).toBe(1)
    expect(lines("calls")).toEqual([])
    expect(programs()).toEqual(["databuddy"])
  })

  test("sends no request if no URL or no key is configured", async () => {
    expect((await databuddy("update")).err).toContain("no release URL is configured")
    expect((await databuddy("update", "--url", server.url.origin)).err).toContain(
      "no public key for releases",
    )
    expect(requests).toEqual([])
  })

  test("changes nothing if the server does not respond, for example because of a wrong port", async () => {
    createDatabase(older)
    publish("")
    const wrong = freePort()
    const { err, code } = await update("--port", String(wrong))
    expect(err).toContain(`no server responds at http://127.0.0.1:${wrong}`)
    expect(err).toContain("nothing was changed")
    expect(err).toContain("set --port")
    expect(code).toBe(1)
    expect(lines("calls")).toEqual([])
    expect(requests).not.toContain(archive)
    expect(programs()).toEqual(["databuddy"])
  })

  test("does not install a prerelease", async () => {
    publish("", "99.0.0-rc.1")
    expect((await update("--check")).err).toContain("has no release for")
  })

  test("requires the server's database, so that it can be restored", async () => {
    publish("")
    const { err, code } = await update()
    expect({ err: err.includes(`${db} does not exist`), code }).toEqual({ err: true, code: 1 })
    expect(lines("calls")).toEqual([])
  })
})

const text = (name: string) => String(release.get(name))
