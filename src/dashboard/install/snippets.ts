/** Where events go, and which website they are of. */
export interface Target {
  /** Of this server, as the page was reached: https://events.example.com */
  origin: string
  website: string
  /** The Origin that a request has to name; undefined: it may come without one. */
  pageOrigin: string | undefined
  /** An API key; undefined: there is none to show. */
  key: string | undefined
}

/** A line for a shell. */
export function curlLine({ origin, website, pageOrigin }: Target): string {
  const event = { name: "hello", anonymousId: "me", sessionId: "my-visit", properties: { from: "curl" } }
  return [
    `curl -X POST "${trackUrl(origin, website)}"`,
    `-H "Content-Type: application/json"`,
    ...(pageOrigin === undefined ? [] : [`-H "Origin: ${pageOrigin}"`]),
    `-d '${JSON.stringify(event)}'`,
  ].join(" \\\n  ")
}

/** For a server, with Databuddy's own package. */
export function nodeLines({ origin, website, key }: Target): string {
  return `// npm install @databuddy/sdk
import { Databuddy } from "@databuddy/sdk/node"

const databuddy = new Databuddy({
  apiKey: ${key === undefined ? "process.env.DATABUDDY_KEY" : JSON.stringify(key)},
  apiUrl: ${JSON.stringify(origin)},
  websiteId: ${JSON.stringify(website)},
})

await databuddy.track({
  name: "signed_up",
  // Your ids of the visitor and of this visit; without them, it counts for no visitor and no session.
  anonymousId: "visitor-1",
  sessionId: "visit-1",
  properties: { plan: "pro" },
})
await databuddy.flush()`
}

/** For a page, as it is, before the end of its head. */
export function pageLines({ origin, website }: Target): string {
  return `<script>
{
  // Where events go, and which website they are of.
  const url = ${JSON.stringify(trackUrl(origin, website))}

  // A random id in the browser tells visitors apart, one in the tab their visits; none where it keeps nothing.
  const idIn = (storage) => {
    try {
      return (window[storage].databuddy ??= crypto.getRandomValues(new Uint32Array(4)).join("-"))
    } catch {}
  }

  // Says what happened, with any JSON beside it, from wherever in the page.
  window.track = (name, properties = {}, isLeaving = false) => {
    const ids = { anonymousId: idIn("localStorage"), sessionId: idIn("sessionStorage") }
    const body = JSON.stringify({ name, properties, path: location.pathname, ...ids })
    // A beacon goes out even while the page closes.
    if (isLeaving) navigator.sendBeacon(url, body)
    else fetch(url, { method: "POST", body, keepalive: true }).catch(() => {})
  }

  track("page_viewed")
  addEventListener("pagehide", () => {
    track("page_left", { seconds: Math.round(performance.now() / 1000) }, true)
  })
}
</script>`
}

function trackUrl(origin: string, website: string): string {
  return `${origin}/track?website_id=${encodeURIComponent(website)}`
}

/** Whether an address leads to one's own machine alone. */
export function isLocal(origin: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(origin).hostname)
}
