import { UserError } from "../errors.ts"
import { readFlagFile } from "../flag-file.ts"
import type { MetricsAccess } from "../metrics/access.ts"
import type { ServeOptions } from "../serve-options.ts"

/** Returns who can access /metrics. Throws a UserError if the token file is unreadable or empty. */
export function readMetricsAccess({
  metrics,
  metricsTokenFile: file,
}: Pick<ServeOptions, "metrics" | "metricsTokenFile">): MetricsAccess {
  const local = metrics === "local"
  if (file === undefined) return { token: undefined, local }
  const hint =
    "create the file with `openssl rand -hex 32 > FILE`, and let the system user that runs databuddy read it"
  const token = readFlagFile("--metrics-token-file", file, hint).toString("utf8").trim()
  if (token !== "") return { token, local }
  throw new UserError(
    `--metrics-token-file ${file} is empty`,
    "write a token to the file: `openssl rand -hex 32 > FILE`",
  )
}
