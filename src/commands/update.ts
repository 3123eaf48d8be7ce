import { rmSync } from "node:fs"
import { type Command, Option } from "commander"
import { UserError } from "../errors.ts"
import { integer } from "../flag-values.ts"
import { addFlagsOfServe } from "../serve-options.ts"
import type { Context } from "../terminal/context.ts"
import { commandDatabaseOption, type DataOptions, requireDatabase } from "../terminal/database.ts"
import { fetchStatus, type ListenOptions, listenFlags, localUrl } from "../terminal/server-status.ts"
import { downloadProgram } from "../update/download.ts"
import { parsePublicKey } from "../update/minisign.ts"
import { newestRelease } from "../update/newest-release.ts"
import { ownProgram, type Replacement, replaceProgram, writeProgram } from "../update/replace.ts"
import { version } from "../version.ts"

/** Set by src/build.ts. */
declare const BUILD_ADDON: string | undefined
declare const BUILD_UPDATE_KEY: string | undefined

interface UpdateOptions extends DataOptions, ListenOptions {
  url?: string
  publicKey?: string
  check?: boolean
  service: string
  control: string
  readyWithin: number
}

/** Time between requests to /ready, in ms. */
const pollInterval = 250

export function addUpdateCommand(root: Command, context: Context): void {
  const command = root
    .command("update")
    .description(
      "replace this executable with the newest release and restart the server; returns to this version and its database if the new version does not become ready. Makes no requests unless --url is set",
    )
    .addOption(
      new Option("--url <url>", "URL of the folder with the files of the newest release").env(
        "DATABUDDY_UPDATE_URL",
      ),
    )
    .addOption(
      new Option(
        "--public-key <key>",
        "minisign public key for SHA256SUMS (default: the key in this executable, if it was built with one)",
      ).env("DATABUDDY_UPDATE_PUBLIC_KEY"),
    )
    .option("--check", "only check for a newer version")
    .option("--service <name>", "the server's systemd unit", "databuddy.service")
    .option(
      "--control <program>",
      'program that stops and starts the server; called with "stop" or "start" and the unit',
      "systemctl",
    )
    .option("--ready-within <seconds>", "how long the new version can take to start", integer(1, 86_400), 120)
    .addOption(commandDatabaseOption("the server's database"))
  addFlagsOfServe(command, listenFlags)
    .addHelpText(
      "after",
      "\nExample:\n  databuddy update --url https://example.com/databuddy --public-key RW… --db /var/lib/databuddy/databuddy.db",
    )
    .action((options: UpdateOptions) => update(options, context))
}

async function update(options: UpdateOptions, context: Context): Promise<void> {
  const { url, key } = sourceOf(options)
  const program = ownProgram(context)
  const release = await newestRelease(url, platform(), key, version)
  if (!release)
    throw new UserError(`${url} has no release for ${platform()}`, "check --url; SHA256SUMS lists the files")
  if (Bun.semver.order(release.version, version) <= 0) {
    context.out(`databuddy ${version} is the newest version\n`)
    return
  }
  if (options.check) {
    context.out(`databuddy ${release.version} is available; this is ${version}\n`)
    return
  }
  const db = requireDatabase(options, "lock")
  await requireServer(options)
  const newProgram = `${program}.new`
  try {
    writeProgram(newProgram, await downloadProgram(url, release), release.version)
    const replacement: Replacement = {
      program,
      newProgram,
      version: release.version,
      db,
      control: (action) => control(options, action),
      waitUntilReady: () => waitUntilReady(options, context),
    }
    const { applied, backup } = await replaceProgram(replacement, context)
    const migrated = applied.length === 0 ? "" : `, migrated its database (backup: ${backup})`
    context.out(`updated databuddy from ${version} to ${release.version}${migrated}\n`)
  } finally {
    rmSync(newProgram, { force: true })
  }
}

/**
 * Returns the URL of the releases and the key that signs them. Throws a UserError if either is missing, so that no
 * update is installed from an unknown source.
 */
function sourceOf(options: UpdateOptions) {
  const { url, publicKey = typeof BUILD_UPDATE_KEY === "string" ? BUILD_UPDATE_KEY : "" } = options
  if (url === undefined || !URL.canParse(url)) {
    throw new UserError(
      url === undefined ? "no release URL is configured" : `--url ${url} is not a URL`,
      "set --url or DATABUDDY_UPDATE_URL to a folder with SHA256SUMS and the archives",
    )
  }
  if (publicKey === "") {
    throw new UserError(
      "no public key for releases is configured",
      "set --public-key or DATABUDDY_UPDATE_PUBLIC_KEY to the key that signs SHA256SUMS",
    )
  }
  return { url, key: parsePublicKey(publicKey) }
}

/** Returns the platform as it appears in the names of release archives, such as linux-x64-musl. */
function platform(): string {
  const addon = typeof BUILD_ADDON === "string" ? BUILD_ADDON : ""
  return addon.startsWith("linuxmusl-") ? `${addon.replace("musl", "")}-musl` : addon
}

async function control(
  { control: program, service }: UpdateOptions,
  action: "stop" | "start",
): Promise<void> {
  const path = Bun.which(program)
  if (!path)
    throw new UserError(
      `${program} was not found`,
      "set --control to a program that stops and starts the server",
    )
  const child = Bun.spawn([path, action, service], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    // Ctrl+C in the terminal must not interrupt the child.
    detached: true,
  })
  const errors = await new Response(child.stderr).text()
  if ((await child.exited) !== 0)
    throw new UserError(
      `${program} ${action} ${service} failed: ${errors.trim()}`,
      "set --service to the server's unit, and run the command as a user that can stop and start it, such as root",
    )
}

/**
 * Throws a UserError if no server responds. If the port were wrong, a working version would appear to fail and would be
 * rolled back.
 */
async function requireServer(options: UpdateOptions): Promise<void> {
  const url = localUrl(options)
  const { code, status } = await fetchStatus(url, "/ready", 5_000)
  if (code !== undefined) return
  throw new UserError(
    `no server responds at ${url} (${status}); nothing was changed`,
    "start the server if it is stopped; set --port, --host, --tls-cert and --acme as for the server",
  )
}

async function waitUntilReady(
  options: UpdateOptions,
  { environment, sleep }: Context,
): Promise<string | undefined> {
  const end = environment.elapsed() + options.readyWithin * 1_000
  const url = localUrl(options)
  for (;;) {
    const { code, status } = await fetchStatus(url, "/ready", 5_000)
    if (code === 200) return undefined
    if (environment.elapsed() > end) return `${url}/ready: ${status}`
    await sleep(pollInterval)
  }
}
