import { afterEach, beforeEach, expect, test } from "bun:test"
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { generateX25519Identity, identityToRecipient } from "age-encryption"
import { packArchive, unpackArchive } from "../../src/backups/encrypted-archive.ts"
import { run } from "../../src/cli.ts"
import { UserError } from "../../src/errors.ts"
import { Database } from "../../src/store/db/driver.ts"
import { type TemporaryFolder, temporaryFolder, withDatabase } from "../harness.ts"
import { commandContext } from "../support/command-context.ts"
import { type S3Fault, type S3Operation, type S3Stub, startS3Stub } from "../support/s3-stub.ts"

const noon = Date.UTC(2026, 7, 1, 12)
const day = 86_400_000

let folder: TemporaryFolder
let s3: S3Stub
let db = ""
let now = noon
let stopSignal: Promise<void> | undefined

beforeEach(() => {
  folder = temporaryFolder()
  s3 = startS3Stub()
  db = folder.file("shop.db")
  now = noon
  stopSignal = undefined
  withDatabase(db, () => {})
})

afterEach(() => {
  s3[Symbol.dispose]()
  expect(readdirSync(folder.path).filter((name) => name.includes(".partial-"))).toEqual([])
  folder[Symbol.dispose]()
})

const credentials = { AWS_ACCESS_KEY_ID: "access", AWS_SECRET_ACCESS_KEY: "secret" }

interface Result {
  code: number
  out: string
  err: string
}

/** Runs a command on the database and the stub. */
async function databuddy(args: string[], env: NodeJS.ProcessEnv = credentials): Promise<Result> {
  const output = { out: "", err: "" }
  const context = commandContext({ now: () => now, env, output, ...(stopSignal && { stopSignal }) })
  const code = await run([...args, "--db", db], context)
  return { code, ...output }
}

/** Runs a command with the endpoint of the stub. */
const remote = (args: string[], env?: NodeJS.ProcessEnv) =>
  databuddy([...args, "--backup-endpoint", s3.endpoint], env)

/** Adds incompressible data to the database. */
function grow(megabytes: number): void {
  const open = new Database(db)
  open.exec("create table filler (bytes blob)")
  const insert = open.prepare("insert into filler values (randomblob(1000000))")
  for (let n = 0; n < megabytes; n++) insert.run()
  open.close()
}

function fillerBytes(): number {
  const open = new Database(db, { readonly: true })
  const bytes = open.prepare("select sum(length(bytes)) from filler").pluck().get()
  open.close()
  return bytes as number
}

async function writeKeys(): Promise<{ secret: string; public: string; other: string }> {
  const secret = await generateX25519Identity()
  const files = { secret: folder.file("secret"), public: folder.file("public"), other: folder.file("other") }
  writeFileSync(files.secret, `# created: today\n# public key: …\n${secret}\n`)
  writeFileSync(files.public, `${await identityToRecipient(secret)}\n`)
  writeFileSync(files.other, await generateX25519Identity())
  return files
}

test("a backup in a bucket is compressed, uploaded in parts and verified, and restores the same data", async () => {
  grow(20)
  const backup = await remote(["backup", "s3://bucket/off/site", "--json"])
  const key = "off/site/shop-20260801T120000Z.db.zst"
  expect([backup.err, backup.code]).toEqual(["", 0])
  expect(JSON.parse(backup.out)).toMatchObject({
    file: `s3://bucket/${key}`,
    bytes: s3.objects.get(key)?.length,
    events: 0,
  })
  expect([...s3.objects.keys()]).toEqual([key])
  expect(s3.requests).toMatchObject({ create: 1, part: 3, complete: 1, get: 1 })
  const trial = await remote(["restore", "s3://bucket/off/site", "--dry-run"])
  expect([trial.code, trial.err]).toEqual([0, ""])
  expect(trial.out).toContain("the backup is valid; nothing was changed")
  const open = new Database(db)
  open.exec("delete from filler")
  open.close()
  const restored = await remote(["restore", "s3://bucket/off/site", "--json"])
  expect([restored.code, restored.err]).toEqual([0, ""])
  expect(JSON.parse(restored.out)).toMatchObject({ file: `s3://bucket/${key}`, restored: true, db })
  expect(fillerBytes()).toBe(20_000_000)
})

