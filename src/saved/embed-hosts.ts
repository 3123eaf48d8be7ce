/** Error message that describes how to write an origin that can embed a share link. */
export const embedHostFormat =
  "must be an origin such as https://example.com, https://example.com:8443, https://*.example.com, or http://localhost:3000"

/**
 * A host name made of labels of letters, digits and hyphens. Other characters are excluded because they could end a
 * policy directive.
 */
const hostName = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
/** Hosts that can use http safely, because the page is on the visitor's own machine. */
const localNames: ReadonlySet<string> = new Set(["localhost", "127.0.0.1"])
/** Minimum number of labels after a wildcard. With fewer, `https://*.com` would allow nearly every website. */
const minWildcardLabels = 2

/**
 * Converts an origin to a source for `frame-ancestors`. Returns undefined if the origin is invalid. A wildcard covers
 * subdomains at any depth, but not the domain itself.
 */
export function parseEmbedHost(text: string): string | undefined {
  const [, scheme, wildcard = "", rest = ""] = /^(https?):\/\/(\*\.)?([^*\s]+?)\/?$/i.exec(text.trim()) ?? []
  if (scheme === undefined || !URL.canParse(`${scheme}://${rest}`)) return undefined
  const url = new URL(`${scheme}://${rest}`)
  // This check also rejects credentials, paths, queries and fragments.
  if (url.href !== `${url.origin}/` || !hostName.test(url.hostname)) return undefined
  if (url.protocol === "http:" && (wildcard !== "" || !localNames.has(url.hostname))) return undefined
  if (wildcard !== "" && !isWildcardBase(url.hostname)) return undefined
  return `${url.protocol}//${wildcard}${url.host}`
}

function isWildcardBase(name: string): boolean {
  return name.split(".").length >= minWildcardLabels && !/^[\d.]+$/.test(name)
}
