import { describe, expect, test } from "bun:test"
import { existsSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { version } from "../../src/version.ts"
import { binary } from "../support/binary.ts"
import { type JailedProcess, jailCommand, makeJail } from "../support/jail.ts"
import { repository } from "../support/repository.ts"

const command = jailCommand()
const skipped = command === undefined ? " (skipped: needs root with CAP_SYS_ADMIN, or user namespaces)" : ""

describe.skipIf(command === undefined)(`where there is nothing but the binary${skipped}`, () => {
  const jailed = () => makeJail(command ?? [])

  test("databuddy version prints its version and commit, and the versions of what it contains", async () => {
    using jail = jailed()
    const run = await finished(jail.start(["version"]))
    expect(run).toMatchObject({ code: 0, errors: "" })
    expect(run.output).toContain(version)
    expect(run.output).toContain(Bun.version)
    expect(run.output).toMatch(/\b3\.\d+\.\d+\b/)
    expect(run.output).toMatch(/\b20\d\d[a-z]\b/)
    expect(run.output).toMatch(/^countries +20\d\d-\d\d-\d\d$/m)
    expect(run.output).toMatch(/\b[0-9a-f]{7,40}\b|\bunknown\b/)
  })

  test("databuddy serve creates a database and a key, stores an event with it, and stops cleanly", async () => {
    using jail = jailed()
    const port = freePort()
    const server = jail.start(["serve", "--db", "/data/x.db", "--port", String(port)])
    try {
      const key = await firstMatch(server, /dbdy_\S+(?=\s)/)
      const answer = await fetch(`http://127.0.0.1:${port}/track`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ name: "isolated" }),
      })
      expect(await answer.json()).toEqual({ status: "success", type: "custom_event", count: 1 })
      expect(answer.status).toBe(200)
      server.kill("SIGTERM")
      expect(await server.exited).toBe(0)
    } finally {
      server.kill("SIGKILL")
      await server.exited
    }
    expect(existsSync(join(jail.root, "data/x.db"))).toBe(true)
    expect(existsSync(join(jail.root, "data/x.db-wal"))).toBe(false)
  }, 20_000)

  test("a .env and a bunfig.toml in the working directory have no effect", async () => {
    using jail = jailed()
    const without = await finished(jail.start(["version"]))
    writeFileSync(join(jail.root, ".env"), "TMPDIR=/does-not-exist\nBUN_TMPDIR=/does-not-exist\n")
    writeFileSync(join(jail.root, "bunfig.toml"), 'preload = ["./preload.ts"]\n')
    writeFileSync(join(jail.root, "preload.ts"), 'throw new Error("code of another project ran")\n')
    expect(await finished(jail.start(["version"]))).toEqual(without)
  })
})

// Weaker than a jail, but strace also works in containers that forbid mounts.
const traced = Bun.which("strace") !== null && Bun.spawnSync(["strace", "-o", "/dev/null", "true"]).success

test.skipIf(!traced)(
  `the binary opens no file of its source tree${traced ? "" : " (skipped: needs strace)"}`,
  () => {
    const run = Bun.spawnSync(["strace", "-f", "-e", "trace=%file", binary, "version"], { cwd: tmpdir() })
    expect(run.exitCode).toBe(0)
    const opened = run.stderr.toString().match(/"\/[^"]*"/g) ?? []
    expect(opened.length).toBeGreaterThan(0)
    expect(opened.filter((path) => path.includes(repository) && path !== `"${binary}"`)).toEqual([])
  },
)

async function finished(run: JailedProcess) {
  const [output, errors, code] = await Promise.all([run.stdout.text(), run.stderr.text(), run.exited])
  return { output, errors, code }
}

/** Reads the output of a process until part of it matches, and leaves the pipe open for later output. */
async function firstMatch(run: JailedProcess, pattern: RegExp): Promise<string> {
  const reader = run.stdout.pipeThrough(new TextDecoderStream()).getReader()
  let output = ""
  for (;;) {
    const { done, value } = await reader.read()
    if (done) throw new Error(`ended before it printed ${pattern}: ${output}${await run.stderr.text()}`)
    output += value
    const match = pattern.exec(output)?.[0]
    if (match !== undefined) return match
  }
}

function freePort(): number {
  const server = Bun.serve({ port: 0, fetch: () => new Response() })
  const port = server.port ?? 0
  server.stop(true)
  return port
}
