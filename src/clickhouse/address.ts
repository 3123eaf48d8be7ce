import { UserError } from "../errors.ts"
import { readFlagFile } from "../flag-file.ts"
import { isLoopback } from "../store/websites.ts"

/** The URL of a cluster, and the user and the database to use there. */
export interface ClusterAddress {
  /** The origin, such as `https://host:8443`, without user and database. */
  url: string
  user: string
  database: string
}

/** Options of commands that use a cluster. */
export interface ClusterOptions {
  clickhouse?: string
  /** File with the password. By default, the password is in DATABUDDY_CLICKHOUSE_PASSWORD. */
  clickhousePasswordFile?: string
}

export const clusterUrlFormat = "a URL such as https://user@host:8443/database, without the password"

/**
 * Parses a cluster URL. Returns undefined if `text` does not have the format that `clusterUrlFormat` describes. The
 * user and the database default to "default".
 */
export function parseClusterUrl(text: string): ClusterAddress | undefined {
  const url = URL.parse(text)
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) return undefined
  const [, database] = /^\/([\w.-]*)\/?$/.exec(url.pathname) ?? []
  if (database === undefined || url.password !== "" || url.search !== "" || url.hash !== "") return undefined
  try {
    const user = decodeURIComponent(url.username)
    return { url: url.origin, user: user || "default", database: database || "default" }
  } catch {
    return undefined // a lone %
  }
}

/** True if `text` is a URL with a password, which error messages must not show. */
export function hasPassword(text: string): boolean {
  return (URL.parse(text)?.password ?? "") !== ""
}

/** Returns the address of the cluster and the password. Throws a UserError if one of them is missing or invalid. */
export function clusterLogin(
  options: ClusterOptions,
  env: NodeJS.ProcessEnv,
): { address: ClusterAddress; password: string } {
  const { clickhouse, clickhousePasswordFile: file } = options
  if (clickhouse === undefined) {
    throw new UserError(
      "no cluster is given",
      "set --clickhouse or DATABUDDY_CLICKHOUSE to a URL such as https://user@host:8443/database",
    )
  }
  if (hasPassword(clickhouse)) {
    throw new UserError(
      "the URL in --clickhouse contains a password, which other users can see in the list of processes",
      "remove it from the URL, and set DATABUDDY_CLICKHOUSE_PASSWORD or --clickhouse-password-file",
    )
  }
  const address = parseClusterUrl(clickhouse)
  if (!address) throw new UserError("--clickhouse is not valid", `give ${clusterUrlFormat}`)
  if (file === undefined) return { address, password: env.DATABUDDY_CLICKHOUSE_PASSWORD ?? "" }
  const password = readFlagFile("--clickhouse-password-file", file).toString("utf8").trim()
  if (password !== "") return { address, password }
  throw new UserError(
    `--clickhouse-password-file ${file} is empty`,
    "write the user's password to the file, or omit the flag if the user has no password",
  )
}

/** True if the address uses unencrypted HTTP and is not on this machine. */
export function isUnencrypted({ url }: ClusterAddress): boolean {
  const { protocol, hostname } = new URL(url)
  return protocol === "http:" && !isLoopback(hostname)
}

/** Returns a name for messages, such as `https://host:8443/database`. */
export function clusterName({ url, database }: ClusterAddress): string {
  return `${url}/${database}`
}
