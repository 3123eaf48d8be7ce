/** The options that a page has set. The page can set any value, and options that are not listed here are ignored. */
export interface Options {
  clientId?: string
  apiUrl?: string
  disabled?: boolean
  trackHashChanges?: boolean
  trackAttributes?: boolean
  trackOutgoingLinks?: boolean
  trackWebVitals?: boolean
  /** Older name of `trackWebVitals`. */
  trackPerformance?: boolean
  trackInteractions?: boolean
  trackErrors?: boolean
  ignoreBotDetection?: boolean
  usePixel?: boolean
  enableBatching?: boolean
  enableRetries?: boolean
  waitForConsent?: boolean
  samplingRate?: number
  batchSize?: number
  /** In ms. */
  batchTimeout?: number
  maxRetries?: number
  /** In ms. */
  initialRetryDelay?: number
  skipPatterns?: string[]
  maskPatterns?: string[]
  anonymizeVisitorIds?: boolean | "auto"
  /** Returns false for an event that must not be sent. Can only be set in `window.databuddyConfig`. */
  filter?: (event: object) => unknown
}

type Pairs = Iterable<readonly [name: string, value: string]>

/**
 * Merges the options of a page. Later sources override earlier ones: `config` is `window.databuddyConfig`, `attributes`
 * are the attributes of the script element, and `query` is the query string of the script's URL.
 */
export function readOptions(config: object | undefined, attributes: Pairs, query: Pairs): Options {
  const options: Record<string, unknown> = { ...config }
  for (const [name, value] of attributes) {
    if (name.startsWith("data-")) addOption(options, name.slice(5), value)
  }
  for (const [name, value] of query) addOption(options, name, value)
  return options
}

function addOption(options: Record<string, unknown>, name: string, value: string): void {
  const key = name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
  options[key] = parseOption(key, value)
}

function parseOption(key: string, value: string): unknown {
  // A client ID that consists of digits must not become a number.
  if (key === "clientId") return value
  if (key.endsWith("Patterns")) {
    try {
      return JSON.parse(value)
    } catch {
      return undefined
    }
  }
  if (value === "" || value === "true") return true
  if (value === "false") return false
  return /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
}

/** Returns a numeric option, clamped to its limits, or `fallback` if it is not a number. */
export function numberOption(value: unknown, fallback: number, min: number, max: number): number {
  return typeof value === "number" ? Math.min(Math.max(value, min), max) : fallback
}

/**
 * Returns true if the visitor is in the sample. The result depends only on the ID, so that a visitor's events are
 * either all sent or not sent at all.
 */
export function isSampled(anonymousId: string, samplingRate: unknown): boolean {
  const position = Number.parseInt(anonymousId.slice(-8), 16) / 2 ** 32
  return !(position >= numberOption(samplingRate, 1, 0, 1))
}
