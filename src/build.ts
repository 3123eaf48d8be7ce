import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { rm } from "node:fs/promises"
import { basename, dirname, join, relative } from "node:path"
import { embedDashboard } from "./dashboard/bundle.ts"
import { type BundledPackage, bundledPackages, licenseTexts } from "./release/bundled-packages.ts"
import { bundleScripts, scriptFiles } from "./tracker/bundle.ts"
import { basePathPlaceholder } from "./tracker/scripts.ts"

// bun src/build.ts         → ./databuddy for this machine
// bun src/build.ts --all   → dist/databuddy-<platform> for every platform

export interface Target {
  /** Path relative to the repository root. */
  readonly outfile: string
  /** The Bun executable to which the program is appended. Bun downloads executables for other platforms once. */
  readonly bun: Bun.Build.CompileTarget
  /** The prebuilt better-sqlite3 addon to embed. See src/store/db/driver.ts. */
  readonly addon: string
  /** A release fails if this binary cannot be built. */
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
/**
 * File that records the sources from which the binary was built. It is a separate file, because nothing can be added to
 * a compiled binary.
 */
const recordFile = join(root, "node_modules/.cache/databuddy-build.json")
/**
 * Folder for temporary files that are embedded in the binary. It is not in node_modules, because several clones can
 * share that folder, and their builds would overwrite each other's files. The path becomes part of the source map, so
 * it must be the same in every clone.
 */
const embeddedFolder = join(root, "dist/.embedded")

// The entry points after the first one are workers. The modules that start them refer to them by these paths.
const entrypoints = [
  "src/main.ts",
  "src/backups/copy-worker.ts",
  "src/query-api/worker.ts",
  "src/clickhouse/shipping-worker.ts",
  "src/clickhouse/query/query-worker.ts",
].map((file) => join(root, file))

if (import.meta.main) process.exit(process.argv.includes("--all") ? await buildAll() : await buildHost())

async function buildHost(): Promise<number> {
  const addon = hostAddon()
  const target = targets.find((candidate) => candidate.addon === addon)
  if (target === undefined) {
    report(`Cannot build databuddy for ${addon}: better-sqlite3 has no addon for it.`)
    return 1
  }
  const outfile = process.platform === "win32" ? "databuddy.exe" : "databuddy"
  const sources = sourcesDigest()
  const licenses = licenseTexts(root, await packagesInBinaries())
  if (!(await build({ ...target, outfile }, licenses))) return 1
  mkdirSync(dirname(recordFile), { recursive: true })
  writeFileSync(recordFile, JSON.stringify(recordOf(join(root, outfile), sources)))
  return 0
}

function recordOf(binary: string, sources: string) {
  const { size, mtimeMs } = statSync(binary)
  return { sources, size, mtimeMs }
}

/** True if `bun run build` built `binary` from the current sources. */
export function isUpToDate(binary: string): boolean {
  try {
    return readFileSync(recordFile, "utf8") === JSON.stringify(recordOf(binary, sourcesDigest()))
  } catch {
    return false // no binary, or not built here
  }
}

/**
 * Returns a SHA-256 hash of the paths and contents of all files that affect the binary. Modification times are not
 * used, because git changes them at checkout.
 */
function sourcesDigest(): string {
  const hash = createHash("sha256")
  const folders = ["src", "migrations"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith(".md"))
      .map((entry) => join(entry.parentPath, entry.name)),
  )
  const files = ["package.json", "bun.lock", "tsconfig.json"].map((name) => join(root, name))
  for (const file of [...folders, ...files].sort()) hash.update(`${file}\0`).update(readFileSync(file))
  return hash.digest("hex")
}

/** Builds all targets, and continues after a failure. Returns exit code 1 if a required binary could not be built. */
async function buildAll(): Promise<number> {
  // Binaries from an earlier build must not be mistaken for results of this one.
  await rm(join(root, "dist"), { recursive: true, force: true })
  let code = 0
  const licenses = licenseTexts(root, await packagesInBinaries())
  for (const target of targets) {
    const built = await build(target, licenses)
    if (!built && target.required) code = 1
  }
  return code
}

/**
 * Embeds the addon as a plain file, which src/store/db/addon.ts loads. Bun's own mechanism unpacks it under a
 * predictable name and trusts any file that already exists there.
 */
function embedAddon(): Bun.BunPlugin {
  return {
    name: "embed-addon",
    setup(build) {
      build.onLoad({ filter: /better-sqlite3[/\\]lib[/\\](linux|linuxmusl)-\w+\.js$/ }, ({ path }) => ({
        contents: `
import createDatabase from "./database.js"
import file from "../prebuilds/${basename(path, ".js")}.node" with { type: "file" }
import { loadAddon } from ${JSON.stringify(relative(dirname(path), join(root, "src/store/db/addon.ts")))}
let addon
export default createDatabase(() => addon ??= loadAddon(file), false)
`,
        loader: "js",
      }))
    },
  }
}

