import { computed, type ReadonlySignal, signal } from "@preact/signals"
import { withoutBasePath } from "../../base-path.ts"
import { safePath } from "../../saved/path.ts"

/** The current page of the dashboard, as parsed from the URL. */
export interface Location {
  /** Path prefix: `/w/<website>`, `/share/<token>` or `/embed/<token>`; '' for pages outside a website. */
  base: string
  /** An ID, `none` or `all`. Undefined outside a website, and for share links, because only the server knows theirs. */
  website: string | undefined
  /** A share link's token. */
  share: string | undefined
  /** Whether a share link is shown in a frame, without navigation. */
  isEmbedded: boolean
  /** For example `overview`, `events` or `settings/keys`; '' if the path does not name a page. */
  page: string
  params: URLSearchParams
}

/** The parameters that define the range, its time zone and the comparison. */
const rangeParamNames = new Set(["period", "from", "to", "hour", "tz", "compare"])

/** The parameters that links carry over to other pages. All others belong to one page. */
const sharedParamNames = new Set([...rangeParamNames, "f"])

type ParamChanges = Record<string, string | readonly string[] | undefined>

/** The parts of a browser window that the router uses. */
interface RouterWindow {
  location: { href: string; origin: string; reload: () => void }
  history: Record<"pushState" | "replaceState", (state: null, unused: string, url: string) => void>
  addEventListener: (type: "popstate", listener: () => void) => void
}

/**
 * Reads and changes the URL. Pages depend only on the URL, so that every link reproduces a view. Paths are relative to
 * --base-path, which only `hrefOf` adds and only `#page` removes.
 */
export class Router {
  readonly #url
  readonly location: ReadonlySignal<Location>

