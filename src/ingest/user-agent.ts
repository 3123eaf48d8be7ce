import { UAParser } from "my-ua-parser"
import type { ClientContext } from "../store/contexts.ts"
import { LruCache } from "./lru-cache.ts"

export type Device = Pick<ClientContext, "browser_name" | "browser_version" | "os_name" | "device_type">

/** The headers that describe the browser. Browsers send the last three, if at all, to every HTTPS origin by default. */
const deviceHeaders = [
  "user-agent",
  "sec-ch-ua-full-version-list",
  "sec-ch-ua",
  "sec-ch-ua-platform",
  "sec-ch-ua-mobile",
] as const

/**
 * Maximum number of UTF-16 code units that are read from a header. Browsers send fewer, and matching a header of the
 * maximum size (16,000 code units) takes several ms.
 */
const maxInspectedLength = 512
/** Maximum number of cached devices. A full cache takes up about 1 MB. Parsing uncached headers takes 20 µs. */
const maxCached = 2_000
const unknownDevice: Device = { browser_name: "", browser_version: "", os_name: "", device_type: "" }

/**
 * Maps the lower-case names used by the parser and client hints to display names. Browsers that are neither listed here
 * nor in `browserAliases` count as unknown. The parser copies some names from the user agent, so without a fixed list,
 * a website could end up with any number of distinct names.
 */
const browserNames: ReadonlyMap<string, string> = new Map(
  [
    ...[
      "Chrome",
      "Chromium",
      "Edge",
      "Firefox",
      "Firefox Focus",
      "Safari",
      "Samsung Internet",
      "Vivaldi",
      "Brave",
    ],
    ...["Opera", "Opera GX", "Opera Mini", "Opera Touch", "DuckDuckGo", "Coc Coc", "Silk", "Puffin", "Whale"],
    ...[
      "Facebook",
      "Instagram",
      "Line",
      "LinkedIn",
      "Snapchat",
      "TikTok",
      "Twitter",
      "WeChat",
      "Naver",
      "KakaoTalk",
    ],
    ...[
      "Klarna",
      "Alipay",
      "Weibo",
      "QQ",
      "Sogou Explorer",
      "Sogou Mobile",
      "360 Browser",
      "MIUI Browser",
      "Maxthon",
    ],
    ...[
      "Huawei Browser",
      "Vivo Browser",
      "Oculus Browser",
      "Sailfish Browser",
      "HeyTap",
      "Avast Secure Browser",
    ],
    ...[
      "AVG Secure Browser",
      "Smart Lenovo Browser",
      "Android Browser",
      "Chrome WebView",
      "Electron",
      "Tesla",
    ],
    ...[
      "Konqueror",
      "Falkon",
      "Epiphany",
      "Midori",
      "SeaMonkey",
      "PaleMoon",
      "Basilisk",
      "Waterfox",
      "IceCat",
      "Klar",
    ],
  ].map((name) => [name.toLowerCase(), name]),
)
const browserAliases: ReadonlyMap<string, string> = new Map([
  ["android webview", "Chrome WebView"],
  ["chrome headless", "Chrome"],
  ["google chrome", "Chrome"],
  ["gsa", "Google app"],
  ["headlesschrome", "Chrome"],
  ["huaweibrowser", "Huawei Browser"],
  ["ie", "Internet Explorer"],
  ["iemobile", "Internet Explorer"],
  ["microsoft edge", "Edge"],
  ["mobile safari", "Safari"],
  ["opera mobi", "Opera"],
  ["opera mobile", "Opera"],
  ["opera tablet", "Opera"],
  ["operamobile", "Opera"],
  ["qqbrowser", "QQ"],
  ["qqbrowserlite", "QQ"],
  ["ucbrowser", "UC Browser"],
  ["webkit", "Safari WebView"],
  ["yandex", "Yandex"],
  ["yabrowser", "Yandex"],
])

/** Display names of operating systems, by the lower-case names that the parser and client hints use. */
const osNames: ReadonlyMap<string, string> = new Map([
  ...[
    "Windows",
    "Windows Phone",
    "iOS",
    "macOS",
    "Android",
    "Linux",
    "HarmonyOS",
    "KaiOS",
    "Tizen",
    "webOS",
  ].map((name) => [name.toLowerCase(), name] as const),
  ...["PlayStation", "Xbox", "Nintendo", "FreeBSD", "OpenBSD", "NetBSD", "Fuchsia", "Haiku", "Chrome OS"].map(
    (name) => [name.toLowerCase(), name] as const,
  ),
  // Linux distributions are not distinguished: only Firefox and old browsers name them, so their shares would be
  // meaningless.
  ...[
    ...[
      "ubuntu",
      "kubuntu",
      "xubuntu",
      "lubuntu",
      "debian",
      "fedora",
      "suse",
      "opensuse",
      "gentoo",
      "arch",
      "mint",
    ],
    ...["manjaro", "centos", "red hat", "redhat", "raspbian", "deepin", "slackware", "mageia", "gnu"],
  ].map((name) => [name, "Linux"] as const),
  ["mac os", "macOS"],
  ["mac os x", "macOS"],
  ["chromium os", "Chrome OS"],
  ["chromeos", "Chrome OS"],
  ["windows mobile", "Windows Phone"],
  ["windows phone os", "Windows Phone"],
  ["android-x86", "Android"],
])
const desktopSystems: ReadonlySet<string> = new Set([
  ...["Windows", "macOS", "Linux", "Chrome OS", "FreeBSD", "OpenBSD", "NetBSD", "Haiku"],
])

