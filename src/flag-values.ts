import { domainToASCII } from "node:url"
import { InvalidArgumentError } from "commander"
import { clusterUrlFormat, hasPassword, parseClusterUrl } from "./clickhouse/address.ts"
import { parseDuration } from "./duration.ts"
import { parseNetworks, type TrustedNetworks } from "./http/address.ts"
import { parseRetention, retentionFormat } from "./retention-period.ts"
import { isLoopback } from "./store/websites.ts"
import { defaultScriptName, scriptNames } from "./tracker/scripts.ts"

// Parsers for flag values. Each one throws an InvalidArgumentError, which commander prints after the flag.

/** Returns a parser for integers from `min` to `max`. `max` must be below 2^53, which has 16 digits. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (number >= min && number <= max) return number
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}

/**
 * Returns a parser that rejects empty values. An empty path would mean the working directory, and an empty host would
 * mean all network interfaces.
 */
export function nonEmpty(expected: string): (text: string) => string {
  return (text) => {
    if (text.trim() !== "") return text
    throw new InvalidArgumentError(`It must be ${expected}.`)
  }
}

export function retention(text: string): number {
  const ms = parseRetention(text)
  if (ms !== undefined) return ms
  throw new InvalidArgumentError(`It must be ${retentionFormat}.`)
}

/** Parses how long events stay in the database file (--keep-local). */
export function localTime(text: string): number {
  const ms = parseRetention(text)
  if (ms !== undefined && ms > 0) return ms
  throw new InvalidArgumentError("It must be a duration from 1d to 36525d, such as 30d.")
}

/**
 * Maximum interval between backups, in ms. A longer one is probably a mistake. There is no minimum, because a backup
 * starts only after the previous one has ended.
 */
const maxBackupInterval = 366 * 86_400_000

export function backupInterval(text: string): number {
  const ms = parseDuration(text) ?? 0
  if (ms > 0 && ms <= maxBackupInterval) return ms
  throw new InvalidArgumentError("It must be a duration of at most 366d, such as 6h or 1d.")
}

/** Parses an http or https URL. */
export function webAddress(text: string): string {
  const url = URL.parse(text)
  if (url?.protocol === "http:" || url?.protocol === "https:") return text
  throw new InvalidArgumentError("It must be a URL that starts with https:// or http://.")
}

/**
 * Parses the URL of the server from which the registry is copied, or `none`. Because the response contains password
 * hashes, HTTPS is required unless the server is on this machine.
 */
export function registryAddress(text: string): string {
  if (text === "none") return text
  const url = URL.parse(text)
  const isSecure = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname))
  if (url && isSecure && url.username === "" && url.password === "" && url.search === "" && url.hash === "")
    return url.href.replace(/\/+$/, "")
  throw new InvalidArgumentError('It must be a URL such as https://first.example.com, or "none".')
}

/** Maximum number of names in a Let's Encrypt certificate. */
const maxNames = 100
/** Matches a DNS name with at least one dot. The last label starts with a letter, so an IPv4 address does not match. */
const dnsName = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * Parses the comma-separated names of a certificate. Appends them to `previous`, the names from earlier occurrences of
 * the flag.
 */
export function certificateNames(text: string, previous: readonly string[] = []): string[] {
  const names = text.split(",").map((name) => domainToASCII(name.trim()))
  const all = [...new Set([...previous, ...names])]
  if (names.every((name) => dnsName.test(name)) && all.length <= maxNames) return all
  throw new InvalidArgumentError(
    `It must be a comma-separated list of at most ${maxNames} DNS names, such as events.example.com. Wildcards and IP addresses are not allowed.`,
  )
}

/**
 * Parses the URL of an ACME directory. Requires HTTPS unless the server is on this machine. Over HTTP, an attacker
 * could impersonate the certificate authority.
 */
export function acmeDirectory(text: string): string {
  const url = URL.parse(text)
  const isLocal = url?.protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname)
  if (url?.protocol === "https:" || isLocal) return text
  throw new InvalidArgumentError(
    "It must be a URL that starts with https://, or with http:// for a server on this machine.",
  )
}

export function emailAddress(text: string): string {
  if (/^[^\s@,<>]+@[^\s@,<>]+$/.test(text)) return text
  throw new InvalidArgumentError("It must be one email address, such as ops@example.com.")
}

export function networks(text: string): TrustedNetworks {
  const parsed = parseNetworks(text)
  if (parsed) return parsed
  throw new InvalidArgumentError(
    "It must be a comma-separated list of addresses or networks, such as 10.0.0.0/8.",
  )
}

/**
 * Parses the address of a ClickHouse cluster. A URL with a password is rejected later, because an InvalidArgumentError
 * would print the password.
 */
export function clusterUrl(text: string): string {
  if (parseClusterUrl(text) || hasPassword(text)) return text
  throw new InvalidArgumentError(`It must be ${clusterUrlFormat}.`)
}

/** Headers that never contain a country, so choosing one of them is a mistake. */
const otherHeaders = new Set(["authorization", "cookie", "host", "user-agent", "x-forwarded-for"])

export function headerName(text: string): string {
  if (/^[\w-]{1,64}$/.test(text) && !otherHeaders.has(text.toLowerCase())) return text
  throw new InvalidArgumentError(
    "It must be the name of a header that contains a country, such as CF-IPCountry.",
  )
}

/**
 * First path segments of all routes and pages. They are not derived from the routes, because every command would then
 * load the route modules.
 */
const servedParts = (
  "ai-traffic,batch,docs,embed,engagement,errors,events,health,identify,invite,login,metrics,public,px.jpg,ready,settings," +
  "share,track,v1,vitals,w"
).split(",")

/** Parses a path prefix that no other route uses. An empty value means no prefix. Removes a trailing slash. */
export function ingestPath(text: string): string {
  const path = text.replace(/\/$/, "")
  if (path === "") return ""
  if (isPath(path) && !servedParts.includes(firstPart(path))) return path
  throw new InvalidArgumentError(
    "It must be a path of letters, digits, '-' and '_' that no other route uses, such as /e.",
  )
}

/** Parses the path prefix of the whole server. An empty value means no prefix. */
export function basePath(text: string): string {
  if (text === "") return ""
  if (!isPath(text)) {
    throw new InvalidArgumentError(
      "It must be a path of one to four segments of letters, digits, '-' and '_', without a slash at the end, such as /stats.",
    )
  }
  if (!servedParts.includes(firstPart(text))) return text
  throw new InvalidArgumentError(
    `It must not begin with a path that the server uses: ${servedParts.join(", ")}. Choose another path, such as /stats.`,
  )
}

/** True for one to four segments of letters, digits, '-' and '_'. */
function isPath(text: string): boolean {
  return /^(?:\/[\w-]{1,64}){1,4}$/.test(text)
}

/** Returns the first segment of a path, such as `stats` for /stats/events. */
function firstPart(path: string): string {
  return path.split("/")[1] ?? ""
}

/** Parses the name of the page script. Rejects the names of other scripts. */
export function scriptName(text: string): string {
  const isTaken = text !== defaultScriptName && scriptNames.includes(text)
  if (/^\w[\w.-]{0,63}\.js$/.test(text) && !isTaken) return text
  throw new InvalidArgumentError(
    `It must be a file name of letters, digits, '_', '-' and '.' that ends with .js and is not one of ${scriptNames.slice(1).join(", ")}.`,
  )
}
