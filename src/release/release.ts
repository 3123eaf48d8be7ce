import { createHash } from "node:crypto"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import pkg from "../../package.json" with { type: "json" }
import { build, packagesInBinaries, type Target, targets } from "../build.ts"
import { messageOf } from "../errors.ts"
import { type Shell, shells } from "../terminal/completions.ts"
import { type Entry, gzip, tar, zip } from "./archive.ts"
import { licenseTexts } from "./bundled-packages.ts"
import {
  debianArchitectures,
  debianPackage,
  type MaintainerScripts,
  type PackageFacts,
  packageVersion,
} from "./deb.ts"
import { canBuildRpm, rpmArchitectures, rpmPackage } from "./rpm.ts"
import { cycloneDx, type ReleaseFacts } from "./sbom.ts"

// npm run release              → builds everything in dist/ from HEAD; fails if there are uncommitted changes
// npm run release -- --dirty   → builds from the files as they are, for testing
//   --no-rpm                     where rpmbuild is not installed
//   --target linux-x64           only this platform; can be repeated
//   --version 1.2.3              instead of the version in package.json

type File = Extract<Entry, { content: unknown }>

const root = join(import.meta.dir, "../..")
const dist = join(root, "dist")

/** User and group ID in the container. Given as a number, so that orchestrators can see that the user is not root. */
const containerUser = 10_001

if (import.meta.main) {
  try {
    await release(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`error: ${messageOf(error)}\n`)
    process.exit(1)
  }
}

async function release(args: readonly string[]): Promise<void> {
  const valuesOf = (flag: string) => args.filter((_, index) => args[index - 1] === flag)
  if (!args.includes("--dirty")) rejectChanges()
  const withRpm = !args.includes("--no-rpm")
  if (withRpm && !canBuildRpm()) {
    throw new Error(
      "rpmbuild is not installed: run `apt-get install rpm`, or skip rpm packages with --no-rpm",
    )
  }
  const [version = pkg.version] = valuesOf("--version")
  const chosen = valuesOf("--target")
  const platforms = targets.filter((target) => chosen.length === 0 || chosen.includes(platformOf(target)))
  const commit = git("rev-parse", "HEAD")
  const time = Number(process.env.SOURCE_DATE_EPOCH ?? git("log", "-1", "--format=%ct"))

  rmSync(dist, { recursive: true, force: true })
  mkdirSync(join(dist, "image"), { recursive: true })
  const inside = await packagesInBinaries()
  const licenses = licenseTexts(root, inside)
  writeDist(`databuddy-${version}.cdx.json`, cycloneDx(root, inside, { version, commit, time }))
  writeDist("install.sh", readFileSync(sourceFile("install.sh")), 0o755)
  for (const name of ["Containerfile", "compose.yaml"]) {
    writeDist(`image/${name}`, readFileSync(sourceFile(`container/${name}`)))
  }
  for (const target of platforms) {
    if (!(await build(target, licenses, version))) {
      if (target.required) throw new Error(`${target.outfile} was not built, but a release requires it`)
      continue
    }
    await packPlatform(target, { version, commit, time }, licenses, withRpm)
  }
  writeDist("SHA256SUMS", checksums())
}

/** Throws if the work tree has uncommitted changes, because the release would not correspond to any commit. */
function rejectChanges(): void {
  const changes = git("status", "--porcelain")
  if (changes !== "") {
    throw new Error(
      `the work tree has uncommitted changes: commit them, or build anyway with --dirty:\n${changes}`,
    )
  }
}

/** Writes the archive for a platform. For some platforms, also writes packages and the files of the container image. */
async function packPlatform(
  target: Target,
  { version, time }: ReleaseFacts,
  licenses: string,
  withRpm: boolean,
): Promise<void> {
  const platform = platformOf(target)
  const program = await Bun.file(join(root, target.outfile)).bytes()
  const texts = [
    file("LICENSE", readFileSync(join(root, "LICENSE"))),
    file("THIRD-PARTY-LICENSES.txt", licenses),
    file("CHANGELOG.md", readFileSync(join(root, "CHANGELOG.md"))),
  ]
  const manual = databuddy("man")
  const isWindows = platform.startsWith("windows")
  const linuxFiles = platform.startsWith("linux")
    ? [
        file("databuddy.service", unit("/usr/local/bin")),
        file("databuddy.env", readFileSync(sourceFile("linux/databuddy.env"))),
      ]
    : []
  const shellFiles = isWindows
    ? []
    : [
        file("databuddy.1", manual),
        ...shells.map((shell) => file(`completions/databuddy.${shell}`, databuddy("completions", shell))),
      ]
  const folder = `databuddy-${version}-${platform}`
  const entries = [
    file(isWindows ? "databuddy.exe" : "databuddy", program, 0o755),
    ...texts,
    ...linuxFiles,
    ...shellFiles,
  ].map((entry) => ({ ...entry, path: `${folder}/${entry.path}` }))
  if (isWindows) writeDist(`${folder}.zip`, zip(entries, time))
  else {
    const folders = [folder, `${folder}/completions`]
    const tops = folders.map((path): Entry => ({ path, mode: 0o755, directory: true }))
    writeDist(`${folder}.tar.gz`, gzip(tar([...tops, ...entries], time)))
  }

  const debian = debianArchitectures[platform]
  if (!debian) return
  const facts: PackageFacts = { version, time, maintainer: pkg.author }
  const scripts: MaintainerScripts = {
    postinst: readFileSync(sourceFile("linux/postinst"), "utf8"),
    prerm: readFileSync(sourceFile("linux/prerm"), "utf8"),
    postrm: readFileSync(sourceFile("linux/postrm"), "utf8"),
  }
  const common = [
    file("usr/bin/databuddy", program, 0o755),
    file("etc/databuddy/databuddy.env", readFileSync(sourceFile("linux/databuddy.env")), 0o640),
  ]
  const debianFiles = [
    ...common,
    ...completionFiles("usr/share/zsh/vendor-completions"),
    file("usr/share/man/man1/databuddy.1.gz", gzip(Buffer.from(manual), 9)),
    file("lib/systemd/system/databuddy.service", unit("/usr/bin")),
    file("usr/share/doc/databuddy/copyright", debianCopyright()),
    file("usr/share/doc/databuddy/THIRD-PARTY-LICENSES.txt.gz", gzip(Buffer.from(licenses), 9)),
    file("usr/share/doc/databuddy/CHANGELOG.md.gz", gzip(readFileSync(join(root, "CHANGELOG.md")), 9)),
    file("usr/share/doc/databuddy/changelog.gz", gzip(Buffer.from(debianChangelog(facts)), 9)),
    file("usr/share/lintian/overrides/databuddy", readFileSync(sourceFile("linux/lintian-overrides"))),
  ]
  writeDist(`databuddy_${version}_${debian}.deb`, debianPackage(debianFiles, scripts, debian, facts))
  const rpm = rpmArchitectures[platform]
  if (withRpm && rpm) {
    const rpmFiles = [
      ...common,
      ...completionFiles("usr/share/zsh/site-functions"),
      file("usr/share/man/man1/databuddy.1.gz", gzip(Buffer.from(manual), 9)),
      file("usr/lib/systemd/system/databuddy.service", unit("/usr/bin")),
      ...texts.map((text) => ({ ...text, path: `usr/share/doc/databuddy/${text.path}` })),
    ]
    writeDist(`databuddy-${version}-1.${rpm}.rpm`, await rpmPackage(rpmFiles, rpm, facts))
  }
  writeDist(`image/${debian}.tar`, tar(containerFiles(program, texts), time))
}

