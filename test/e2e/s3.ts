// Run with `bun run test:s3`. Tests off-site backups with a real S3 server, s3rver, which npm installs: a restore,
// kills of either server during an upload, a wrong access key, and a full disk. Needs Linux. The test with a full disk
// is skipped without root.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { generateX25519Identity, identityToRecipient } from "age-encryption"
import { Database } from "../../src/store/db/driver.ts"
import { eventually, type Server, startServer, temporaryFolder, withDatabase } from "../harness.ts"
import { binary } from "../support/binary.ts"
import { environment } from "../support/environment.ts"
import { repository } from "../support/repository.ts"

const s3rver = "s3rver@3.7.1"
const home = join(repository, "node_modules/.cache/s3rver")
/** The access key that s3rver accepts. */
const credentials = { AWS_ACCESS_KEY_ID: "S3RVER", AWS_SECRET_ACCESS_KEY: "S3RVER" }
/** Size of the incompressible data in MB. An upload takes several parts and a few seconds. */
const databaseMegabytes = 150
/** For `eventually`, in ms. */
const patient = { timeout: 120_000, pause: 5 }

using folder = temporaryFolder()
const db = folder.file("shop.db")
const port = await freePort()
const endpoint = `http://127.0.0.1:${port}`
const bucket = "s3://bucket/shop"

install()
withDatabase(db, () => {})
grow(db, databaseMegabytes)
const secret = await generateX25519Identity()
writeFileSync(folder.file("secret"), secret)
writeFileSync(folder.file("public"), await identityToRecipient(secret))

await report("a backup is uploaded with bounded memory, verified, and restored from the bucket", async () => {
  await using _ = await startS3(folder.file("data"))
  const { peak, out } = await backUp()
  const file: string = JSON.parse(out).file
  expectTrue(file.endsWith(".db.zst.age"), file)
  const restored = folder.file("restored/shop.db")
  mkdirSync(folder.file("restored"))
  const result = databuddy(["restore", bucket, "--db", restored, "--backup-key", folder.file("secret")])
  expectTrue(result.exitCode === 0, result.stderr.toString())
  expectTrue(fillerBytes(restored) === databaseMegabytes * 1_000_000, "the restored rows differ")
  return `${databaseMegabytes} MB, peak memory of the backup ${peak} MB`
})

await report("if the S3 server is killed during an upload, the next backup succeeds", async () => {
  const data = folder.file("data-2")
  const first = await startS3(data)
  await using server = stopping(await serve({}))
  await eventually(() => partsIn(data) > 1, patient)
  await first[Symbol.asyncDispose]()
  await server.value.prints('"message":"backup failed"')
  const [failure = ""] = /.*backup failed.*/.exec(server.value.output()) ?? []
  expectTrue(failure.includes("cannot be reached"), failure)
  await using _ = await startS3(data)
  await eventually(() => server.value.output().includes("backup created"), patient)
  restores()
  return JSON.parse(failure).error
})

await report("if the server is killed during an upload, the next start uploads a backup", async () => {
  const data = folder.file("data-3")
  await using _ = await startS3(data)
  const killed = await serve({})
  await eventually(() => partsIn(data) > 1, patient)
  // The backup runs in a child process.
  for (const pid of childrenOf(killed.pid)) process.kill(pid, "SIGKILL")
  await killed.kill()
  expectTrue(databuddy(["restore", bucket, "--dry-run"]).exitCode === 1, "a partial upload can be restored")
  await using server = stopping(await serve({}))
  await eventually(() => server.value.output().includes("backup created"), patient)
  restores()
  await server[Symbol.asyncDispose]()
  const left = readdirSync(folder.path).filter((name) => name.includes(".partial-"))
  expectTrue(left.length === 0, `left behind: ${left}`)
  return undefined
})

await report("a wrong access key is reported", async () => {
  await using _ = await startS3(folder.file("data-4"))
  await using server = stopping(await serve({ AWS_ACCESS_KEY_ID: "wrong" }))
  await server.value.prints("does not know the access key")
  return undefined
})

