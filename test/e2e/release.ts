import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { repository } from "../support/repository.ts"

// Run with `npm run test:release`. Not part of `npm test`, because it takes minutes and needs root, Debian's packages
// and rpmbuild. Builds the release of the last commit for Linux x64 twice, and installs it in every way in a separate
// Debian system. DATABUDDY_TEST_ROOT can name a tar file of such a system; otherwise, mmdebstrap creates one.

const newer = "99.0.0"
const folder = mkdtempSync(join(tmpdir(), "databuddy-release-"))
const root = join(folder, "root")
const first = join(folder, "first")
const second = join(folder, "second")
const upgrade = join(folder, "upgrade")
let version = ""

/** Runs a command and returns its standard output. Throws with everything it printed if it fails. */
function run(command: string[], cwd = repository): string {
  // lintian leaves files in the temporary folder.
  const env = { ...process.env, LC_ALL: "C.UTF-8", TMPDIR: folder }
  const { stdout, stderr, success } = Bun.spawnSync(command, { cwd, env })
  if (!success) throw new Error(`${command.join(" ")}: ${stdout}${stderr}`)
  return stdout.toString()
}

/** Runs a command in the Debian system, without environment variables of this system, such as TMPDIR. */
const chroot = ["chroot", root, "/usr/bin/env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

/** Runs a shell command in the Debian system. */
const inRoot = (line: string) => run([...chroot, "sh", "-c", line])

function buildRelease(cwd: string, destination: string, ...args: string[]): void {
  run(["bun", "src/release/release.ts", "--target", "linux-x64", ...args], cwd)
  cpSync(join(cwd, "dist"), destination, { recursive: true })
}

/** Lists every file of the Debian system with its mode and owner, except those that every installation changes. */
function listing(): string[] {
  const places = "/etc /usr /var/lib /lib/systemd /opt /home /root".split(" ")
  const lines = inRoot(`find ${places.join(" ")} -printf '%M %u %p\\n'`).split("\n")
  const others =
    /\/var\/lib\/dpkg|\/etc\/(?:passwd|group|shadow|gshadow|subuid|subgid)-?$|\/etc\/\.pwd\.lock$|\/root\/\.rpmdb/
  return lines.filter((line) => !others.test(line)).sort()
}

const users = () => inRoot("getent passwd databuddy || true")

/** Starts the server in the Debian system as the user databuddy, stores an event, and stops the server. */
async function storesEvent(program: string): Promise<void> {
  const asUser = ["setpriv", "--reuid=databuddy", "--regid=databuddy", "--clear-groups"]
  const db = "/var/lib/databuddy/databuddy.db"
  const line = `exec ${asUser.join(" ")} ${program} serve --db ${db} --port 0 --min-free 0`
  const server = Bun.spawn([...chroot, "sh", "-c", line], { stdout: "pipe", stderr: "pipe" })
  let output = ""
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream) output += new TextDecoder().decode(chunk)
  }
  const finished = Promise.all([read(server.stdout), read(server.stderr)])
  try {
    for (let tries = 0; !output.includes('"message":"started"'); tries++) {
      if (tries > 200 || server.exitCode !== null) throw new Error(`serve did not start: ${output}`)
      await Bun.sleep(50)
    }
    const port = /listens on \S+:(\d+)/.exec(output)?.[1]
    expect(inRoot(`${program} health --port ${port}`)).toBe("ok\n")
    const key = /dbdy_[\w-]+/.exec(output)?.[0]
    if (key) writeFileSync(join(folder, "key"), key)
    const response = await fetch(`http://127.0.0.1:${port}/track`, {
      method: "POST",
      headers: { authorization: `Bearer ${readFileSync(join(folder, "key"), "utf8")}` },
      body: '{"name":"installed","anonymousId":"a","sessionId":"s"}',
    })
    expect(await response.json()).toEqual({ status: "success", type: "custom_event", count: 1 })
  } finally {
    server.kill("SIGTERM")
    await server.exited
    await finished
  }
}

const storedEvents = (program: string) =>
  Number(inRoot(`${program} export --db /var/lib/databuddy/databuddy.db 2>/dev/null | grep -c '"installed"'`))