test("a backup with a public key is encrypted, and can only be restored with the secret key", async () => {
  const keys = await writeKeys()
  const backup = await remote(["backup", "s3://bucket", "--backup-key", keys.public])
  expect([backup.err, backup.code]).toEqual(["", 0])
  const [key = ""] = s3.objects.keys()
  expect(key).toBe("shop-20260801T120000Z.db.zst.age")
  expect(Buffer.from(s3.objects.get(key) ?? []).toString("latin1")).toStartWith("age-encryption.org/v1\n")
  const name = `s3://bucket/${key}`
  const cases: [string[], string][] = [
    [[], `${name} is encrypted\nhint: set --backup-key`],
    [["--backup-key", keys.public], `--backup-key ${keys.public} has only a public key`],
    [["--backup-key", keys.other], "is encrypted for a key other than the one in --backup-key"],
  ]
  for (const [flags, error] of cases) {
    const { code, err } = await remote(["restore", name, "--dry-run", ...flags])
    expect([code, err]).toEqual([1, expect.stringContaining(error)])
  }
  const { code, err } = await remote(["restore", name, "--backup-key", keys.secret])
  expect([err, code]).toEqual(["", 0])
})

test("without a name, restore uses the newest backup of this database", async () => {
  for (const days of [0, 1, 2, 3]) {
    now = noon + days * day
    await remote(["backup", "s3://bucket/a"])
  }
  const bytes = s3.objects.values().next().value ?? new Uint8Array()
  const foreign = [
    "a/other-20270101T000000Z.db.zst",
    "a/shop-notes.zst",
    "a/b/shop-20270101T000000Z.db.zst",
    "a/shop-20270101T000000Z.db",
  ]
  for (const key of foreign) s3.objects.set(key, bytes)
  const { out, err } = await remote(["restore", "s3://bucket/a/", "--dry-run", "--json"])
  expect(err).toBe("")
  expect(JSON.parse(out).file).toBe("s3://bucket/a/shop-20260804T120000Z.db.zst")
})

const damages: [string, (bytes: Uint8Array) => Uint8Array][] = [
  ["truncated", (bytes) => bytes.slice(0, bytes.length >> 1)],
  ["changed in one byte", (bytes) => bytes.map((byte, at) => (at === bytes.length >> 1 ? byte ^ 1 : byte))],
  ["empty", () => new Uint8Array()],
  ["another file", () => Buffer.from("<html>not found</html>")],
]
test.each(damages)("a backup that is %s is not restored, encrypted or not", async (_, damage) => {
  const keys = await writeKeys()
  for (const flags of [[], ["--backup-key", keys.secret]]) {
    s3.objects.clear()
    await remote(["backup", "s3://bucket", ...flags])
    const [[key, bytes]] = s3.objects as Iterable<[string, Uint8Array]> as [[string, Uint8Array]] // one object
    s3.objects.set(key, damage(bytes))
    const before = readFileSync(db)
    const { code, err } = await remote(["restore", "s3://bucket", ...flags])
    expect(code).toBe(1)
    // The checksum at the end of a truncated file is never read, so the check of the database detects it.
    expect(err).toMatch(flags.length > 0 ? /\.age is damaged or incomplete\n/ : /\.zst is (damaged|empty)/)
    expect(readFileSync(db).equals(before)).toBe(true)
  }
})