await report("a full disk on the S3 server is reported, and leaves no object", async () => {
  const data = folder.file("small")
  mkdirSync(data)
  const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${databaseMegabytes / 3}m`, "tmpfs", data])
  if (mount.exitCode !== 0) return "skipped: a small disk cannot be mounted"
  try {
    await using _ = await startS3(data)
    const { exitCode, stderr } = databuddy(["backup", bucket, "--db", db])
    expectTrue(exitCode === 1 && /^error: .+\nhint: .+\n$/.test(stderr.toString()), stderr.toString())
    const objects = existsSync(join(data, "bucket/shop")) ? readdirSync(join(data, "bucket/shop")) : []
    expectTrue(objects.filter((name) => name.endsWith("_object")).length === 0, `stored: ${objects}`)
    return stderr.toString().split("\n")[0]
  } finally {
    Bun.spawnSync(["umount", data])
  }
})

function install(): void {
  if (existsSync(join(home, "node_modules/s3rver"))) return
  mkdirSync(home, { recursive: true })
  const { exitCode, stderr } = Bun.spawnSync(["npm", "install", "--prefix", home, "--no-audit", s3rver])
  if (exitCode !== 0) throw new Error(`${s3rver} cannot be installed: ${stderr}`)
}

/** Starts the S3 server on `data`, with an empty bucket. */
async function startS3(data: string): Promise<AsyncDisposable> {
  mkdirSync(data, { recursive: true })
  const script = join(home, "node_modules/s3rver/bin/s3rver.js")
  const args = ["--directory", data, "--port", String(port), "--address", "127.0.0.1", "--silent"]
  const child = Bun.spawn(["node", script, ...args, "--configure-bucket", "bucket"], {
    stdio: ["ignore", "ignore", "ignore"],
  })
  await eventually(async () => (await fetch(endpoint).catch(() => undefined)) !== undefined, patient)
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL")
      await child.exited
    },
  }
}

function databuddy(args: string[]) {
  return Bun.spawnSync([binary, ...args, "--backup-endpoint", endpoint], {
    env: environment({ ...credentials, DATABUDDY_DB: db }),
  })
}

/** Creates a backup. Returns its output, and the peak memory of the process in MB. */
async function backUp(): Promise<{ peak: number; out: string }> {
  const args = [
    "backup",
    bucket,
    "--json",
    "--backup-endpoint",
    endpoint,
    "--backup-key",
    folder.file("public"),
  ]
  const child = Bun.spawn([binary, ...args], {
    env: environment({ ...credentials, DATABUDDY_DB: db }),
    stdio: ["ignore", "pipe", "inherit"],
  })
  let peak = 0
  let isRunning = true
  const out = child.stdout.text()
  void child.exited.then(() => {
    isRunning = false
  })
  while (isRunning) {
    const [, kilobytes = "0"] = /^VmHWM:\s+(\d+)/m.exec(statusOf(child.pid)) ?? []
    peak = Math.max(peak, Math.round(Number(kilobytes) / 1_000))
    await Bun.sleep(20)
  }
  return { peak, out: await out }
}

function serve(env: Record<string, string>): Promise<Server> {
  const args = ["--backup-to", bucket, "--backup-endpoint", endpoint, "--backup-every", "5s"]
  return startServer({ db, args, env: { ...credentials, ...env } })
}

function stopping(value: Server): AsyncDisposable & { value: Server } {
  return { value, [Symbol.asyncDispose]: async () => void (await value.stop()) }
}

function restores(): void {
  const { exitCode, stderr } = databuddy(["restore", bucket, "--dry-run"])
  expectTrue(exitCode === 0, stderr.toString())
}

function partsIn(data: string): number {
  const uploads = join(data, "bucket/._S3rver_uploads")
  if (!existsSync(uploads)) return 0
  return readdirSync(uploads, { recursive: true }).filter((name) => /\/\d+$/.test(String(name))).length
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    .split(" ")
    .filter((text) => text.trim() !== "")
    .map(Number)
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8")
  } catch {
    return "" // It has exited.
  }
}

function grow(path: string, megabytes: number): void {
  const open = new Database(path)
  open.pragma("synchronous = off")
  open.exec("create table filler (bytes blob)")
  const insert = open.prepare("insert into filler values (randomblob(1000000))")
  open.transaction(() => {
    for (let n = 0; n < megabytes; n++) insert.run()
  })()
  open.close()
}

function fillerBytes(path: string): number {
  const open = new Database(path, { readonly: true })
  try {
    return open.prepare("select sum(length(bytes)) from filler").pluck().get() as number // one row, one number
  } finally {
    open.close()
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
}

function expectTrue(condition: boolean, message: string): void {
  if (!condition) throw new Error(message)
}

async function report(what: string, work: () => Promise<string | undefined>): Promise<void> {
  const detail = await work()
  process.stdout.write(`ok  ${what}${detail ? `: ${detail}` : ""}\n`)
}
