import { clientAddress, isTrustedProxy, normalizeAddress, type TrustedNetworks } from "../http/address.ts"
import type { RequestContext } from "../http/request-context.ts"
import { zoneName } from "../query/structures/tzdata.ts"
import type { ClientContext } from "../store/contexts.ts"
import { countryOf, type GeoLocation, type GeoTable, openCountryTable } from "./geo.ts"
import { LruCache } from "./lru-cache.ts"
import { type Device, DeviceParser } from "./user-agent.ts"

/** The sender of a request, derived from its headers and address. All items of a batch share it. */
export type SenderContext = Device & GeoLocation

/** The fields of an item that describe the browser. All of them can be missing. */
export type ClientInput = Readonly<Partial<Record<"language" | "timezone" | "screen_resolution", unknown>>>

export interface ClientContextOptions {
  trustedProxies: TrustedNetworks
  /** Header with the country of the client, such as CF-IPCountry. Used only if the peer is a trusted proxy. */
  countryHeader: string | undefined
  /** The file that --geo-db names. Undefined to use the built-in country table. */
  geoFile: GeoTable | undefined
}

/** Maximum number of characters in a language tag. RFC 5646 recommends buffers of 35 or more. */
const maxLanguageLength = 35
/** Maximum number of languages in the cache of canonical forms. A miss takes 2 µs. */
const maxCachedLanguages = 1_000
/**
 * Maximum number of cached locations. They take about 1 MB, or 4 MB with the longest keys. A miss takes 1 to 3 µs. A
 * visitor sends several requests from the same address.
 */
const maxCachedLocations = 4_000
/**
 * Maximum number of entries in the cache of contexts. They take about 2 MB. A miss takes 3 µs, plus 2 µs to look up the
 * id.
 */
const maxCachedContexts = 2_000
/** Width in CSS pixels of the largest iPad in portrait. No Mac has a portrait screen this narrow. */
const maxIpadWidth = 1_032

/** Describes the client of a request. The result contains neither the address nor the user agent. */
export class ClientContexts {
  readonly #devices = new DeviceParser()
  readonly #languages = new LruCache<string>(maxCachedLanguages)
  /** Locations by the address of the peer and the headers of proxies. Addresses are only held in memory. */
  readonly #locations = new LruCache<GeoLocation>(maxCachedLocations)
  /**
   * Contexts by sender and fields of the item. As long as a key is cached, it returns the same object, because the
   * store caches ids by object.
   */
  readonly #contexts = new LruCache<ClientContext>(maxCachedContexts)
  readonly #options: ClientContextOptions
  /**
   * The file of --geo-db, or the built-in country table. The table is opened on first use, so that servers that receive
   * no data from pages save 8 MB.
   */
  #countries: GeoTable | undefined

  constructor(options: ClientContextOptions) {
    this.#options = options
  }

  /** Returns the part of the context that all items of a request share. */
  sender(context: RequestContext): SenderContext {
    return { ...this.#devices.parse(context.request.headers), ...this.#locationOf(context) }
  }

  /** Returns the context of one item. Malformed values are left out. */
  clientContext(sender: SenderContext, item: ClientInput): ClientContext {
    const { language, timezone, screen_resolution } = item
    const key = JSON.stringify([sender, language, timezone, screen_resolution])
    return this.#contexts.get(key, () => this.#context(sender, item))
  }

  #context(sender: SenderContext, item: ClientInput): ClientContext {
    const screen = screenOf(item.screen_resolution)
    return {
      ...(isIpad(sender, screen) ? { ...sender, os_name: "iOS", device_type: "tablet" } : sender),
      language: this.#languageOf(item.language),
      timezone: typeof item.timezone === "string" ? (zoneName(item.timezone.trim()) ?? "") : "",
      screen_resolution: screen ? `${screen.width}x${screen.height}` : "",
    }
  }

  #locationOf({ request: { headers }, peer: peerOf }: RequestContext): GeoLocation {
    const { countryHeader } = this.#options
    const peer = peerOf()
    const forwardedFor = headers.get("x-forwarded-for")
    const header = countryHeader === undefined ? null : headers.get(countryHeader)
    // No part of the key contains a line feed, because HTTP does not allow it in headers.
    const key = `${peer}\n${forwardedFor ?? ""}\n${header ?? "\n"}`
    return this.#locations.get(key, () => this.#findLocation(peer, forwardedFor, header))
  }

  #findLocation(peer: string, forwardedFor: string | null, header: string | null): GeoLocation {
    const { trustedProxies, geoFile } = this.#options
    const address = clientAddress(peer, forwardedFor, trustedProxies)
    if (header === null || !isTrustedProxy(normalizeAddress(peer), trustedProxies)) {
      this.#countries ??= geoFile ?? openCountryTable()
      return this.#countries.find(address)
    }
    const country = countryOf(header)
    const location = country === "" ? undefined : geoFile?.find(address)
    // A region in another country would contradict the header.
    return location?.country === country ? location : { country, region: "", city: "" }
  }

  /**
   * Returns the canonical form of a language tag, without extensions such as calendars, or '' if the value is not a BCP
   * 47 tag.
   */
  #languageOf(value: unknown): string {
    if (typeof value !== "string") return ""
    return this.#languages.get(value.trim().slice(0, maxLanguageLength), canonicalLanguage)
  }
}

/** Returns the canonical form of a language, or ''. Accepts the POSIX form too, such as `de_DE`, which apps send. */
function canonicalLanguage(text: string): string {
  try {
    return new Intl.Locale(text.replaceAll("_", "-")).baseName
  } catch {
    return ""
  }
}

function screenOf(value: unknown): { width: number; height: number } | undefined {
  const [, width, height] =
    typeof value === "string" ? (/^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(value.trim()) ?? []) : []
  return width === undefined || height === undefined
    ? undefined
    : { width: Number(width), height: Number(height) }
}

/**
 * True for Safari on an iPad, which claims to run on a Mac. An iPad reports its screen in portrait regardless of the
 * orientation.
 */
function isIpad(sender: SenderContext, screen: { width: number; height: number } | undefined): boolean {
  if (sender.os_name !== "macOS" || sender.browser_name !== "Safari" || !screen) return false
  return screen.width < screen.height && screen.width <= maxIpadWidth
}
