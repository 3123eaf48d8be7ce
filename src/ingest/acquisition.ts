import type { AcquisitionContext, acquisitionFields } from "../store/contexts.ts"
import { LruCache } from "./lru-cache.ts"
import { cut, type PageAddress } from "./page-text.ts"
import { type ReferrerType, typeOfHost } from "./referrer-domains.ts"

/**
 * Parameters that advertising networks add to the address of a page. Meta's `fbclid` is not listed: links in unpaid
 * posts have it too.
 */
const clickIds = ["gclid", "ttclid", "twclid", "li_fat_id", "msclkid"] as const

/** The fields of an item that tell where the visitor came from. Each can be missing. */
export type AcquisitionInput = Readonly<
  Partial<Record<(typeof acquisitionFields)[number] | (typeof clickIds)[number], unknown>>
>

/** UTF-16 units, as the contract says. */
const maxUtmLength = 128
/** UTF-16 units of a referrer. */
const maxReferrerLength = 2_048
/** Characters of a host name in DNS (RFC 1035). */
const maxHostLength = 253
/**
 * Maximum UTF-16 units of a referrer, including its query, that are read. Longer referrers do not come from an address
 * bar.
 */
const maxReadLength = 8_192

/** Entries of the caches of referrers and of contexts: about 2 MB each with ordinary referrers. A miss takes 2 µs. */
const maxCached = 4_000

/** The fields of an item that affect its context in addition to the referrer. */
const attributionFields = [
  "utm_source",
  "utm_medium",
  "utm_campaign",
  "utm_term",
  "utm_content",
  ...clickIds,
] as const

/** Matches queries with a UTM value or a click ID. Parsing a query takes 2 µs, and few queries have either. */
const attributionQuery = /utm_|clk?id=|li_fat_id=/

/** Values of utm_medium for paid traffic. */
const paidMedium = /^(?:cp[acmvp]|ppc|ads?|display|banner|retargeting|remarketing|.*paid.*)$/i
const organicMedium = /unpaid/i

/**
 * A referrer without credentials, query and fragment, and its host. Both are '' if it is missing, "direct" or
 * malformed.
 */
interface Referrer {
  url: string
  host: string
  type: ReferrerType
}

/** The part of a page's address that a context depends on. */
type Page = Pick<PageAddress, "hostname" | "search">

const noReferrer: Referrer = { url: "", host: "", type: "direct" }

/**
 * Determines where the visitors of pages came from. Caches referrers: the views of a visit share one, as do
 * many visits.
 */
export class AcquisitionContexts {
  readonly #referrers = new LruCache<Referrer>(maxCached)
  /**
   * Contexts without campaigns and click IDs, by referrer and host. They are always the same objects, because the store
   * caches ids by object.
   */
  readonly #contexts = new LruCache<AcquisitionContext>(maxCached)
  /** The last one of these: the items of a request usually share it. */
  #last: { referrer: unknown; host: string; domain: string; context: AcquisitionContext } | undefined

  /**
   * The context of one item. `page`: the address of the page, if known; its query supplies UTM values and click IDs
   * that the item lacks. `domain`: the domain of the website. Malformed values are left out.
   */
  acquisitionContext(item: AcquisitionInput, page: Page | undefined, domain: string): AcquisitionContext {
    const query = page && attributionQuery.test(page.search) ? new URLSearchParams(page.search) : undefined
    if (query || attributionFields.some((name) => item[name])) return this.#context(item, page, domain, query)
    const { referrer } = item
    const host = page?.hostname ?? ""
    const last = this.#last
    if (last && last.referrer === referrer && last.host === host && last.domain === domain)
      return last.context
    const key = `${textOf(referrer)}\0${host}\0${domain}`
    const context = this.#contexts.get(key, () => this.#context(item, page, domain, undefined))
    this.#last = { referrer, host, domain, context }
    return context
  }

  #context(
    item: AcquisitionInput,
    page: Page | undefined,
    domain: string,
    query: URLSearchParams | undefined,
  ): AcquisitionContext {
    const parameter = (name: keyof AcquisitionInput) => textOf(item[name]) || textOf(query?.get(name))
    const referrer = this.#referrers.get(textOf(item.referrer), referrerOf)
    const utm_medium = toStorableText(parameter("utm_medium"), maxUtmLength)
    const isPaid = utm_medium !== "" && paidMedium.test(utm_medium) && !organicMedium.test(utm_medium)
    const isAd = isPaid || clickIds.some((name) => parameter(name) !== "")
    return {
      referrer: referrer.url,
      referrer_domain: referrer.host,
      referrer_type: isAd ? "ad" : isInternal(referrer.host, page, domain) ? "internal" : referrer.type,
      utm_source: toStorableText(parameter("utm_source"), maxUtmLength),
      utm_medium,
      utm_campaign: toStorableText(parameter("utm_campaign"), maxUtmLength),
      utm_term: toStorableText(parameter("utm_term"), maxUtmLength),
      utm_content: toStorableText(parameter("utm_content"), maxUtmLength),
    }
  }
}

function isInternal(host: string, page: Page | undefined, domain: string): boolean {
  if (host === "") return false
  return isHostOf(host, domain) || (page !== undefined && isHostOf(host, page.hostname))
}

/** True if the host is the domain or a subdomain of it. */
function isHostOf(host: string, domain: string): boolean {
  const websiteHost = withoutWww(domain)
  return websiteHost !== "" && (host === websiteHost || host.endsWith(`.${websiteHost}`))
}

function referrerOf(text: string): Referrer {
  if (text === "" || text === "direct") return noReferrer
  const url = URL.parse(text.slice(0, maxReadLength))
  if (!url || url.hostname === "") return noReferrer
  const host = withoutWww(url.hostname)
  if (host.length > maxHostLength) return noReferrer
  const type = typeOfHost(host)
  // The part after the package name is an address inside the app.
  if (url.protocol === "android-app:") return { url: `android-app://${host}`, host, type }
  if (url.protocol !== "https:" && url.protocol !== "http:") return noReferrer
  return { url: toStorableText(url.origin + url.pathname, maxReferrerLength), host, type }
}

/** In lower case, and without the final dot of a fully qualified name. */
function withoutWww(host: string): string {
  return host
    .toLowerCase()
    .replace(/^www\./, "")
    .replace(/\.$/, "")
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.trim() : ""
}

/** Cuts the text between two characters, and removes what SQLite cannot store as text. */
function toStorableText(text: string, maxLength: number): string {
  return cut(text, maxLength).replaceAll("\0", "").toWellFormed()
}