/**
 * Leaves out the parts of the ACME library that are not used here. src/acme/client.ts replaces the library's transport,
 * so axios's browser build, which has no code for proxies and forms, is enough. Bun creates all keys, so node-forge is
 * not needed.
 */
function slimAcmeClient(): Bun.BunPlugin {
  const axios = join(root, "node_modules/axios/dist/browser/axios.cjs")
  return {
    name: "slim-acme-client",
    setup(build) {
      build.onResolve({ filter: /^axios$/ }, () => ({ path: axios }))
      build.onLoad({ filter: /acme-client[/\\]src[/\\]crypto[/\\]forge\.js$/ }, () => ({
        contents: "module.exports = {}",
      }))
    },
  }
}

/** Returns the packages that are bundled into the binaries. They are the same for all platforms. */
export function packagesInBinaries(): Promise<BundledPackage[]> {
  const define = {
    BUILD_ADDON: JSON.stringify(hostAddon()),
    "process.env.NODE_ENV": JSON.stringify("production"),
  }
  return bundledPackages(root, [
    { entrypoints, target: "bun", splitting: true, define, plugins: [slimAcmeClient()] },
    { entrypoints: [...scriptFiles], target: "browser", define: { ...define, DEBUG: "false" } },
  ])
}

/** Returns a plugin that embeds the license texts as a file, so that they are not loaded at startup. */
async function embedLicenses(licenses: string): Promise<Bun.BunPlugin> {
  await Bun.write(join(embeddedFolder, "licenses.txt"), licenses)
  return {
    name: "embed-licenses",
    setup(build) {
      build.onLoad({ filter: /[/\\]src[/\\]license-texts\.ts$/ }, () => ({
        contents: `
import file from "../dist/.embedded/licenses.txt" with { type: "file" }
export const licenseTexts = () => Bun.file(file).text()
`,
        loader: "js",
      }))
    },
  }
}

/**
 * Builds one binary, including its license texts. Returns false if the build failed. `version` overrides the version in
 * package.json.
 */
export async function build(
  { outfile, bun, addon }: Target,
  licenses: string,
  version?: string,
): Promise<boolean> {
  const result = await Bun.build({
    entrypoints,
    root,
    define: {
      BUILD_ADDON: JSON.stringify(addon),
      BUILD_COMMIT: JSON.stringify(commit()),
      ...(version === undefined ? {} : { BUILD_VERSION: JSON.stringify(version) }),
      // The key that `databuddy update` trusts by default.
      BUILD_UPDATE_KEY: JSON.stringify(process.env.DATABUDDY_UPDATE_PUBLIC_KEY ?? ""),
      BUILD_SCRIPTS: JSON.stringify(JSON.stringify(await bundleScripts(basePathPlaceholder))),
      // By default, Bun.build (unlike `bun build --compile`) sets "development", which makes Elysia's errors more
      // detailed.
      "process.env.NODE_ENV": JSON.stringify("production"),
    },
    // Keeps identifiers and embeds the source map, so that stack traces name functions and files.
    minify: { whitespace: true, syntax: true },
    sourcemap: "inline",
    // Lets the workers share the code of the main thread.
    splitting: true,
    // Adds no hash to the names of embedded files. The names of the dashboard's scripts already contain a hash, and the
    // dashboard's pages refer to the scripts by name.
    naming: { asset: "[name].[ext]" },
    // Avoids parsing the sources at every start, so that a command takes 0.03 s of CPU time instead of 0.06 s. The
    // server saves even more.
    bytecode: true,
    format: "esm",
    compile: {
      target: bun,
      outfile: join(root, outfile),
      // Configuration comes only from flags and the environment, never from files in the working directory. A .env file
      // there can belong to another program, and a bunfig.toml can run code.
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
    plugins: [
      embedAddon(),
      slimAcmeClient(),
      await embedDashboard(join(embeddedFolder, "dashboard")),
      await embedLicenses(licenses),
    ],
    throw: false,
  })
  await rm(embeddedFolder, { recursive: true, force: true })
  if (!result.success) {
    const causes = result.logs.map((log) => log.message).join("; ")
    report(`${outfile} was not built: ${causes}`)
    return false
  }
  // Bun also writes the embedded source map to a file, which nothing needs.
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
    // `--git-dir` limits git to this repository. An unpacked source archive may be inside another repository.
    const git = Bun.spawnSync(["git", "--git-dir=.git", "rev-parse", "--short=10", "HEAD"], { cwd: root })
    return git.success ? git.stdout.toString().trim() : "unknown"
  } catch {
    return "unknown" // no git on this machine
  }
}

function report(line: string): void {
  process.stderr.write(`${line}\n`)
}
