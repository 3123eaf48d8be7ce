import type { Engagement } from "./engagement.ts"
import { isSampled, type Options } from "./options.ts"
import { maskPath, matchesPattern } from "./path-patterns.ts"
import type { start as startPixel } from "./pixel.ts"
import type { Host } from "./plugin.ts"
import { watchTrackedElements } from "./tracked-elements.ts"
import { createTransport } from "./transport.ts"
import { createId, type Identity } from "./visitor-session.ts"

/**
 * How long to wait after the URL changes before a new view starts, in ms. Routers change the URL more than once and set
 * the title afterwards.
 */
const navigationDelay = 50
/**
 * After the first exit of a view, an exit is only reported if the page was visible again for at least this long, in ms.
 */
const minSpan = 1_000
/** Maximum time on a page to report, in seconds. */
const maxTime = 86_400
const campaignKeys =
  "utm_source utm_medium utm_campaign utm_term utm_content gclid fbclid ttclid twclid li_fat_id msclkid".split(
    " ",
  )
/** Maximum number of errors that wait for errors.js. */
const maxEarlyErrors = 20

/** Set by src/tracker/bundle.ts. True in databuddy-debug.js, which also works on localhost and logs to the console. */
declare const DEBUG: boolean

type Properties = Record<string, unknown>
type ExitType = "spa" | "hidden" | "unload"

type Ids = { anonymousId: string } & ReturnType<Identity["session"]>

/** A page view in progress. */
interface View {
  /**
   * IDs of the view's visitor and session. The view's exit and engagement have the same IDs, even if the session ends
   * before the view does.
   */
  ids: Ids
  /** The fields shared by all events of the view. */
  context: { path: string; page_count: number } & Properties
  /** When the page last became visible, in Unix ms. 0 while the page is hidden, and after the view has ended. */
  since: number
  exits: number
  /** Greatest scroll depth so far, in percent. */
  depth: number
}

async function post(url: string, body: string): Promise<number> {
  // A plain text body needs no preflight request. `keepalive` lets the request outlive the page, but browsers limit the
  // size of such requests, as they do for beacons.
  const init = { method: "POST", body, credentials: "omit" as const, keepalive: body.length < 20_000 }
  return (await fetch(url, init)).status
}

/**
 * Creates the functions that `window.databuddy` calls once tracking has started. The other scripts, such as vitals.js,
 * are loaded from the folder of `scriptUrl`.
 */