  /** `basePath`: '', or the path prefix of the server. */
  constructor(
    private readonly window: RouterWindow,
    private readonly basePath: string,
  ) {
    this.#url = signal(window.location.href)
    this.location = computed(() => parseLocation(this.#page))
    window.addEventListener("popstate", () => {
      this.#url.value = window.location.href
    })
  }

  get origin(): string {
    return this.window.location.origin
  }

  /** The server's URL, as the browser reaches it, without a trailing slash, for example https://example.com/stats. */
  get serverUrl(): string {
    return this.origin + this.basePath
  }

  /** The URL with which the browser requests a path of the server, such as `/w/all/overview` or `/v1/me`. */
  hrefOf(path: string): string {
    return this.basePath + path
  }

  /** The current URL without the base path. */
  get #page(): URL {
    const url = new URL(this.#url.value)
    url.pathname = withoutBasePath(url.pathname, this.basePath)
    return url
  }

  /** The current URL. */
  get href(): string {
    return this.#url.value
  }

  /** The URL's fragment without `#`, or ''. Changing parameters removes the fragment. */
  get fragment(): string {
    return this.#page.hash.slice(1)
  }

  /** The path and query of the current URL. */
  get path(): string {
    const { pathname, search } = this.#page
    return pathname + search
  }

  /** Reloads the document. */
  reload(): void {
    this.window.location.reload()
  }

  /** Opens a path with its query, such as `/w/all/overview?period=today`. */
  navigate(path: string, how: "push" | "replace" = "push"): void {
    const href = this.hrefOf(path)
    if (how === "push") this.window.history.pushState(null, "", href)
    else this.window.history.replaceState(null, "", href)
    this.#url.value = this.window.location.href
  }

  /** Changes query parameters of the current page. Undefined removes a parameter. */
  setParams(changes: ParamChanges, how: "push" | "replace" = "push"): void {
    const { pathname, searchParams } = this.#page
    this.navigate(pathname + queryText(applyChanges(searchParams, changes)), how)
  }

  /** Path of another page of the current website, keeping the range and filters. */
  pageHref(page: string, changes: ParamChanges = {}): string {
    const { base, params } = this.location.value
    return `${base}/${page}${queryText(applyChanges(sharedParams(params), changes))}`
  }

  /** The page that a path of the current website or share link leads to; undefined for other paths. */
  pageOfHref(href: string): string | undefined {
    const { base } = this.location.value
    const prefix = `${base}/`
    if (base === "" || !href.startsWith(prefix)) return undefined
    return /^[^/?#]+/.exec(href.slice(prefix.length))?.[0]
  }

  /** Path of the current page with different parameters. */
  hrefWith(changes: ParamChanges): string {
    const { pathname, searchParams } = this.#page
    return pathname + queryText(applyChanges(searchParams, changes))
  }

  /**
   * Path of the same page for another website, or of that website's start page if the current page is Web or does not
   * belong to a website. Drops the filters, because they refer to properties of the current website.
   */
  websiteHref(id: string): string {
    const { page, params, base } = this.location.value
    const range = applyChanges(sharedParams(params), { f: undefined })
    const samePage = base === "" || page === "web" ? "" : `/${page}`
    return `/w/${encodeURIComponent(id)}${samePage}${queryText(range)}`
  }

  /** Path of a website's start page. */
  startHref(id: string, params: ParamChanges): string {
    return `/w/${encodeURIComponent(id)}${queryText(applyChanges(new URLSearchParams(), params))}`
  }

  /** The page and query without the website, as stored in saved views and share links, for example `funnels?step=…`. */
  viewPath(changes: ParamChanges = {}): string {
    return this.hrefWith(changes).slice(this.location.value.base.length + 1)
  }

  /** The page and query of a board, with the current range, for example `boards?period=…&id=…`. */
  boardPath(id: string, changes: ParamChanges = {}): string {
    const range = pickParams(this.location.value.params, rangeParamNames)
    return `boards${queryText(applyChanges(range, { ...changes, id }))}`
  }

  /** The page and query of a report, with filters but without a range, for example `funnels?f=…&step=…`. */
  reportPath(page: string, changes: ParamChanges): string {
    const filters = pickParams(this.location.value.params, new Set(["f"]))
    return page + queryText(applyChanges(filters, changes))
  }

  /**
   * Path of a saved report or view, optionally for another website. If the saved path has no range, the current range
   * is added.
   */
  savedHref(path: string, website?: string): string {
    const { base: current, params } = this.location.value
    const base = website === undefined ? current : `/w/${encodeURIComponent(website)}`
    const [page = "", query = ""] = safePath(path).split("?", 2)
    const saved = new URLSearchParams(query)
    const hasRange = [...saved.keys()].some((name) => rangeParamNames.has(name))
    const range = hasRange ? [] : pickParams(params, rangeParamNames)
    return `${base}/${page}${queryText(new URLSearchParams([...range, ...saved]))}`
  }
}

function parseLocation({ pathname, searchParams }: URL): Location {
  const [first = "", second = "", ...rest] = pathname.split("/").filter(Boolean).map(decodePart)
  const page = rest.join("/")
  if (first === "w" && second !== "") {
    const base = `/w/${encodeURIComponent(second)}`
    return { base, website: second, share: undefined, isEmbedded: false, page, params: searchParams }
  }
  if ((first === "share" || first === "embed") && second !== "") {
    const base = `/${first}/${encodeURIComponent(second)}`
    const isEmbedded = first === "embed"
    return { base, website: undefined, share: second, isEmbedded, page, params: searchParams }
  }
  const outside = [first, second, ...rest].filter(Boolean).join("/")
  return {
    base: "",
    website: undefined,
    share: undefined,
    isEmbedded: false,
    page: outside,
    params: searchParams,
  }
}

/** Decodes a path segment. Leaves invalid percent-encoding unchanged, because the URL may have been edited by hand. */
function decodePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function sharedParams(params: URLSearchParams): URLSearchParams {
  return pickParams(params, sharedParamNames)
}

function pickParams(params: URLSearchParams, names: ReadonlySet<string>): URLSearchParams {
  return new URLSearchParams([...params].filter(([name]) => names.has(name)))
}

function applyChanges(params: URLSearchParams, changes: ParamChanges): URLSearchParams {
  const changed = new URLSearchParams(params)
  for (const [name, value] of Object.entries(changes)) {
    changed.delete(name)
    for (const item of value === undefined ? [] : [value].flat()) changed.append(name, item)
  }
  return changed
}

function queryText(params: URLSearchParams): string {
  const text = params.toString()
  return text === "" ? "" : `?${text}`
}
