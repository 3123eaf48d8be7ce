import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Command, Option } from "commander"
import { LiveTraffic } from "../demo/live-traffic.ts"
import { type Demo, openDemo } from "../demo/open-demo.ts"
import { questionsOf } from "../demo/saved.ts"
import { codeOf, RequestError, UserError } from "../errors.ts"
import { integer } from "../flag-values.ts"
import { createLog, faultLog, type Log } from "../log.ts"
import { addFlagsOfServe, defaultServeOptions } from "../serve-options.ts"
import { Listener } from "../server/listen.ts"
import { stopListening } from "../server/shutdown.ts"
import type { Context } from "../terminal/context.ts"
import { version } from "../version.ts"

/** Enough for two days, because the database starts at 40 MB and grows by less than 20 MB a day. */
const neededSpace = "100 MB"

interface DemoFlags {
  port: number
  seed: number
  live: boolean
  db?: string
}

export function addDemoCommand(root: Command, context: Context): void {
  const command = root
    .command("demo")
    .description(
      "run a server with two months of invented events from a shop and an app, in a temporary database that is removed when the server stops",
    )
  addFlagsOfServe(command, ["--port"])
    .option(
      "--seed <number>",
      "seed of the generated events; the same seed generates the same events",
      integer(0, 2 ** 32 - 1),
      1,
    )
    .option("--no-live", "do not add events while it runs")
    .addOption(new Option("--db <file>").hideHelp())
    .action((flags: DemoFlags) => {
      if (flags.db !== undefined)
        command.error(
          "error: demo does not take --db: it always uses a temporary database. To serve a database, run `databuddy serve --db FILE`",
        )
      return demo(flags, context)
    })
}

/**
 * Runs the demo until the process receives SIGTERM, SIGINT or SIGHUP. The demo's folder is removed before the promise
 * settles.
 */
async function demo(flags: DemoFlags, context: Context): Promise<void> {
  const stop = new AbortController()
  const stopped = new Promise<void>((resolve) => {
    stop.signal.addEventListener("abort", () => resolve())
  })
  void context.stopSignal().then(() => stop.abort())
  // Closing the terminal sends SIGHUP, which also stops the demo.
  context.reloadSignal()(() => stop.abort())
  const folder = temporaryFolder()
  const remove = () => rmSync(folder, { recursive: true, force: true })
  context.atExit(remove)
  try {
    await serveDemo(join(folder, "demo.db"), flags, { stop: stop.signal, stopped }, context)
  } catch (error) {
    if (!(error instanceof RequestError && error.reason === "store_failed")) throw error
    throw new UserError(
      `the demo cannot be stored in ${tmpdir()}, because the disk is full or has failed`,
      `free ${neededSpace}, or set TMPDIR to a folder on another disk`,
    )
  } finally {
    remove()
  }
}

function temporaryFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), "databuddy-demo-"))
  } catch (error) {
    throw new UserError(
      `no folder can be created in ${tmpdir()} (${codeOf(error)})`,
      `set TMPDIR to a folder that you can write to, with ${neededSpace} of free space`,
    )
  }
}

async function serveDemo(
  path: string,
  { port, seed, live }: DemoFlags,
  { stop, stopped }: { stop: AbortSignal; stopped: Promise<void> },
  context: Context,
): Promise<void> {
  const { environment, newId, memory, sleep } = context
  const log = createLog(context.err, { level: "warn", readable: context.errIsTerminal }, environment.now)
  const startedAt = environment.elapsed()
  context.out(`Creating the demo in ${path}. It is removed when you stop it with Ctrl+C.\n`)
  let listener: Listener | undefined
  const demo = await openDemo(
    {
      ...defaultServeOptions(),
      path,
      // The data does not have to survive a power failure, and no disk space must stay free.
      durability: "os",
      minFree: 0,
      metricsAccess: { token: undefined, local: false },
      backups: undefined,
      offsiteBackups: undefined,
    },
    { ...environment, newId, memory, log },
    {
      seed,
      signal: stop,
      sleep,
      listen: (server) => {
        listener = new Listener(server, { host: "127.0.0.1", port }, { https: false })
      },
    },
  )
  if (!demo || !listener) {
    await listener?.stop(true)
    return
  }
  try {
    const seconds = (environment.elapsed() - startedAt) / 1_000
    context.out(startMessage(demo, { url: `http://127.0.0.1:${listener.port}`, seed, seconds }))
    const traffic = live ? liveTraffic(demo, context, log) : undefined
    traffic?.start()
    await stopped
    traffic?.stop()
    await stopListening(demo.server, listener, 0, context, log)
  } finally {
    await demo.server.close()
  }
}

function liveTraffic({ dataset, server }: Demo, { environment }: Context, log: Log): LiveTraffic {
  const { now, elapsed } = environment
  return new LiveTraffic(dataset, server.store.batcher, { now, onFault: faultLog(log, elapsed) })
}

function startMessage(
  { dataset: { rows, timeline }, websites, loginPath }: Demo,
  { url, seed, seconds }: { url: string; seed: number; seconds: number },
): string {
  const events = `${rows.length.toLocaleString("en-US")} events (--seed ${seed}), created in ${seconds.toFixed(1)} s`
  const questions = questionsOf(timeline, websites).map((question) => `  - ${question}\n`)
  return `databuddy ${version} listens on ${url}: ${events}

Open the dashboard (this link logs you in):

  ${url}${loginPath}

Questions that the data answers:

${questions.join("")}`
}
