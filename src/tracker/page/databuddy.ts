import { readOptions } from "./options.ts"
import { openStorageArea } from "./storage-area.ts"
import { createTracker } from "./tracker.ts"
import { reasonsNotToTrack } from "./tracking-allowed.ts"
import { createIdentity } from "./visitor-session.ts"

// The main page script: it reads the options, decides whether to track, and creates `window.databuddy`.

/** See `tracker.ts`. */
declare const DEBUG: boolean
/**
 * Path prefix of the server, on the host from which the script is loaded. '' for none. Set when the script is bundled
 * or served.
 */
declare const BASE_PATH: string

type Call = [method: string, ...args: unknown[]]

/** What `window.databuddy` can be before this script runs: a list of calls, or an object that contains such a list. */
type Stub = Call[] | { q?: Call[]; options?: unknown }

interface Globals {
  databuddy?: unknown
  db?: unknown
  databuddyConfig?: object
  databuddyOptOut?: () => void
  databuddyOptIn?: () => void
  databuddyOptedOut?: boolean
  databuddyDisabled?: boolean
}

/** Maximum number of calls to queue until tracking starts, for example because the visitor has not consented yet. */
const maxEarlyCalls = 100

const page: Omit<Window, keyof Globals> & Globals = window
// Frameworks sometimes add the script twice. It must only be installed once.
const stub = page.databuddy as Stub | undefined
if (!stub || !("options" in stub)) install()

function install(): void {
  const script = document.currentScript ?? document.querySelector("script[data-client-id]")
  const address = script instanceof HTMLScriptElement && script.src
  const source = address || location.href
  const { origin, searchParams } = new URL(source)
  const attributes = [...(script?.attributes ?? [])].map(({ name, value }) => [name, value] as const)
  // An inline script has no URL of its own. The query string of the page's URL is not used instead, because anyone can
  // link to the page with any query string.
  const options = readOptions(page.databuddyConfig, attributes, address ? searchParams : [])
  const api = String(options.apiUrl || origin + BASE_PATH).replace(/\/+$/, "")
  const identity = createIdentity(
    openStorageArea(() => localStorage),
    openStorageArea(() => sessionStorage),
    () => Date.now(),
  )
  const tracker = createTracker(options, api, source, identity)
  const isOptedOut = () => page.databuddyOptedOut || page.databuddyDisabled || identity.isOptedOut()

  const reasons = reasonsNotToTrack(options)
  const isSilent = Object.values(reasons).some(Boolean)
  // biome-ignore lint/suspicious/noConsole: only in databuddy-debug.js
  if (DEBUG) console.info("[Databuddy]", { options, reasons })
  let isListening = false
  let isWaiting = options.waitForConsent && !identity.hasConsent()
  const isTracking = () => isListening && !isOptedOut()
  const early: Call[] = []

  const begin = (): void => {
    if (isSilent || isWaiting || isOptedOut()) return
    // Waits until the visitor opens a prerendered page, because many prerendered pages are never opened.
    if ("prerendering" in document && document.prerendering) {
      document.addEventListener("prerenderingchange", begin, { once: true })
      return
    }
    if (!isListening) tracker.start()
    isListening = true
    // Runs `identify` and `set…` calls first, so that the first view already has the profile and the global properties.
    const isSetting = ([method]: Call) => /^(identify|set)/.test(method)
    const calls = early.splice(0)
    calls.filter(isSetting).forEach(run)
    tracker.startView()
    for (const call of calls) if (!isSetting(call)) run(call)
  }

  const methods: Record<string, (...args: never[]) => unknown> = tracker.methods
  const call = (method: string, args: unknown[]): void => {
    if (isTracking()) run([method, ...args])
    else if (!isSilent && !isOptedOut() && early.length < maxEarlyCalls) early.push([method, ...args])
  }
  const run = ([method, ...args]: Call): void => {
    // A page can pass any arguments, so each method checks its own arguments.
    methods[method]?.(...(args as never[]))
  }

  const optOut = (): void => {
    tracker.stop()
    early.length = 0
    identity.optOut()
    page.databuddyOptedOut = page.databuddyDisabled = true
  }
  const optIn = (): void => {
    const wasTracking = isTracking()
    page.databuddyOptedOut = page.databuddyDisabled = false
    isWaiting = false
    identity.optIn(options.waitForConsent)
    if (!wasTracking) begin()
  }

  const databuddy: Record<string, unknown> = {
    options,
    optOut,
    optIn,
    consent: optIn,
    getProfileId: () => (isTracking() ? identity.profile() : null),
    getTrackingIds: () =>
      isTracking()
        ? { anonId: identity.visitor(), sessionId: identity.session().sessionId }
        : { anonId: null, sessionId: null },
    push: (queued: Call) => replay(queued),
    ...Object.fromEntries(
      Object.keys(methods).map((method) => [method, (...args: unknown[]) => call(method, args)]),
    ),
  }
  page.databuddy = databuddy
  if (!page.db || page.db === stub) page.db = databuddy
  page.databuddyOptOut = optOut
  page.databuddyOptIn = optIn

  const replay = (queued: ArrayLike<unknown>): void => {
    const [method, ...args] = Array.from(queued)
    const named = databuddy[String(method)]
    if (typeof named === "function") named(...args)
  }
  for (const queued of Array.isArray(stub) ? stub : (stub?.q ?? [])) replay(queued)
  begin()
}
