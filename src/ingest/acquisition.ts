import type { AcquisitionContext } from "../store/contexts.ts"
import { type ReferrerType, typeOfHost } from "./referrer-domains.ts"

export const utmFields = ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"] as const

/** Parameters that advertising networks add to the address of a page. */
export const clickIds = ["gclid", "fbclid", "ttclid", "twclid", "li_fat_id", "msclkid"] as const

/** The fields of an item of a page that say where the visitor came from. Each can be missing. */
export type AcquisitionInput = Readonly<
  Partial<Record<"referrer" | (typeof utmFields)[number] | (typeof clickIds)[number], unknown>>
>

/** UTF-16 units, as the contract says. */
const maxUtmLength = 128
/** UTF-16 units of a referrer. */
const maxReferrerLength = 2_048
/** UTF-16 units of a referrer that are read, its query included. A full address bar has fewer. */
const maxReadLength = 8_192

/** Values of utm_medium for paid traffic, besides those that contain `paid` or start with `cp`, such as cpc, cpm and cpa. */
const paidMedium = /^(?:cp[acmvp]|ppc|ads?|display|banner|retargeting|remarketing|.*paid.*)$/i
const organicMedium = /unpaid/i

/**
 * Where the visitor of a page came from. `page`: the URL of the page, if known; UTM values and click IDs that the item lacks are taken
 * from its query. `domain`: the website's. Malformed values are left out.
 */
export function acquisitionContext(
  item: AcquisitionInput,
  page: URL | undefined,
  domain: string,
): AcquisitionContext {
  const parameter = (name: keyof AcquisitionInput) =>
    textOf(item[name]) || textOf(page?.searchParams.get(name))
  const referrer = referrerOf(item.referrer)
  const [utm_source = "", utm_medium = "", utm_campaign = "", utm_term = "", utm_content = ""] =
    utmFields.map((name) => cut(parameter(name), maxUtmLength))
  const isPaid = paidMedium.test(utm_medium) && !organicMedium.test(utm_medium)
  const isAd = isPaid || clickIds.some((name) => parameter(name) !== "")
  return {
    referrer: referrer.url,
    referrer_domain: referrer.host,
    referrer_type: isAd ? "ad" : typeOf(referrer.host, page, domain),
    utm_source,
    utm_medium,
    utm_campaign,
    utm_term,
    utm_content,
  }
}

function typeOf(host: string, page: URL | undefined, domain: string): ReferrerType {
  if (host === "") return "direct"
  const own = [page ? withoutWww(page.hostname) : "", withoutWww(domain.toLowerCase())]
  if (own.some((name) => name !== "" && (host === name || host.endsWith(`.${name}`)))) return "internal"
  return typeOfHost(host)
}

/** The URL without credentials, query and fragment, and its host. Both are '' if it is missing, "direct" or malformed. */
function referrerOf(value: unknown): { url: string; host: string } {
  const none = { url: "", host: "" }
  const url = URL.parse(textOf(value).slice(0, maxReadLength))
  if (!url || url.hostname === "") return none
  const host = withoutWww(url.hostname.toLowerCase())
  // What follows the package of an app is the address inside of it.
  if (url.protocol === "android-app:") return { url: `android-app://${host}`, host }
  if (url.protocol !== "https:" && url.protocol !== "http:") return none
  return { url: cut(url.origin + url.pathname, maxReferrerLength), host }
}

/** Also without the final dot of a fully qualified name. */
function withoutWww(host: string): string {
  return host.replace(/^www\./, "").replace(/\.$/, "")
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.trim() : ""
}

/** Cuts at a character, and replaces what SQLite cannot store as text. */
function cut(text: string, maxLength: number): string {
  const part = text.length > maxLength ? text.slice(0, maxLength).replace(/[\ud800-\udbff]$/, "") : text
  return part.replaceAll("\0", "").toWellFormed()
}
