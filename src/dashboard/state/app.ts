import { computed, type ReadonlySignal, signal } from "@preact/signals"
import { createContext } from "preact"
import { useContext } from "preact/hooks"
import { Api } from "./api.ts"
import { type Embed, parseEmbed } from "./embed.ts"
import { type Filter, parseFilters } from "./filters.ts"
import { Preferences, storageBelow } from "./preferences.ts"
import { QueryCache } from "./query-cache.ts"
import { type Comparison, parseComparison, parseRange, type Range, todayIn } from "./range.ts"
import { Router } from "./router.ts"
import { Session } from "./session.ts"
import { Toasts } from "./toasts.ts"

/** What a page shows: the website, the range, the comparison and the filters. */
export interface View {
  /** A website ID, `none` or `all`. */
  website: string
  zone: string
  today: string
  range: Range
  /** The comparison; undefined for none. */
  compare: Comparison | undefined
  filters: Filter[]
}

/** State shared by all components. Created once and provided through `AppContext`. */
export class App {
  readonly router: Router
  readonly api: Api
  readonly session: Session
  readonly queryCache: QueryCache
  readonly preferences: Preferences
  readonly toasts = new Toasts()
  /** `version` changes whenever an annotation is saved, so that charts refetch the annotations. */
  readonly annotations = { version: signal(0) }
  readonly view: ReadonlySignal<View>
  /** Set if the page is embedded in another website. */
  readonly embed: Embed | undefined
  /** The browser's locale, for dates and numbers. */
  readonly locale: string
  readonly now = () => Date.now()
  readonly #refreshedAt = signal(0)

  /** `basePath` is the server's --base-path, or ''. */
  constructor(window: Window & typeof globalThis, basePath: string) {
    this.locale = window.navigator.language
    this.router = new Router(window, basePath)
    this.session = new Session(() => this.api)
    this.api = new Api(
      (path, init) => window.fetch(this.router.hrefOf(path), init),
      () => this.router.location.value.share,
      () => {
        if (this.session.me.value?.user) this.session.hasExpired.value = true
        this.clearSession()
      },
    )
    this.queryCache = new QueryCache(this.api)
    const { isEmbedded, params } = this.router.location.value
    this.embed = isEmbedded ? parseEmbed(params) : undefined
    // The URL determines the appearance of an embedded page. Nothing is stored, because browsers may block the storage
    // of third parties.
    const storage = this.embed ? undefined : openStorage(window)
    this.preferences = new Preferences(
      storage && storageBelow(basePath, storage),
      window.document.documentElement,
      this.embed?.theme,
    )
    const browserZone = new Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC"
    this.view = computed(() => {
      void this.#refreshedAt.value
      const { website, share, params } = this.router.location.value
      const zone = parseZone(params.get("tz")) ?? browserZone
      const today = todayIn(zone, this.now())
      const shared = share === undefined ? undefined : this.session.me.value?.share?.websiteId
      return {
        website: website ?? shared ?? "all",
        zone,
        today,
        range: parseRange(params, today),
        compare: parseComparison(params.get("compare")),
        // A shared board uses only the filters of its tiles.
        filters: this.session.sharedBoard === undefined ? parseFilters(params) : [],
      }
    })
  }

  /** Moves the view to the current day. Called by pages that stay open for days. */
  refresh(): void {
    this.#refreshedAt.value = this.now()
  }

  /** Removes the user or share link, and all data cached for it. */
  clearSession(): void {
    this.session.clear()
    this.queryCache.clear()
  }
}

/** Returns the browser's local storage, or undefined if the browser blocks it, in which case the property throws. */
function openStorage(window: Window): Storage | undefined {
  try {
    return window.localStorage
  } catch {
    return undefined
  }
}

function parseZone(name: string | null): string | undefined {
  if (name === null) return undefined
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone && name
  } catch {
    return undefined
  }
}

export const AppContext = createContext<App | undefined>(undefined)

export function useApp(): App {
  const app = useContext(AppContext)
  if (!app) throw new Error("useApp needs an AppContext.Provider above it")
  return app
}
