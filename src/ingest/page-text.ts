import { LruCache } from "./lru-cache.ts"

const maxPathLength = 2_048
const sizePattern = /^\d{1,5}x\d{1,5}$/

/** The parts of a page's URL that are stored. */
export interface PageAddress {
  /** As returned by `pagePath`. */
  path: string
  hostname: string
  /** The query with its question mark, or ''. */
  search: string
}

/**
 * Maximum number of cached addresses. A full cache takes up about 1 MB with ordinary addresses, and at most 10 MB.
 * Parsing an address that is not cached takes 2 µs.
 */
const maxCachedAddresses = 2_000
/** Cache entry for strings that are not http or https URLs. */
const noAddress: PageAddress = { path: "", hostname: "", search: "" }

/** Parses the URLs of pages. Caches the results, because a few pages account for most page views. */
export class PageAddresses {
  readonly #cache = new LruCache<PageAddress>(maxCachedAddresses)

  /** Parses a URL. Returns undefined if it is not an absolute http or https URL. */
  parse(text: string): PageAddress | undefined {
    const address = this.#cache.get(text, addressOf)
    return address === noAddress ? undefined : address
  }
}

function addressOf(text: string): PageAddress {
  const url = pageUrlOf(text)
  return url ? { path: pagePath(url.pathname), hostname: url.hostname, search: url.search } : noAddress
}

/** Parses an absolute http or https URL. Returns undefined for other text. */
function pageUrlOf(text: string): URL | undefined {
  const url = URL.parse(text)
  return url && /^https?:$/.test(url.protocol) ? url : undefined
}

/**
 * Parses the page of an item, which can be a path or a URL, and returns the path to store. Replaces characters that a
 * column cannot store, so that the item is not lost.
 */
export function pagePathOf(text: string): string {
  return pagePath(pageUrlOf(text)?.pathname ?? columnText(text.replace(/[?#].*$/s, "")))
}

function columnText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd")
}

/** Decodes a path and removes trailing slashes, so that each page has only one path. Cuts paths that are too long. */
function pagePath(pathname: string): string {
  return cut(withoutFinalSlashes(decoded(pathname)), maxPathLength) || "/"
}

/** Removes trailing slashes. Uses a loop, because a regular expression would take quadratic time for many slashes. */
function withoutFinalSlashes(path: string): string {
  let end = path.length
  while (path.charAt(end - 1) === "/") end--
  return path.slice(0, end)
}

/** Decodes a path. Returns it unchanged if it cannot be decoded or if a column cannot store the result. */
function decoded(pathname: string): string {
  if (!pathname.includes("%")) return pathname
  try {
    const path = decodeURIComponent(pathname)
    return path.includes("\0") ? pathname : path
  } catch {
    return pathname
  }
}

/** Returns the first `limit` UTF-16 code units of a string, or one fewer if that would split a surrogate pair. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text
  const isSplit = /[\ud800-\udbff]/.test(text.charAt(limit - 1))
  return text.slice(0, isSplit ? limit - 1 : limit)
}

/** Returns a size such as 1280x720 unchanged, and '' for other strings. */
export function sizeOf(text: string | null | undefined): string {
  return text && sizePattern.test(text) ? text : ""
}