beforeAll(() => {
  version = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")).version
  const archive = process.env.DATABUDDY_TEST_ROOT ?? join(folder, "root.tar")
  if (!existsSync(archive)) run(["mmdebstrap", "--variant=minbase", "--include=systemd", "bookworm", archive])
  mkdirSync(root)
  run(["tar", "-xf", archive, "-C", root])
  // Bun reads /proc at startup.
  run(["mount", "-t", "proc", "proc", join(root, "proc")])
  // Two clones in different folders, as on two machines.
  for (const name of ["clone", "clone-in-another-folder"]) {
    run(["git", "clone", "--quiet", repository, join(folder, name)])
    cpSync(join(repository, "node_modules"), join(folder, name, "node_modules"), { recursive: true })
  }
  buildRelease(join(folder, "clone"), first)
  buildRelease(join(folder, "clone-in-another-folder"), second)
  buildRelease(join(folder, "clone"), upgrade, "--version", newer)
  for (const name of [first, upgrade])
    cpSync(name, join(root, "tmp", name.slice(folder.length + 1)), { recursive: true })
}, 900_000)
afterAll(() => {
  Bun.spawnSync(["umount", join(root, "proc")])
  rmSync(folder, { recursive: true, force: true })
}, 120_000)

test("two builds in different folders produce the same bytes", () => {
  expect(readFileSync(join(second, "SHA256SUMS"), "utf8")).toBe(
    readFileSync(join(first, "SHA256SUMS"), "utf8"),
  )
  run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], first)
}, 300_000)

test("the SBOM lists the packages with the hashes of bun.lock", () => {
  const bom = JSON.parse(readFileSync(join(first, `databuddy-${version}.cdx.json`), "utf8"))
  expect(bom.specVersion).toBe("1.6")
  const packages = bom.components.filter((one: { purl?: string }) => one.purl)
  expect(packages.length).toBeGreaterThan(30)
  expect(packages.filter((one: { hashes?: unknown[] }) => !one.hashes)).toEqual([])
})

test.skipIf(!Bun.which("lintian"))(
  "lintian finds no errors or warnings",
  () => {
    const output = run(["lintian", "--no-cfg", "--allow-root", join(first, `databuddy_${version}_amd64.deb`)])
    const found = output.split("\n").filter((line) => /^[EW]: /.test(line))
    expect(found).toEqual([])
  },
  300_000,
)

const deb = (name: string, of: string) => `/tmp/${name}/databuddy_${of}_amd64.deb`
const settings = "/etc/databuddy/databuddy.env"

describe.each([
  [
    "deb",
    {
      program: "/usr/bin/databuddy",
      install: () => inRoot(`dpkg -i ${deb("first", version)}`),
      upgrade: () => inRoot(`dpkg -i --force-confold ${deb("upgrade", newer)}`),
      remove: () => inRoot("dpkg -r databuddy"),
      purge: () => inRoot("dpkg -P databuddy"),
      keepsSettings: true,
    },
  ],
  [
    "rpm",
    {
      program: "/usr/bin/databuddy",
      // Debian's own packages provide what the package requires.
      install: () =>
        run(["rpm", `--root=${root}`, "-i", "--nodeps", `${first}/databuddy-${version}-1.x86_64.rpm`]),
      upgrade: () =>
        run(["rpm", `--root=${root}`, "-U", "--nodeps", `${upgrade}/databuddy-${newer}-1.x86_64.rpm`]),
      remove: () => run(["rpm", `--root=${root}`, "-e", "databuddy"]),
      // rpm keeps changed settings in a copy in the same folder.
      purge: () => inRoot("rm -rf /etc/databuddy"),
      keepsSettings: false,
    },
  ],
  [
    "install.sh",
    {
      program: "/usr/local/bin/databuddy",
      install: () => inRoot("sh /tmp/first/install.sh"),
      upgrade: () => inRoot("sh /tmp/upgrade/install.sh"),
      remove: () => inRoot("sh /tmp/first/install.sh --uninstall"),
      purge: () => "",
      keepsSettings: false,
    },
  ],
])("%s", (_, way) => {
  test("installs, stores an event, upgrades, and uninstalls, leaving only the data", async () => {
    const before = listing()
    way.install()
    expect(inRoot(`${way.program} --version`)).toStartWith(`databuddy ${version} `)
    expect(inRoot(`stat -c '%a %U' ${settings} /var/lib/databuddy`)).toBe("640 root\n700 databuddy\n")
    expect(inRoot("systemctl is-enabled databuddy.service")).toBe("enabled\n")
    await storesEvent(way.program)

    inRoot(`echo DATABUDDY_PORT=4001 >> ${settings}`)
    way.upgrade()
    expect(inRoot(`${way.program} --version`)).toStartWith(`databuddy ${newer} `)
    expect(inRoot(`tail -n 1 ${settings}`)).toBe("DATABUDDY_PORT=4001\n")
    await storesEvent(way.program)
    expect(storedEvents(way.program)).toBe(2)

    way.remove()
    expect(existsSync(join(root, way.program))).toBe(false)
    expect(existsSync(join(root, settings))).toBe(way.keepsSettings)
    way.purge()
    const after = listing().filter((line) => !line.includes("/var/lib/databuddy"))
    expect(after.filter((line) => !before.includes(line))).toEqual([])
    expect(before.filter((line) => !after.includes(line))).toEqual([])
    expect(existsSync(join(root, "var/lib/databuddy/databuddy.db"))).toBe(true)
    expect(users()).not.toBe("")
    inRoot("rm -rf /var/lib/databuddy; userdel databuddy; groupdel databuddy 2>/dev/null || true")
  }, 300_000)

  test("also removes the user if there is no data", () => {
    way.install()
    way.remove()
    way.purge()
    expect(users()).toBe("")
    expect(existsSync(join(root, "var/lib/databuddy"))).toBe(false)
  }, 300_000)
})

