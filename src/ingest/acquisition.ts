import type { AcquisitionContext, acquisitionFields } from "../store/contexts.ts"
import { LruCache } from "./lru-cache.ts"
import { cut, type PageAddress } from "./page-text.ts"
import { type ReferrerType, typeOfHost } from "./referrer-domains.ts"

// The acquisition context of an event says where its visitor came from: the referrer and its type, and the UTM values.
// An item is one event in a request from a page.

/**
 * Parameters that advertising networks add to the address of a page. Meta's `fbclid` is not listed, because links in
 * unpaid posts have it too.
 */
/** `hasAttribution` lists them too. */
const clickIds = ["gclid", "ttclid", "twclid", "li_fat_id", "msclkid"] as const

/** The fields of an item that tell where the visitor came from. All of them can be missing. */
export type AcquisitionInput = Readonly<
  Partial<Record<(typeof acquisitionFields)[number] | (typeof clickIds)[number], unknown>>
>

/** Maximum number of UTF-16 code units in a UTM value, from the contract. */
const maxUtmLength = 128
/** Maximum number of UTF-16 code units of a referrer to store. */
const maxReferrerLength = 2_048
/** Maximum number of characters in a host name in DNS (RFC 1035). */
const maxHostLength = 253
/**
 * Maximum number of UTF-16 code units to parse in a referrer (including its query) and in the query of a page. Longer
 * ones do not come from an address bar. Parsing a query of 1 MiB takes 30 ms.
 */
const maxReadLength = 8_192

/**
 * Maximum number of entries in the cache of referrers, and in the cache of contexts. A cache takes about 2 MB with
 * ordinary referrers. A miss takes 2 µs.
 */
const maxCached = 4_000

/**
 * True if an item has fields that affect its context in addition to the referrer. Reading each field by its name takes
 * a tenth of the time of a loop over the names.
 */
function hasAttribution(item: AcquisitionInput): boolean {
  return Boolean(
    item.utm_source ||
      item.utm_medium ||
      item.utm_campaign ||
      item.utm_term ||
      item.utm_content ||
      item.gclid ||
      item.ttclid ||
      item.twclid ||
      item.li_fat_id ||
      item.msclkid,
  )
}

/** Matches queries with a UTM value or a click ID. Parsing a query takes 2 µs, and few queries have either. */
const attributionQuery = /utm_|clk?id=|li_fat_id=/

/** Values of utm_medium for paid traffic. */
const paidMedium = /^(?:cp[acmvp]|ppc|ads?|display|banner|retargeting|remarketing|.*paid.*)$/i
const organicMedium = /unpaid/i

/**
 * A referrer's URL without credentials, query and fragment, and its host. Both are '' if the referrer is missing,
 * "direct" or malformed.
 */
interface Referrer {
  url: string
  host: string
  type: ReferrerType
}

/** The part of a page's address that a context depends on. */
type Page = Pick<PageAddress, "hostname" | "search">

interface RecentContext {
  referrer: unknown
  host: string
  domain: string
  context: AcquisitionContext
}

function isContextOf(recent: RecentContext, referrer: unknown, host: string, domain: string): boolean {
  return recent.referrer === referrer && recent.host === host && recent.domain === domain
}

const noReferrer: Referrer = { url: "", host: "", type: "direct" }

/**
 * Determines where the visitors of pages came from. Caches referrers, because a few of them account for most page
 * views.
 */
export class AcquisitionContexts {
  readonly #referrers = new LruCache<Referrer>(maxCached)
  /**
   * Contexts without campaigns and click IDs, by referrer, host and domain. As long as a key is cached, it returns the
   * same object, because the store caches ids by object.
   */
  readonly #contexts = new LruCache<AcquisitionContext>(maxCached)
  /**
   * The last two contexts without campaigns and click IDs, the latest first. In many requests, the first page view has
   * an external referrer, and the others have the website as referrer.
   */
  #recent: readonly RecentContext[] = []

  /**
   * Returns the context of one item. `page`: the address of the page, if known. Its query supplies UTM values and click
   * IDs that the item lacks. `domain`: the domain of the website. Malformed values are left out.
   */
  acquisitionContext(item: AcquisitionInput, page: Page | undefined, domain: string): AcquisitionContext {
    const search = page?.search.slice(0, maxReadLength) ?? ""
    const query = attributionQuery.test(search) ? new URLSearchParams(search) : undefined
    if (query || hasAttribution(item)) return this.#context(item, page, domain, query)
    const { referrer } = item
    const host = page?.hostname ?? ""
    const [last, previous] = this.#recent
    if (last && isContextOf(last, referrer, host, domain)) return last.context
    if (last && previous && isContextOf(previous, referrer, host, domain)) {
      this.#recent = [previous, last]
      return previous.context
    }
    const key = `${textOf(referrer)}\0${host}\0${domain}`
    const context = this.#contexts.get(key, () => this.#context(item, page, domain, undefined))
    const recent = { referrer, host, domain, context }
    this.#recent = last ? [recent, last] : [recent]
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

/** True if the host is the domain or one of its subdomains. */
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
  // Leaves out the part after the package name, because it is an address inside the app.
  if (url.protocol === "android-app:") return { url: `android-app://${host}`, host, type }
  if (url.protocol !== "https:" && url.protocol !== "http:") return noReferrer
  return { url: toStorableText(url.origin + url.pathname, maxReferrerLength), host, type }
}

/** Returns the host in lower case, without `www.` and without the trailing dot of a fully qualified name. */
function withoutWww(host: string): string {
  return host
    .toLowerCase()
    .replace(/^www\./, "")
    .replace(/\.$/, "")
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.trim() : ""
}

/** Truncates the text without splitting a character, removes NUL, and replaces lone surrogates. */
function toStorableText(text: string, maxLength: number): string {
  return cut(text, maxLength).replaceAll("\0", "").toWellFormed()
}
