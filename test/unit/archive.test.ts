import { describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ar, type Entry, gzip, tar, zip } from "../../src/release/archive.ts"
import { debianPackage } from "../../src/release/deb.ts"
import { rpmPackage } from "../../src/release/rpm.ts"

// 2026-11-28T12:00:00Z
const time = 1_795_867_200

const entries: Entry[] = [
  { path: "app", mode: 0o755, directory: true },
  { path: "app/program", mode: 0o755, content: "#!/bin/sh\necho hello\n" },
  { path: "app/name-ä.txt", mode: 0o644, content: new Uint8Array(1_000).fill(97) },
  { path: "app/link", mode: 0o777, linkTo: "program" },
  { path: "data", mode: 0o700, owner: 10_001, directory: true },
]
const filesOnly = entries.filter((entry) => "content" in entry)

function inFolder<Result>(work: (folder: string) => Result): Result {
  const folder = mkdtempSync(join(tmpdir(), "databuddy-archive-"))
  try {
    return work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function run(command: string[], cwd: string): string {
  const { stdout, stderr, success } = Bun.spawnSync(command, {
    cwd,
    env: { ...process.env, TZ: "UTC", LC_ALL: "C.UTF-8" },
  })
  expect(stderr.toString()).toBe("")
  expect(success).toBe(true)
  return stdout.toString()
}

test("tar reads the modes, owners, times, links and contents of an archive", () => {
  inFolder((folder) => {
    writeFileSync(join(folder, "a.tar.gz"), gzip(tar(entries, time)))
    const lines = run(["tar", "-tvzf", "a.tar.gz", "--full-time"], folder).trim().split("\n")
    expect(lines.map((line) => line.replace(/ +/g, " "))).toEqual([
      "drwxr-xr-x root/root 0 2026-11-28 12:00:00 app/",
      "lrwxrwxrwx root/root 0 2026-11-28 12:00:00 app/link -> program",
      "-rw-r--r-- root/root 1000 2026-11-28 12:00:00 app/name-ä.txt",
      "-rwxr-xr-x root/root 21 2026-11-28 12:00:00 app/program",
      "drwx------ 10001/10001 0 2026-11-28 12:00:00 data/",
    ])
    run(["tar", "-xzf", "a.tar.gz", "--no-same-owner"], folder)
    expect(run(["app/link"], folder)).toBe("hello\n")
  })
})

test.each([
  ["tar", (list: Entry[]) => tar(list, time)],
  [
    "zip",
    (list: Entry[]) =>
      zip(
        list.filter((entry) => "content" in entry),
        time,
      ),
  ],
] as const)("%s does not depend on the order of the entries", (_, write) => {
  expect(write([...entries].reverse())).toEqual(write(entries))
})

test("gzip output contains neither a time nor an operating system", () => {
  expect([...gzip(Buffer.from("text")).subarray(0, 10)]).toEqual([31, 139, 8, 0, 0, 0, 0, 0, 0, 255])
})

test("a tar archive ends with a whole record for any length of its contents", () => {
  for (const length of [0, 1, 512, 10_240 - 512, 10_240 - 1_536]) {
    const bytes = tar([{ path: "a", mode: 0o644, content: new Uint8Array(length) }], time)
    expect(bytes.length % 10_240).toBe(0)
    expect(bytes.subarray(-1_024).every((byte) => byte === 0)).toBe(true)
  }
})

test("tar rejects a path that does not fit into its header", () => {
  expect(() => tar([{ path: "a".repeat(101), mode: 0o644, content: "" }], time)).toThrow("too long")
})

const python = Bun.which("python3")
test.skipIf(!python)(`Python can read a zip archive${python ? "" : " (skipped: needs python3)"}`, () => {
  inFolder((folder) => {
    writeFileSync(join(folder, "a.zip"), zip(filesOnly, time))
    const program = `
import zipfile
archive = zipfile.ZipFile("a.zip")
assert archive.testzip() is None
for one in archive.infolist():
    print(one.filename, one.date_time, oct(one.external_attr >> 16), one.file_size, archive.read(one)[:2])`
    expect(run(["python3", "-c", program], folder)).toBe(
      "app/name-ä.txt (2026, 11, 28, 12, 0, 0) 0o100644 1000 b'aa'\n" +
        "app/program (2026, 11, 28, 12, 0, 0) 0o100755 21 b'#!'\n",
    )
  })
})

test("ar pads names and contents", () => {
  const text = Buffer.from(ar([{ name: "a", content: "odd" }], time)).toString()
  expect(text).toBe(`!<arch>\na               1795867200  0     0     100644  3         \`\nodd\n`)
})

const facts = { version: "1.2.3-rc.1", time, maintainer: "A <a@b.c>" }
const packaged = [
  { path: "usr/bin/databuddy", mode: 0o755, content: "#!/bin/sh\n" },
  { path: "etc/databuddy/databuddy.env", mode: 0o640, content: "# settings\n" },
]

const rpmbuild = Bun.which("rpmbuild")
test.skipIf(!rpmbuild)(
  `two builds of an .rpm package have the same bytes${rpmbuild ? "" : " (skipped: needs rpmbuild)"}`,
  async () => {
    const bytes = await rpmPackage(packaged, "aarch64", facts)
    // The build time has a resolution of one second.
    await Bun.sleep(1_100)
    expect(Buffer.from(bytes).equals(await rpmPackage(packaged, "aarch64", facts))).toBe(true)
    inFolder((folder) => {
      writeFileSync(join(folder, "a.rpm"), bytes)
      const fields = "%{VERSION} %{ARCH} %{BUILDTIME} %{BUILDHOST}"
      expect(run(["rpm", "--query", "--queryformat", fields, "--package", "a.rpm"], folder)).toBe(
        `1.2.3~rc.1 aarch64 ${time} reproducible`,
      )
      expect(run(["rpm", "--query", "--configfiles", "--package", "a.rpm"], folder)).toBe(
        "/etc/databuddy/databuddy.env\n",
      )
    })
  },
)

const dpkg = Bun.which("dpkg-deb")
describe.skipIf(!dpkg)(`a Debian package${dpkg ? "" : " (skipped: needs dpkg-deb)"}`, () => {
  const scripts = { postinst: "#!/bin/sh\n", prerm: "#!/bin/sh\n", postrm: "#!/bin/sh\n" }
  const bytes = debianPackage(packaged, scripts, "amd64", facts)

  test("has the fields, files and configuration files that dpkg reads", () => {
    inFolder((folder) => {
      writeFileSync(join(folder, "a.deb"), bytes)
      expect(run(["dpkg-deb", "--field", "a.deb", "Package", "Version", "Architecture"], folder)).toBe(
        "Package: databuddy\nVersion: 1.2.3~rc.1\nArchitecture: amd64\n",
      )
      expect(run(["dpkg-deb", "--info", "a.deb", "conffiles"], folder)).toBe("/etc/databuddy/databuddy.env\n")
      run(["dpkg-deb", "--raw-extract", "a.deb", "out"], folder)
      run(["md5sum", "--check", "--quiet", "DEBIAN/md5sums"], join(folder, "out", "."))
      expect(statSync(join(folder, "out/etc/databuddy/databuddy.env")).mode & 0o777).toBe(0o640)
    })
  })
})