const faults: [string, S3Operation, S3Fault, string, string][] = [
  [
    "a wrong secret",
    "list",
    { status: 403, code: "SignatureDoesNotMatch" },
    "rejects the secret access key",
    "AWS_SECRET_ACCESS_KEY",
  ],
  [
    "an expired token",
    "list",
    { status: 400, code: "ExpiredToken" },
    "the session token is not valid",
    "--backup-credentials",
  ],
  [
    "a key without permissions",
    "create",
    { status: 403, code: "AccessDenied" },
    "denies access",
    "read, write and delete objects",
  ],
  [
    "a full bucket",
    "part",
    { status: 507, code: "XMinioStorageFull" },
    "the bucket is full",
    "lower --backup-keep",
  ],
  [
    "a reached quota",
    "part",
    { status: 403, code: "QuotaExceeded" },
    "the bucket is full",
    "increase its quota",
  ],
  [
    "a wrong clock",
    "create",
    { status: 403, code: "RequestTimeTooSkewed" },
    "the clock of this machine is wrong",
    "timedatectl",
  ],
  [
    "another region",
    "create",
    { status: 301, code: "PermanentRedirect" },
    "the bucket is in a different region",
    "AWS_REGION",
  ],
  [
    "an unknown error",
    "create",
    { status: 418, code: "Teapot" },
    "the request failed with Teapot: the stub says Teapot",
    "documentation",
  ],
]
test.each(faults)(
  "%s is reported with a hint, and leaves no object and no parts behind",
  async (_, operation, fault, error, hint) => {
    grow(20)
    let calls = 0
    // Only the first part is accepted.
    s3.fault = (asked) => (asked === operation && (operation !== "part" || ++calls > 1) ? fault : undefined)
    const command = operation === "list" ? ["restore", "s3://bucket/x"] : ["backup", "s3://bucket/x"]
    const { code, err } = await remote(command)
    expect([code, err]).toEqual([1, expect.stringContaining(error)])
    expect(err).toMatch(/^error: s3:\/\/bucket\/x\/ cannot be (listed|written): .+\nhint: .+\n$/)
    expect(err).toContain(hint)
    expect([...s3.objects.keys(), ...s3.uploads.keys()]).toEqual([])
  },
)

test("an upload fails if the server dies during it, and the next upload succeeds", async () => {
  grow(20)
  const dying = s3
  dying.fault = (operation) => {
    if (operation === "part") dying[Symbol.dispose]()
    return undefined
  }
  const { code, err } = await remote(["backup", "s3://bucket"])
  expect([code, err]).toEqual([1, expect.stringContaining(`${new URL(s3.endpoint).host} cannot be reached`)])
  s3 = startS3Stub()
  expect((await remote(["backup", "s3://bucket"])).code).toBe(0)
  expect(s3.objects.size).toBe(1)
})

test("a signal during an upload stops it, and leaves no object and no parts behind", async () => {
  grow(60)
  const { promise, resolve } = Promise.withResolvers<void>()
  stopSignal = promise
  s3.fault = (operation) => {
    if (operation === "part") resolve()
    return undefined
  }
  const { code, err } = await remote(["backup", "s3://bucket"])
  expect([code, err]).toEqual([1, expect.stringContaining("stopped by a signal")])
  expect([...s3.objects.keys(), ...s3.uploads.keys()]).toEqual([])
})

test("the backup fails if the stored object differs from the upload, and the object is deleted", async () => {
  s3.corrupts = true
  const { code, err } = await remote(["backup", "s3://bucket"])
  expect([code, err]).toEqual([
    1,
    expect.stringContaining("was deleted, because its stored content differed from the upload"),
  ])
  expect(s3.objects.size).toBe(0)
})

const unreadable: [string, S3Operation[], string, number][] = [
  ["is deleted", ["get"], "cannot be read: ", 0],
  [
    "is reported if it cannot be deleted",
    ["get", "delete"],
    "s3://bucket/shop-20260801T120000Z.db.zst was uploaded but not verified, and cannot be deleted",
    1,
  ],
]
test.each(unreadable)("an uploaded object that cannot be read back %s", async (_, denied, error, objects) => {
  s3.fault = (operation) => (denied.includes(operation) ? { status: 403, code: "AccessDenied" } : undefined)
  const { code, err } = await remote(["backup", "s3://bucket"])
  expect([code, err]).toEqual([1, expect.stringContaining(error)])
  expect(s3.objects.size).toBe(objects)
})

