/** What an origin that can embed a share link must be, as an error message. */
export const embedHostFormat =
  "must be an origin such as https://example.com, https://example.com:8443, https://*.example.com, or http://localhost:3000"

/** A host name: labels of letters, digits and hyphens. Excludes characters that could end a directive of a policy. */
const hostName = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
/** Hosts for which http is safe: the page is on the visitor's own machine. */
const localNames: ReadonlySet<string> = new Set(["localhost", "127.0.0.1"])
/** Minimum labels after a wildcard: `https://*.com` would allow everyone. */
const minWildcardLabels = 2

/**
 * Converts an origin to a source of `frame-ancestors`; undefined if it cannot be one. A wildcard stands for all
 * subdomains at any depth, but not for the domain itself.
 */
export function parseEmbedHost(text: string): string | undefined {
  const [, scheme, wildcard = "", rest = ""] = /^(https?):\/\/(\*\.)?([^*\s]+?)\/?$/i.exec(text.trim()) ?? []
  if (scheme === undefined || !URL.canParse(`${scheme}://${rest}`)) return undefined
  const url = new URL(`${scheme}://${rest}`)
  // Also rejects credentials, a path, a query and a fragment.
  if (url.href !== `${url.origin}/` || !hostName.test(url.hostname)) return undefined
  if (url.protocol === "http:" && (wildcard !== "" || !localNames.has(url.hostname))) return undefined
  if (wildcard !== "" && !isWildcardBase(url.hostname)) return undefined
  return `${url.protocol}//${wildcard}${url.host}`
}

function isWildcardBase(name: string): boolean {
  return name.split(".").length >= minWildcardLabels && !/^[\d.]+$/.test(name)
}
