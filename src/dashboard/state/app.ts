import { computed, type ReadonlySignal, signal } from "@preact/signals"
import { createContext } from "preact"
import { useContext } from "preact/hooks"
import { Api } from "./api.ts"
import { type Filter, readFilters } from "./filters.ts"
import { Preferences } from "./preferences.ts"
import { QueryCache } from "./query-cache.ts"
import { type Range, readRange, todayIn } from "./range.ts"
import { Router } from "./router.ts"
import { Session } from "./session.ts"
import { Toasts } from "./toasts.ts"

/** What is looked at: which events of which time. */
export interface View {
  /** An id, `none` or `all`. */
  website: string
  zone: string
  today: string
  range: Range
  /** Each number is set against the period before. */
  compare: boolean
  filters: Filter[]
}

/** Everything that the parts of the page share; made once, and passed down. */
export class App {
  readonly place: Router
  readonly api: Api
  readonly session: Session
  readonly answers: QueryCache
  readonly preferences: Preferences
  readonly toasts = new Toasts()
  /** Counts changes of notes, for the charts to ask for them again. */
  readonly notes = { round: signal(0) }
  readonly view: ReadonlySignal<View>
  /** Of the person, for dates and numbers. */
  readonly locale: string
  readonly now = () => Date.now()

  constructor(window: Window & typeof globalThis) {
    this.locale = window.navigator.language
    this.place = new Router(window)
    this.session = new Session(() => this.api)
    this.api = new Api(
      (path, init) => window.fetch(path, init),
      () => this.place.spot.value.share,
      () => {
        if (this.session.me.value?.user) this.session.hasEnded.value = true
        this.forget()
      },
    )
    this.answers = new QueryCache(this.api)
    this.preferences = new Preferences(storageOf(window), window.document.documentElement)
    const ownZone = new Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC"
    this.view = computed(() => {
      const { website, share, params } = this.place.spot.value
      const zone = zoneOf(params.get("tz")) ?? ownZone
      const today = todayIn(zone, this.now())
      const shared = share === undefined ? undefined : this.session.me.value?.share?.websiteId
      return {
        website: website ?? shared ?? "all",
        zone,
        today,
        range: readRange(params, today),
        compare: params.get("compare") !== "off",
        filters: readFilters(params),
      }
    })
  }

  /** Nobody is logged in any more, and nothing that was shown stays. */
  forget(): void {
    this.session.forget()
    this.answers.forget()
  }
}

/** Browsers can be told to keep nothing, and throw then. */
function storageOf(window: Window): Storage | undefined {
  try {
    return window.localStorage
  } catch {
    return undefined
  }
}

function zoneOf(name: string | null): string | undefined {
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
  if (!app) throw new Error("there is no app around this part")
  return app
}