/**
 * Runs an unpacked image as a container engine does: as the image's user, with a read-only root, only a loopback
 * network, and no variables but the image's. Prints the output of the health command, the response to an event, and the
 * owner and mode of the database.
 */
const runImage = `
set -eu
image=$1
shift
ip link set lo up
mkdir -p "$image/proc" "$image/dev"
mount --bind "$image" "$image"
mount -o remount,bind,ro "$image"
mount -t tmpfs -o mode=1777 tmpfs "$image/tmp"
mount -t tmpfs -o mode=700,uid=10001,gid=10001 tmpfs "$image/data"
mount -t proc proc "$image/proc"
mount --bind /dev "$image/dev"
container="/usr/sbin/chroot --userspec=10001:10001 $image /usr/bin/databuddy"
env -i "$@" $container serve >"$image.log" 2>&1 &
tries=0
until grep -q '"message":"started"' "$image.log"; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ]; then cat "$image.log"; exit 1; fi
  sleep 0.1
done
env -i "$@" $container health
key=$(grep -o 'dbdy_[A-Za-z0-9_-]*' "$image.log" | head -n 1)
curl --silent --show-error --noproxy '*' --header "Authorization: Bearer $key" --data '{"name":"x"}' http://127.0.0.1:4000/track
echo
stat -c '%u %a' "$image/data/databuddy.db"
kill $!
wait $!
`

const buildah = Bun.which("buildah")
test.skipIf(!buildah)(
  `the container image runs without variables and stores an event${buildah ? "" : " (skipped: needs buildah)"}`,
  () => {
    const storage = ["--root", join(folder, "storage"), "--runroot", join(folder, "run")]
    const images = (...args: string[]) =>
      run(["buildah", ...storage, ...args])
        .trim()
        .split("\n")
        .at(-1) ?? ""
    // The base image of the Containerfile, from packages instead of a registry.
    const base = images("from", "scratch")
    images("add", "--quiet", base, process.env.DATABUDDY_TEST_ROOT ?? join(folder, "root.tar"), "/")
    images("commit", "--quiet", base, "localhost/base:12")
    const platform = [
      "--format",
      "docker",
      "--platform",
      "linux/amd64",
      "--build-arg",
      "BASE=localhost/base:12",
    ]
    images("build", "--quiet", ...platform, "--tag", "databuddy", join(first, "image"))
    const inspected = run(["buildah", ...storage, "inspect", "--type", "image", "localhost/databuddy"])
    const { config } = JSON.parse(inspected).Docker
    expect(config).toMatchObject({
      User: "10001:10001",
      Volumes: { "/data": {} },
      Healthcheck: { Test: ["CMD", "/usr/bin/databuddy", "health"] },
      Entrypoint: ["/usr/bin/databuddy"],
      Cmd: ["serve"],
    })
    const container = images("from", "--pull-never", "localhost/databuddy")
    const mounted = images("mount", container)
    const image = join(folder, "image")
    cpSync(mounted, image, { recursive: true, verbatimSymlinks: true })
    images("umount", container)
    expect(existsSync(join(image, "bin/sh"))).toBe(false)
    const separate = ["unshare", "--mount", "--net", "--pid", "--fork"]
    const output = run([...separate, "sh", "-c", runImage, "sh", image, ...config.Env])
    expect(output).toBe('ok\n{"status":"success","type":"custom_event","count":1}\n10001 600\n')
    images("rm", "--all")
    images("rmi", "--all", "--force")
  },
  300_000,
)
