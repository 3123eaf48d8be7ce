import type { Command } from "commander"
import { UserError } from "../errors.ts"
import { addFlagsOfServe } from "../serve-options.ts"
import type { Context } from "../terminal/context.ts"
import {
  fetchStatus,
  type ListenOptions,
  listenFlags,
  localUrl,
  urlWithoutCertificate,
} from "../terminal/server-status.ts"

interface HealthOptions extends ListenOptions {
  url?: string
  ready?: boolean
}

/** Timeout in ms. A server responds to /health even while it is overloaded. */
const timeout = 5_000

export function addHealthCommand(root: Command, context: Context): void {
  addFlagsOfServe(
    root
      .command("health")
      .description(
        "check that a server is running and responds; exits with code 1 if not. Takes the flags and environment variables of `serve`",
      )
      .option("--url <url>", "URL of the server (default: this machine, at the --host and --port of `serve`)")
      .option("--ready", "check that events can be stored now"),
    listenFlags,
  )
    .addHelpText("after", "\nExamples:\n  databuddy health\n  databuddy health --ready --port 8080")
    .action((options: HealthOptions) => health(options, context))
}

async function health(options: HealthOptions, context: Context): Promise<void> {
  let url = options.url ?? localUrl(options)
  const path = options.ready ? "/ready" : "/health"
  let result = await fetchStatus(url, path, timeout)
  const fallback = options.url === undefined ? urlWithoutCertificate(options) : undefined
  if (result.code === undefined && fallback !== undefined) {
    const other = await fetchStatus(fallback, path, timeout)
    if (other.code !== undefined) [url, result] = [fallback, other]
  }
  if (result.code !== 200) {
    throw new UserError(
      `${url}${path}: ${result.status}`,
      result.code === undefined
        ? "start the server, or set its address with --url or with flags of `serve` such as --port"
        : "the server's log says why",
    )
  }
  context.out(`${result.status}\n`)
}