test("a trial of a backup stops before less than --min-free is left for the server", async () => {
  await remote(["backup", "s3://bucket"])
  const trial = ["restore", "s3://bucket", "--dry-run", "--min-free"]
  const { code, err } = await remote([...trial, String(2 ** 50)])
  expect([code, err]).toEqual([1, expect.stringContaining("the download was stopped and removed: ")])
  expect(err).toContain("less than the reserve of ")
  expect((await remote([...trial, "0"])).code).toBe(0)
})

test("a download stops soon after space runs out, however small the archive is", async () => {
  const source = folder.file("zeros")
  writeFileSync(source, "")
  truncateSync(source, 100_000_000)
  const to = folder.file("copy.db")
  let checks = 0
  const unpacking = unpackArchive(await packArchive(source, undefined), "a.zst", undefined, to, () => {
    if (++checks === 3) throw new UserError("the disk is nearly full")
  })
  expect(await unpacking.catch((error: Error) => error.message)).toBe("the disk is nearly full")
  expect(statSync(to).size).toBeLessThan(20_000_000)
})

test("an existing object is replaced only with --force", async () => {
  const name = "s3://bucket/monday.zst"
  expect((await remote(["backup", name])).code).toBe(0)
  const { code, err } = await remote(["backup", name])
  expect([code, err]).toEqual([1, expect.stringContaining(`${name} already exists`)])
  expect((await remote(["backup", name, "--force"])).code).toBe(0)
})

test("the access key is read from a file or from variables", async () => {
  const file = folder.file("credentials")
  writeFileSync(
    file,
    "[other]\naws_access_key_id = nobody\n[default]\naws_access_key_id = access\naws_secret_access_key=secret\n",
  )
  const flags = ["backup", "s3://bucket", "--backup-credentials", file]
  expect((await remote(flags, {})).code).toBe(0)
  const wrong = await remote(["backup", "s3://bucket"], { ...credentials, AWS_ACCESS_KEY_ID: "nobody" })
  expect(wrong.err).toContain("does not know the access key\nhint: check AWS_ACCESS_KEY_ID")
  const missing = await remote(["backup", "s3://bucket"], {})
  expect(missing.err).toContain("the access key for the S3 server is missing\nhint: set AWS_ACCESS_KEY_ID")
})

const mistakes: [string, string[], string][] = [
  ["a bucket that does not exist", ["backup", "s3://missing"], "has no such bucket\nhint: create it"],
  ["an invalid bucket name", ["backup", "s3://A_B"], "s3://A_B is not valid\nhint: give a bucket"],
  [
    "an empty prefix",
    ["restore", "s3://bucket/none"],
    "s3://bucket/none/ contains no backup of a database named shop.db",
  ],
  ["a backup that does not exist", ["restore", "s3://bucket/a.zst"], "s3://bucket/a.zst does not exist"],
  [
    "a name without .age and a key",
    ["backup", "s3://bucket/a.zst", "--backup-key", "KEY"],
    "its name does not end with .zst.age",
  ],
  [
    "a name with .age and no key",
    ["backup", "s3://bucket/a.zst.age"],
    "ends with .age, but --backup-key is missing",
  ],
  ["a key file without a key", ["backup", "s3://bucket", "--backup-key", "EMPTY"], "contains no key"],
  [
    "a key file with other content",
    ["backup", "s3://bucket", "--backup-key", "TEXT"],
    "contains a line that is not an age key",
  ],
  ["a missing key file", ["backup", "s3://bucket", "--backup-key", "NONE"], "cannot be read (ENOENT)"],
]
test.each(mistakes)("%s is an error", async (_, args, error) => {
  const keys = await writeKeys()
  writeFileSync(folder.file("empty"), "# nothing\n")
  writeFileSync(folder.file("text"), "hello\n")
  const paths: Record<string, string> = {
    KEY: keys.public,
    EMPTY: folder.file("empty"),
    TEXT: folder.file("text"),
    NONE: folder.file("none"),
  }
  const { code, err } = await remote(args.map((arg) => paths[arg] ?? arg))
  expect([code, err]).toEqual([1, expect.stringContaining(error)])
  expect(s3.objects.size).toBe(0)
})
