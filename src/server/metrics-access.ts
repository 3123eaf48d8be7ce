import { readFileSync } from "node:fs"
import { UserError } from "../errors.ts"
import type { MetricsAccess } from "../metrics/route.ts"
import type { ServeOptions } from "../serve-options.ts"

/** Reads the token for /metrics once. Throws a UserError if the file is unreadable or empty. */
export function readMetricsAccess({
  metrics,
  metricsTokenFile: file,
}: Pick<ServeOptions, "metrics" | "metricsTokenFile">): MetricsAccess {
  const local = metrics === "local"
  if (file === undefined) return { token: undefined, local }
  let token: string
  try {
    token = readFileSync(file, "utf8").trim()
  } catch (error) {
    throw new UserError(
      `--metrics-token-file ${file} cannot be read: ${(error as Error).message}`,
      "create the file, readable by the user that databuddy runs as: openssl rand -hex 32 > FILE",
    )
  }
  if (token !== "") return { token, local }
  throw new UserError(
    `--metrics-token-file ${file} is empty`,
    "write a token to the file: openssl rand -hex 32 > FILE",
  )
}
