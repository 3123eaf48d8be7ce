import { readFileSync } from "node:fs"
import { codeOf, messageOf, UserError } from "../errors.ts"
import { type Log, type LogLevel, logLevels } from "../log.ts"
import type { CertificateState } from "../metrics/metrics.ts"
import type { ServeOptions } from "../serve-options.ts"
import type { Listener } from "./listen.ts"
import { readTls } from "./tls.ts"

type LogOptions = Pick<ServeOptions, "logLevel" | "logLevelFile">
type ReloadOptions = LogOptions & Pick<ServeOptions, "tlsCert" | "tlsKey">

/** The parts of a running server that a reload changes. */
export interface Reloadable {
  /** Settings of the log. */
  logging: { level: LogLevel }
  listener: Pick<Listener, "replaceTls">
  /** State of the certificate, for metrics. */
  certificate: CertificateState | undefined
  /**
   * If the last certificate request failed, requests the certificate again and returns true. Undefined if the server
   * does not request certificates.
   */
  retryCertificate: (() => boolean) | undefined
  log: Log
  now: () => number
}

/**
 * Returns the level in `--log-level-file` if that file exists, otherwise `--log-level`. Throws a UserError if the file
 * cannot be read or does not contain a level.
 */
export function readLogLevel({ logLevel, logLevelFile: file }: LogOptions): LogLevel {
  if (file === undefined) return logLevel
  let text: string
  try {
    text = readFileSync(file, "utf8").trim()
  } catch (error) {
    if (codeOf(error) === "ENOENT") return logLevel
    throw new UserError(
      `--log-level-file ${file} cannot be read: ${messageOf(error)}`,
      "choose a file that the system user running databuddy can read",
    )
  }
  const level = logLevels.find((level) => level === text)
  if (level !== undefined) return level
  throw new UserError(
    `--log-level-file ${file} does not contain a log level`,
    `write one of ${logLevels.join(", ")} to the file, or delete it`,
  )
}

/**
 * Rereads the log level and the certificate. If the last certificate request failed, requests the certificate again.
 * Logs changes. If a value cannot be used, logs the reason and keeps the previous value.
 */
export async function reload(
  options: ReloadOptions,
  { logging, listener, certificate, retryCertificate, log, now }: Reloadable,
): Promise<void> {
  await attempt("log level", log, () => {
    const level = readLogLevel(options)
    const { level: previous } = logging
    const report = () => log("info", "reloaded the log level", { log_level: level, previous })
    // Logs the change while the more verbose of the two levels is set.
    if (logLevels.indexOf(level) > logLevels.indexOf(previous)) report()
    logging.level = level
    if (logLevels.indexOf(level) <= logLevels.indexOf(previous)) report()
  })
  await attempt("certificate", log, async () => {
    const tls = readTls(options)
    if (!tls) return
    const isNew = await listener.replaceTls(tls)
    if (certificate) certificate.expiresAt = tls.expiresAt
    log("info", isNew ? "reloaded the certificate" : "reloaded the certificate, which is unchanged", {
      cert: options.tlsCert,
      valid_to: tls.validTo,
    })
    const problem = tls.validityProblem(now())
    if (problem) log("warn", problem, { cert: options.tlsCert })
  })
  if (retryCertificate?.()) log("info", "requesting the certificate again now")
}

async function attempt(what: string, log: Log, work: () => void | Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    log("error", `the previous ${what} stays in use: ${error.message}`, { hint: error.hint })
  }
}