/**
 * Matches the user agents of televisions, game consoles, watches, cars and glasses, which do not belong to any of the
 * three device types.
 */
const otherDevice =
  /smart-?tv|hbbtv|\btv\b|appletv|googletv|bravia|\baft[a-z]|crkey|web0s|roku|playstation|xbox|nintendo|oculus|\bquest\b|watch|tesla/i

/**
 * Matches the user agent of Naver's app, such as `NAVER(inapp; search; 2000; 12.9.1; 15PROMAX)`. The fourth field is
 * the version.
 */
const naverApp = /\bnaver\([a-z]{1,10}; [a-z]{1,10}; \d{1,5}; (\d{1,4})/i

/**
 * Determines the browser, operating system and device type from the headers of a request. Caches results in memory.
 * User agents are never stored.
 */
export class DeviceParser {
  readonly #cache = new LruCache<Device>(maxCached)

  parse(headers: Headers): Device {
    const values = deviceHeaders.map((name) => headers.get(name) ?? "")
    return values[0] === "" ? unknownDevice : this.#cache.get(values.join("\n"), deviceOf)
  }

  get size(): number {
    return this.#cache.size
  }
}

/** Returns the device that the headers describe. `key`: the values of `deviceHeaders`, one per line. */
function deviceOf(key: string): Device {
  const [userAgent = "", fullVersions = "", brands = "", platform = "", mobile = ""] = key
    .split("\n")
    .map((value) => value.slice(0, maxInspectedLength))
  // Prevents the parser's pattern for Naver from matching. It takes cubic time, which is 160 ms for 512 hostile
  // characters. All other patterns together take less than 1 ms.
  const parser = new UAParser(userAgent.replace(/naver\(/gi, "naver ("))
  const naver = naverApp.exec(userAgent)
  const parsed = naver ? { name: "Naver", version: naver[1] } : parser.getBrowser()
  let browser = { name: browserName(parsed.name), version: parsed.version ?? "" }
  let os = osNames.get(parser.getOS().name?.toLowerCase() ?? "") ?? ""
  // Only browsers built on Chromium send hints. If the user agent says Chrome, the hints may name a different browser.
  // A more specific name in the user agent, such as an app's, can be trusted.
  const isGeneric = browser.name === "Chrome" || browser.name === ""
  if (isGeneric) browser = brandOf(fullVersions) ?? brandOf(brands) ?? browser
  if (platform !== "") os = osNames.get(platform.replaceAll('"', "").trim().toLowerCase()) ?? os
  return {
    browser_name: browser.name,
    browser_version: browser.name === "" ? "" : versionOf(browser.name, browser.version),
    os_name: os,
    device_type: deviceType(userAgent, os, mobile.trim()),
  }
}

function browserName(name = ""): string {
  const key = name.toLowerCase()
  return browserAliases.get(key) ?? browserNames.get(key) ?? ""
}

/**
 * Returns the first known brand in a list such as `"Chromium";v="131", "Brave";v="131", "Not_A Brand";v="24"`. Returns
 * Chromium only if no other brand is known.
 */
function brandOf(list: string): { name: string; version: string } | undefined {
  const brands = [...list.matchAll(/"([^"]{1,40})";\s?v="([\d.]{1,30})"/g)]
    .map(([, name, version = ""]) => ({ name: browserName(name), version }))
    .filter(({ name }) => name !== "")
  return brands.find(({ name }) => name !== "Chromium") ?? brands[0]
}

/** Returns the major version. For Safari, includes the minor version, because its minor versions add features. */
function versionOf(browser: string, version: string): string {
  const digits = browser === "Safari" ? /^(\d{1,4}(?:\.\d{1,3})?)/ : /^(\d{1,4})/
  return digits.exec(version)?.[1] ?? ""
}

/**
 * Returns the device type. `mobile`: the client hint, which is `?1`, `?0`, or '' if it was not sent. Android browsers
 * send `Mobile` in the user agent only on phones. Chrome documents this as the way to recognize tablets.
 */
function deviceType(userAgent: string, os: string, mobile: string): string {
  if (otherDevice.test(userAgent)) return ""
  if (/ipad|\btablet\b/i.test(userAgent)) return "tablet"
  if (os === "Android" || os === "HarmonyOS") {
    return mobile === "?1" || (mobile === "" && /mobi/i.test(userAgent)) ? "mobile" : "tablet"
  }
  if (/mobi|iphone|ipod/i.test(userAgent) || os === "KaiOS" || os === "Windows Phone") return "mobile"
  return desktopSystems.has(os) ? "desktop" : ""
}