export function createTracker(options: Options, api: string, scriptUrl: string, identity: Identity) {
  const transport = createTransport(api, options, {
    post,
    beacon: (url, body) => navigator.sendBeacon(url, body),
    pixel: async (...args) => (await pixel)?.(...args) ?? 0,
  })
  let globals: Properties = {}
  let view: View | undefined
  let viewedUrl = ""
  let views = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let identified = ""
  let engagement: Engagement | undefined
  let viewed: (() => void) | undefined

  const path = (url = location.href) => maskPath(new URL(url).pathname, options.maskPatterns)
  const maskUrl = (href: string): string => {
    const url = new URL(href)
    url.pathname = path(href)
    for (const key of ["anonId", "sessionId"]) if (url.searchParams.has(key)) url.searchParams.delete(key)
    if (!options.trackHashChanges) url.hash = ""
    return url.href
  }
  let referrer = document.referrer || "direct"
  if (referrer.startsWith(location.origin)) referrer = maskUrl(referrer)
  const isSkipped = () => matchesPattern(location.pathname, options.skipPatterns)
  const routeOf = () => location.pathname + location.search + (options.trackHashChanges ? location.hash : "")

  const currentIds = (): Ids => ({ anonymousId: identity.visitor(), ...identity.session() })
  const add = (endpoint: string, fields: object, isUrgent?: boolean): void => {
    if (identity.isOptedOut()) return
    const ids = currentIds()
    if (!isSampled(ids.anonymousId, options.samplingRate)) return
    const item = {
      eventId: createId(),
      ...ids,
      profileId: identity.profile() ?? undefined,
      timestamp: Date.now(),
      anonymizeVisitorIds: options.anonymizeVisitorIds,
      ...fields,
    }
    try {
      if (options.filter?.(item) === false) return
      // Sends immediately if the page is hidden, because it might be closed without any further event.
      transport.add(endpoint, item, isUrgent || document.visibilityState === "hidden")
    } catch (error) {
      // The filter threw, or the properties cannot be converted to JSON. Tracking must never break the page.
      // biome-ignore lint/suspicious/noConsole: only in databuddy-debug.js
      if (DEBUG) console.error("[Databuddy]", item, error)
    }
  }
  const addVisible = (endpoint: string, fields: object, isUrgent?: boolean): void => {
    if (!isSkipped()) add(endpoint, fields, isUrgent)
  }

  /** Loads a plugin. If this fails, for example because of a Content-Security-Policy, everything else still works. */
  const load = <Plugin>(name: string, use?: (plugin: Plugin) => void): Promise<Plugin> => {
    const host: Host = { add: addVisible, path }
    const loaded = import(new URL(name, scriptUrl).href).then(({ start }) => start(host))
    loaded.then(use, () => {})
    return loaded
  }
  const pixel = options.usePixel ? load<ReturnType<typeof startPixel>>("pixel.js") : undefined

  const measureDepth = (): void => {
    const { scrollHeight } = document.documentElement
    const seen = (scrollY + innerHeight) / scrollHeight
    if (view) view.depth = Math.max(view.depth, Math.min(100, Math.round(seen * 100)))
  }

  const startView = (properties?: Properties): void => {
    clearTimeout(timer)
    timer = undefined
    viewedUrl = routeOf()
    view = undefined
    if (isSkipped() || identity.isOptedOut()) return
    const url = maskUrl(location.href)
    const query = new URLSearchParams(location.search)
    view = {
      ids: currentIds(),
      context: {
        path: url,
        title: document.title,
        referrer,
        screen_resolution: `${screen.width}x${screen.height}`,
        viewport_size: `${innerWidth}x${innerHeight}`,
        timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
        language: navigator.language,
        page_count: Math.min(++views, 1_000),
      },
      since: document.visibilityState === "hidden" ? 0 : Date.now(),
      exits: 0,
      depth: 0,
    }
    for (const key of campaignKeys) if (query.get(key)) view.context[key] = query.get(key)
    referrer = url
    measureDepth()
    engagement?.restart()
    add("/batch", {
      type: "track",
      name: "screen_view",
      ...view.context,
      properties: { ...globals, ...properties },
    })
    viewed?.()
  }

  /**
   * Reports an exit with the time since the page became visible. A later call for the same view only reports the time
   * since the page became visible again.
   */
  const endView = (exitType: ExitType): void => {
    if (!view?.since) return
    const time = Date.now() - view.since
    view.since = 0
    if (view.exits++ > 0 && time < minSpan) return
    measureDepth()
    const timeOnPage = Math.min(Math.round(time / 1_000), maxTime)
    const counts = engagement?.take()
    add("/batch", {
      type: "track",
      name: "page_exit",
      ...view.ids,
      ...view.context,
      time_on_page: timeOnPage,
      scroll_depth: view.depth,
      interaction_count: counts && Math.min(counts.interactionCount, 10_000),
      properties: globals,
    })
    if (!counts) return
    add("/engagement", {
      ...view.ids,
      path: new URL(view.context.path).pathname,
      pageIndex: view.context.page_count,
      exitType,
      timeOnPage,
      maxScrollDepth: view.depth,
      ...counts,
    })
  }

  /** If the URL has changed or if `properties` are given, ends the current view and starts a new one. */
  const settle = (properties?: Properties): void => {
    if (!properties && routeOf() === viewedUrl) return
    endView("spa")
    startView(properties)
  }
  const navigated = (): void => {
    clearTimeout(timer)
    timer = setTimeout(settle, navigationDelay)
  }

  const watchNavigation = (): void => {
    for (const method of ["pushState", "replaceState"] as const) {
      const original = history[method]
      history[method] = function (...args) {
        original.apply(this, args)
        navigated()
      }
    }
    addEventListener("popstate", navigated)
    if (options.trackHashChanges) addEventListener("hashchange", navigated)
    addEventListener("scroll", measureDepth, { passive: true })
    // Extends the session, so that it does not end while the visitor reads a long page.
    for (const name of ["scroll", "keydown", "pointerdown"])
      addEventListener(name, identity.extend, { capture: true, passive: true })
    addEventListener("online", transport.flush)
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") {
        settle()
        endView("hidden")
        transport.flush()
      } else if (view && !view.since) {
        view.since = Date.now()
        engagement?.resume()
      }
    })
    addEventListener("pagehide", () => {
      // This call comes first, so that the exit is sent in a way that outlives the page.
      transport.setLeaving(true)
      settle()
      endView("unload")
    })
    addEventListener("pageshow", (event: PageTransitionEvent) => {
      if (!event.persisted) return
      transport.setLeaving(false)
      startView()
    })
  }

  const watchErrors = (): void => {
    const early: Event[] = []
    let report = (event: Event): void => {
      if (early.length < maxEarlyErrors) early.push(event)
    }
    addEventListener("error", (event) => report(event))
    addEventListener("unhandledrejection", (event) => report(event))
    load<(event: Event) => void>("errors.js", (plugin) => {
      report = plugin
      early.forEach(plugin)
    })
  }

  const track = (name: string, properties?: Properties): void => {
    addVisible("/track", {
      name: String(name).slice(0, 256),
      path: options.usePixel ? maskUrl(location.href) : path(),
      properties: { ...globals, ...properties },
    })
  }

  const identify = (profileId: unknown, traits?: Properties): void => {
    const id = String(profileId ?? "").slice(0, 128)
    if (!id) return
    identity.setProfile(id)
    const body = { profileId: id, anonymousId: identity.visitor(), traits }
    // Skips repeated calls, because applications often call `identify` on every render.
    const serialized = JSON.stringify(body)
    if (serialized === identified) return
    identified = serialized
    if (isSampled(body.anonymousId, options.samplingRate)) transport.post("/identify", body)
  }

  return {
    /** Starts listening for navigation, clicks and errors. Called once. */
    start: (): void => {
      identity.adopt(new URLSearchParams(location.search))
      // The pixel endpoint does not accept engagement.
      if (options.trackInteractions && !options.usePixel) {
        load<Engagement>("engagement.js", (plugin) => {
          engagement = plugin
        })
      }
      watchNavigation()
      watchTrackedElements({
        attributes: options.trackAttributes && track,
        outgoing:
          options.trackOutgoingLinks &&
          ((href, text) =>
            addVisible("/batch", { type: "outgoing_link", href, text, ...view?.context }, true)),
      })
      if (options.trackErrors) watchErrors()
      if (options.trackWebVitals || options.trackPerformance) {
        load<() => void>("vitals.js", (plugin) => {
          viewed = plugin
        })
      }
    },
    /** Starts a view of the current page. */
    startView,
    /** Discards everything that has not been sent yet. */
    stop: (): void => {
      clearTimeout(timer)
      view = undefined
      transport.clear()
    },
    methods: {
      track,
      screenView: (properties?: Properties): void => settle({ ...properties }),
      identify,
      setTraits: (traits: Properties): void => identify(identity.profile(), traits),
      clearProfile: (): void => {
        identified = ""
        identity.setProfile(undefined)
      },
      clear: (): void => {
        identified = ""
        globals = {}
        identity.clear()
      },
      flush: transport.flush,
      setGlobalProperties: (properties: Properties): void => {
        globals = { ...globals, ...properties }
      },
    },
  }
}
