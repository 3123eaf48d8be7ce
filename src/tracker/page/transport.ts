import { numberOption, type Options } from "./options.ts"

/** Maximum size of a request in bytes. Browsers limit the total size of a page's pending beacons to 64 KiB. */
const maxBytes = 60 * 1_024
/**
 * Maximum number of undelivered requests in memory. The oldest are dropped. The number is limited because a page might
 * stay open for days while the server is unreachable.
 */
const maxPending = 50

/**
 * Maximum number of items to collect for a path before they are sent: `pages` for events, `others` for errors, vitals
 * and engagement. The server must accept this many items in one request.
 */
const maxCollected = { pages: 50, others: 6 }

/** The browser functions needed to deliver requests. */
export interface Network {
  /** Sends a request and returns the status, or 0 if there is no response. */
  post: (url: string, body: string) => Promise<number>
  /** Returns false if the browser rejects the request. */
  beacon: (url: string, body: string) => boolean
  /**
   * Sends an item as an image, or, if the visitor is leaving the page, in a way that outlives the page. Returns the
   * status, like `post`.
   */
  pixel: (url: string, path: string, item: object, isLeaving: boolean) => Promise<number>
}

interface Pending {
  path: string
  body: string
  attempts: number
  /** True while the request is in flight or waiting for its next attempt. */
  isActive: boolean
}

export type Transport = ReturnType<typeof createTransport>

/** Returns true if a later attempt might succeed. Status 0 means that there was no response. */
export function isRetryable(status: number): boolean {
  return status === 0 || status >= 500 || [408, 425, 429].includes(status)
}

/** Joins serialized items into request bodies of at most 60 KiB. Only a body with a single item can be larger. */
export function bodiesOf(items: readonly string[]): string[] {
  const bodies: string[] = []
  let body = ""
  for (const item of items) {
    const next = body ? `${body},${item}` : item
    // The brackets take up 2 bytes.
    if (body && new Blob([next]).size + 2 > maxBytes) {
      bodies.push(`[${body}]`)
      body = item
    } else body = next
  }
  return [...bodies, `[${body}]`]
}

/**
 * Collects items by path and delivers them. If a request gets no response or fails temporarily, it is repeated with the
 * same body. Event IDs let the server store each event only once. `api` is the server's URL without a trailing slash.
 */
export function createTransport(api: string, options: Options, network: Network) {
  // A pixel can only carry one item.
  const isSingle = options.usePixel || options.enableBatching === false
  const batchSize = isSingle ? 1 : numberOption(options.batchSize, 10, 1, maxCollected.pages)
  const batchTimeout = numberOption(options.batchTimeout, 5_000, 100, 30_000)
  const maxRetries = options.enableRetries === false ? 0 : numberOption(options.maxRetries, 3, 0, 10)
  const firstDelay = numberOption(options.initialRetryDelay, 500, 50, 60_000)
  const queues = new Map<string, string[]>()
  const pending = new Set<Pending>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let isLeaving = false

  const urlOf = (path: string) => `${api}${path}?client_id=${encodeURIComponent(String(options.clientId))}`

  const attempt = ({ path, body }: Pending): Promise<number> => {
    if (!options.usePixel || path === "/identify") return network.post(urlOf(path), body)
    return network.pixel(urlOf("/px.jpg"), path, JSON.parse(body)[0], isLeaving)
  }

  const deliver = async (request: Pending): Promise<void> => {
    // Since this attempt was scheduled, the request was sent as a beacon or dropped, or the visitor has opted out.
    if (!pending.has(request)) return
    request.isActive = true
    const status = await attempt(request).catch(() => 0)
    if (!isRetryable(status) || maxRetries === 0) pending.delete(request)
    else if (request.attempts < maxRetries) {
      setTimeout(deliver, firstDelay * 2 ** request.attempts++, request)
    } else {
      // Waits for `flush`, which runs when more items are sent or the connection returns.
      request.attempts = 0
      request.isActive = false
    }
  }

  const enqueue = (path: string, body: string): void => {
    const [oldest] = pending
    if (oldest && pending.size >= maxPending) pending.delete(oldest)
    pending.add({ path, body, attempts: 0, isActive: false })
  }

  /** Turns the queues into requests. */
  const close = (): void => {
    clearTimeout(timer)
    timer = undefined
    for (const [path, items] of queues) {
      for (const body of bodiesOf(items)) enqueue(path, body)
    }
    queues.clear()
  }

  const flush = (): void => {
    close()
    for (const request of pending) {
      // The browser delivers beacons even after the page is gone. Requests in flight are repeated as beacons, because
      // the browser might cancel them when the page goes away.
      const canBeacon = isLeaving && !options.usePixel
      if (canBeacon && network.beacon(urlOf(request.path), request.body)) pending.delete(request)
      else if (!request.isActive) void deliver(request)
    }
  }

  return {
    /** Sends everything now. */
    flush,
    /** Adds an item to the requests for `path`. Throws if it cannot be converted to JSON. */
    add: (path: string, item: object, isUrgent?: boolean): void => {
      const serialized = JSON.stringify(item)
      const queue = queues.get(path) ?? []
      queues.set(path, queue)
      queue.push(serialized)
      const isPage = path === "/batch" || path === "/track"
      const max = isPage ? batchSize : Math.min(batchSize, maxCollected.others)
      if (isUrgent || isLeaving || queue.length >= max) flush()
      else timer ??= setTimeout(flush, batchTimeout)
    },
    /** Sends a single object. */
    post: (path: string, body: object): void => {
      enqueue(path, JSON.stringify(body))
      flush()
    },
    /**
     * Sets whether the visitor is leaving the page. `false` means that the visitor is back. Sends everything
     * immediately.
     */
    setLeaving: (value: boolean): void => {
      isLeaving = value
      flush()
    },
    /** Discards everything that has not been sent. */
    clear: (): void => {
      close()
      pending.clear()
    },
  }
}