/** Returns the completion files, in the folders where shells look for them. zsh uses a different folder on Debian. */
function completionFiles(zshFolder: string): File[] {
  const paths: Record<Shell, string> = {
    bash: "usr/share/bash-completion/completions/databuddy",
    zsh: `${zshFolder}/_databuddy`,
    fish: "usr/share/fish/vendor_completions.d/databuddy.fish",
  }
  return shells.map((shell) => file(paths[shell], databuddy("completions", shell)))
}

/** Returns everything in the container image that does not come from its base image. */
function containerFiles(program: Uint8Array, texts: readonly File[]): Entry[] {
  const id = containerUser
  return [
    file("usr/bin/databuddy", program, 0o755),
    file("etc/passwd", `root:x:0:0::/:/sbin/nologin\ndatabuddy:x:${id}:${id}::/data:/sbin/nologin\n`),
    file("etc/group", `root:x:0:\ndatabuddy:x:${id}:\n`),
    file("etc/nsswitch.conf", "hosts: files dns\n"),
    ...texts.map((text) => ({ ...text, path: `usr/share/doc/databuddy/${text.path}` })),
    { path: "data", mode: 0o700, owner: id, directory: true },
    { path: "tmp", mode: 0o1777, directory: true },
  ]
}

function debianCopyright(): string {
  const license = readFileSync(join(root, "LICENSE"), "utf8").trim()
  return `Databuddy, self-hosted

${license}

The executable contains other software. Its licenses are in
/usr/share/doc/databuddy/THIRD-PARTY-LICENSES.txt.gz; databuddy licenses prints them.
`
}

/** Formats a changelog for Debian's tools, which read the version and the date from it. */
function debianChangelog({ version, time, maintainer }: PackageFacts): string {
  const date = new Date(time * 1_000).toUTCString().replace("GMT", "+0000")
  return `databuddy (${packageVersion(version)}) unstable; urgency=medium

  * The changes are in /usr/share/doc/databuddy/CHANGELOG.md.gz.

 -- ${maintainer}  ${date}
`
}

function unit(bindir: string): string {
  return readFileSync(sourceFile("linux/databuddy.service"), "utf8").replace("@bindir@", bindir)
}

/** Returns the checksums of all files in dist/, for verification with `sha256sum --check SHA256SUMS`. */
function checksums(): string {
  return [...new Bun.Glob("**").scanSync(dist)]
    .sort()
    .map((name) => {
      const hash = createHash("sha256").update(readFileSync(join(dist, name)))
      return `${hash.digest("hex")}  ${name}\n`
    })
    .join("")
}

function platformOf({ outfile }: Target): string {
  return basename(outfile, ".exe").replace("databuddy-", "")
}

function file(path: string, content: Uint8Array | string, mode = 0o644): File {
  return { path, mode, content }
}

function sourceFile(name: string): string {
  return join(import.meta.dir, name)
}

function writeDist(name: string, content: Uint8Array | string, mode = 0o644): void {
  writeFileSync(join(dist, name), content, { mode })
  process.stderr.write(`dist/${name} written\n`)
}

/**
 * Returns the output of a databuddy command. Runs it from source, because the executable for the target might not run
 * on this machine.
 */
function databuddy(...args: string[]): string {
  const command = [process.execPath, join(root, "src/main.ts"), ...args]
  const { success, stdout, stderr } = Bun.spawnSync(command, { env: {} })
  if (!success) throw new Error(`databuddy ${args.join(" ")} failed: ${stderr.toString()}`)
  return stdout.toString()
}

function git(...args: string[]): string {
  const result = Bun.spawnSync(["git", ...args], { cwd: root })
  if (!result.success) throw new Error(`git ${args.join(" ")} failed: ${result.stderr.toString()}`)
  return result.stdout.toString().trim()
}
