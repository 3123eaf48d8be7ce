import { computed, type ReadonlySignal, signal } from "@preact/signals"
import { safePath } from "../../saved/path.ts"

/** Where in the dashboard one is, as the address bar says it. */
export interface Location {
  /** What stands before the page: `/w/<website>` or `/share/<token>`; '' outside of websites. */
  base: string
  /** A website's id, `none` or `all`; undefined outside of websites, and in a shared view, which is told by the server. */
  website: string | undefined
  /** The token of a share link. */
  share: string | undefined
  /** `overview`, `events` …; of settings `settings/keys`; '' where the address ends before it. */
  page: string
  params: URLSearchParams
}

/** Parameters that say which time is looked at. */
const ofRange = new Set(["period", "from", "to", "tz", "compare"])

/** Parameters that say what is looked at, and so go along from page to page; all others belong to one page. */
const lasting = new Set([...ofRange, "f"])

type Changes = Record<string, string | readonly string[] | undefined>

/** The address bar: what is shown follows from it alone, so that a link is a view. */
export class Router {
  readonly #url
  readonly spot: ReadonlySignal<Location>

  constructor(private readonly window: Window) {
    this.#url = signal(window.location.href)
    this.spot = computed(() => spotOf(new URL(this.#url.value)))
    window.addEventListener("popstate", () => {
      this.#url.value = window.location.href
    })
  }

  get origin(): string {
    return this.window.location.origin
  }

  /** The whole address of what is looked at. */
  get href(): string {
    return this.#url.value
  }

  /** The same without the origin. */
  get path(): string {
    const { pathname, search } = new URL(this.#url.value)
    return pathname + search
  }

  /** Asks the server for the dashboard once more. */
  reload(): void {
    this.window.location.reload()
  }

  /** `path`: with its query, such as `/w/all/overview?period=today`. */
  go(path: string, how: "push" | "replace" = "push"): void {
    if (how === "push") this.window.history.pushState(null, "", path)
    else this.window.history.replaceState(null, "", path)
    this.#url.value = this.window.location.href
  }

  /** Changes parameters of the page that one is on; undefined takes one away. */
  set(changes: Changes, how: "push" | "replace" = "push"): void {
    const { pathname, searchParams } = new URL(this.#url.value)
    this.go(pathname + queryText(changed(searchParams, changes)), how)
  }

  /** The address of another page of the same website, about the same range and filters. */
  to(page: string, changes: Changes = {}): string {
    const { base, params } = this.spot.value
    return `${base}/${page}${queryText(changed(lastingOf(params), changes))}`
  }

  /** The address of the same page with other parameters. */
  with(changes: Changes): string {
    const { pathname, searchParams } = new URL(this.#url.value)
    return pathname + queryText(changed(searchParams, changes))
  }

  /** The same page of another website; filters are about another one's properties, so they stay behind. */
  ofWebsite(id: string): string {
    const { page, params, base } = this.spot.value
    const kept = changed(lastingOf(params), { f: undefined })
    return `/w/${encodeURIComponent(id)}/${base === "" ? "overview" : page}${queryText(kept)}`
  }

  /** Page and query behind the website, escaped as in the address bar; so they are saved and shared: `funnels?step=…`. */
  viewWith(changes: Changes = {}): string {
    return this.with(changes).slice(this.spot.value.base.length + 1)
  }

  /** A page and what is asked there, filters included, whatever the range: `funnels?f=…&step=…`. */
  question(page: string, changes: Changes): string {
    const filters = withNames(this.spot.value.params, new Set(["f"]))
    return page + queryText(changed(filters, changes))
  }

  /** The address of what `question` made, or another view that was saved; about the range one is at, where it says none. */
  ofSaved(path: string): string {
    const { base, params } = this.spot.value
    const [page = "", query = ""] = safePath(path).split("?", 2)
    const saved = new URLSearchParams(query)
    const isOfRange = [...saved.keys()].some((name) => ofRange.has(name))
    const range = isOfRange ? [] : withNames(params, ofRange)
    return `${base}/${page}${queryText(new URLSearchParams([...range, ...saved]))}`
  }
}

function spotOf({ pathname, searchParams }: URL): Location {
  const [first = "", second = "", ...rest] = pathname.split("/").filter(Boolean).map(decoded)
  const page = rest.join("/")
  if (first === "w" && second !== "") {
    const base = `/w/${encodeURIComponent(second)}`
    return { base, website: second, share: undefined, page, params: searchParams }
  }
  if (first === "share" && second !== "") {
    const base = `/share/${encodeURIComponent(second)}`
    return { base, website: undefined, share: second, page, params: searchParams }
  }
  const outside = [first, second, ...rest].filter(Boolean).join("/")
  return { base: "", website: undefined, share: undefined, page: outside, params: searchParams }
}

/** Somebody may have typed a `%` into the address. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function lastingOf(params: URLSearchParams): URLSearchParams {
  return withNames(params, lasting)
}

function withNames(params: URLSearchParams, names: ReadonlySet<string>): URLSearchParams {
  return new URLSearchParams([...params].filter(([name]) => names.has(name)))
}

function changed(params: URLSearchParams, changes: Changes): URLSearchParams {
  const made = new URLSearchParams(params)
  for (const [name, value] of Object.entries(changes)) {
    made.delete(name)
    for (const one of value === undefined ? [] : [value].flat()) made.append(name, one)
  }
  return made
}

function queryText(params: URLSearchParams): string {
  const text = params.toString()
  return text === "" ? "" : `?${text}`
}
