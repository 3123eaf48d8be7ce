import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { rm } from "node:fs/promises"
import { basename, dirname, join } from "node:path"

// bun src/build.ts         → ./databuddy for this machine
// bun src/build.ts --all   → dist/databuddy-<platform> for every platform

export interface Target {
  /** Relative to the repository. */
  readonly outfile: string
  /** Which Bun executable the program is appended to; one for another platform is downloaded once. */
  readonly bun: Bun.Build.CompileTarget
  /** Which of better-sqlite3's prebuilt addons is embedded: see src/store/db/driver.ts. */
  readonly addon: string
  /** A release can do without the others. */
  readonly required?: true
}

export const targets: readonly Target[] = [
  { outfile: "dist/databuddy-linux-x64", bun: "bun-linux-x64", addon: "linux-x64", required: true },
  { outfile: "dist/databuddy-linux-arm64", bun: "bun-linux-arm64", addon: "linux-arm64", required: true },
  { outfile: "dist/databuddy-linux-x64-musl", bun: "bun-linux-x64-musl", addon: "linuxmusl-x64" },
  { outfile: "dist/databuddy-linux-arm64-musl", bun: "bun-linux-arm64-musl", addon: "linuxmusl-arm64" },
  { outfile: "dist/databuddy-darwin-x64", bun: "bun-darwin-x64", addon: "darwin-x64" },
  { outfile: "dist/databuddy-darwin-arm64", bun: "bun-darwin-arm64", addon: "darwin-arm64" },
  { outfile: "dist/databuddy-windows-x64.exe", bun: "bun-windows-x64", addon: "win32-x64" },
  { outfile: "dist/databuddy-windows-arm64.exe", bun: "bun-windows-arm64", addon: "win32-arm64" },
]

const root = join(import.meta.dir, "..")
/** Says what the host's binary was built from: its own bytes cannot be changed after it is compiled. */
const recordFile = join(root, "node_modules/.cache/databuddy-build.json")

if (import.meta.main) process.exit(process.argv.includes("--all") ? await buildAll() : await buildHost())

async function buildHost(): Promise<number> {
  const addon = hostAddon()
  const target = targets.find((candidate) => candidate.addon === addon)
  if (target === undefined) {
    report(`databuddy cannot be built for ${addon}: better-sqlite3 has no addon for it.`)
    return 1
  }
  const outfile = process.platform === "win32" ? "databuddy.exe" : "databuddy"
  const sources = sourcesDigest()
  if (!(await build({ ...target, outfile }))) return 1
  mkdirSync(dirname(recordFile), { recursive: true })
  writeFileSync(recordFile, JSON.stringify(recordOf(join(root, outfile), sources)))
  return 0
}

function recordOf(binary: string, sources: string) {
  const { size, mtimeMs } = statSync(binary)
  return { sources, size, mtimeMs }
}

/** Whether `binary` is what `bun run build` made of the sources as they are now. */
export function isUpToDate(binary: string): boolean {
  try {
    return readFileSync(recordFile, "utf8") === JSON.stringify(recordOf(binary, sourcesDigest()))
  } catch {
    return false // no binary, or none that was built here
  }
}

/** SHA-256 of every file that can change the binary, with its path. Times of files say nothing: git sets them at a checkout. */
function sourcesDigest(): string {
  const hash = createHash("sha256")
  const folders = ["src", "migrations"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  )
  const files = ["package.json", "bun.lock", "tsconfig.json"].map((name) => join(root, name))
  for (const file of [...folders, ...files].sort()) hash.update(`${file}\0`).update(readFileSync(file))
  return hash.digest("hex")
}

/** Goes on after a failure, and fails at the end if a required binary is missing. */
async function buildAll(): Promise<number> {
  // A binary of an earlier version must not pass for one of this build.
  await rm(join(root, "dist"), { recursive: true, force: true })
  let code = 0
  for (const target of targets) {
    const built = await build(target)
    if (!built && target.required) code = 1
  }
  return code
}

/**
 * By itself Bun unpacks an addon under a name that anybody can foresee and trusts what lies there. Instead the binary holds it as a
 * plain file, which src/store/db/addon.ts loads.
 */
function embedAddon(): Bun.BunPlugin {
  return {
    name: "embed-addon",
    setup(build) {
      build.onLoad({ filter: /better-sqlite3[/\\]lib[/\\](linux|linuxmusl)-\w+\.js$/ }, ({ path }) => ({
        contents: `
import createDatabase from "./database.js"
import file from "../prebuilds/${basename(path, ".js")}.node" with { type: "file" }
import { loadAddon } from ${JSON.stringify(join(root, "src/store/db/addon.ts"))}
let addon
export default createDatabase(() => addon ??= loadAddon(file), false)
`,
        loader: "js",
      }))
    },
  }
}

async function build({ outfile, bun, addon }: Target): Promise<boolean> {
  const result = await Bun.build({
    // The second is the Worker of src/backups/staging.ts, which names it by this path.
    entrypoints: ["src/main.ts", "src/backups/copy-worker.ts", "src/query-api/worker.ts"].map((file) =>
      join(root, file),
    ),
    root,
    define: {
      BUILD_ADDON: JSON.stringify(addon),
      BUILD_COMMIT: JSON.stringify(commit()),
      // Bun.build, unlike `bun build --compile`, would set "development", and Elysia's errors tell more then.
      "process.env.NODE_ENV": JSON.stringify("production"),
    },
    // Identifiers stay, and the source map is embedded, so that a stack in a log names files and functions.
    minify: { whitespace: true, syntax: true },
    sourcemap: "inline",
    // Pages of the dashboard that not everybody goes to are loaded when somebody does.
    splitting: true,
    // Parsing the sources takes 0.15 s at each start, of commands as of the server: 0.2 s without this, 0.08 s with it.
    bytecode: true,
    format: "esm",
    compile: {
      target: bun,
      outfile: join(root, outfile),
      // A server is configured by its flags and its environment, never by what lies in the folder it is
      // started in: a .env there may belong to another program, and a bunfig.toml can run code.
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
    plugins: [embedAddon()],
    throw: false,
  })
  if (!result.success) {
    const causes = result.logs.map((log) => log.message).join("; ")
    report(`${outfile} was not built: ${causes}`)
    return false
  }
  // Bun also writes the source map that it embeds beside the binary, where nothing needs it.
  for (const output of result.outputs) if (output.kind === "sourcemap") await rm(output.path)
  report(`${outfile} built`)
  return true
}

export function hostAddon(): string {
  const musl = process.platform === "linux" && readFileSync("/proc/self/maps", "latin1").includes("/ld-musl-")
  return `${musl ? "linuxmusl" : process.platform}-${process.arch}`
}

function commit(): string {
  try {
    // --git-dir: of this repository only, not of one that an unpacked archive happens to lie in.
    const git = Bun.spawnSync(["git", "--git-dir=.git", "rev-parse", "--short", "HEAD"], { cwd: root })
    return git.success ? git.stdout.toString().trim() : "unknown"
  } catch {
    return "unknown" // no git on this machine
  }
}

function report(line: string): void {
  process.stderr.write(`${line}\n`)
}
