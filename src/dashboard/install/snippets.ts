/** Where a snippet sends events, and for which website. */
export interface Target {
  /** This server's origin, as the browser reached it: https://events.example.com */
  origin: string
  website: string
  /** The Origin header to send; undefined if none is needed. */
  pageOrigin: string | undefined
  /** An API key; undefined if there is none to show. */
  key: string | undefined
}

/** A curl command. */
export function curlSnippet({ origin, website, pageOrigin }: Target): string {
  const event = { name: "hello", anonymousId: "me", sessionId: "my-visit", properties: { from: "curl" } }
  return [
    `curl -X POST "${trackUrl(origin, website)}"`,
    `-H "Content-Type: application/json"`,
    ...(pageOrigin === undefined ? [] : [`-H "Origin: ${pageOrigin}"`]),
    `-d '${JSON.stringify(event)}'`,
  ].join(" \\\n  ")
}

/** Node.js code with Databuddy's SDK. */
export function nodeSnippet({ origin, website, key }: Target): string {
  return `// npm install @databuddy/sdk
import { Databuddy } from "@databuddy/sdk/node"

const databuddy = new Databuddy({
  apiKey: ${key === undefined ? "process.env.DATABUDDY_KEY" : JSON.stringify(key)},
  apiUrl: ${JSON.stringify(origin)},
  websiteId: ${JSON.stringify(website)},
})

await databuddy.track({
  name: "signed_up",
  // Your ids of the visitor and the session. Without them, the event belongs to no visitor and no session.
  anonymousId: "visitor-1",
  sessionId: "visit-1",
  properties: { plan: "pro" },
})
await databuddy.flush()`
}

/** A script for the head of a page. */
export function pageSnippet({ origin, website }: Target): string {
  return `<script>
{
  // The server and the website.
  const url = ${JSON.stringify(trackUrl(origin, website))}

  // A random id per browser (visitor) and per tab (session); undefined if the browser blocks storage.
  const idIn = (storage) => {
    try {
      return (window[storage].databuddy ??= crypto.getRandomValues(new Uint32Array(4)).join("-"))
    } catch {}
  }

  // Sends an event with any JSON properties.
  window.track = (name, properties = {}, isLeaving = false) => {
    const ids = { anonymousId: idIn("localStorage"), sessionId: idIn("sessionStorage") }
    const body = JSON.stringify({ name, properties, path: location.pathname, ...ids })
    // A beacon is sent even while the page closes.
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

/** Whether an origin is only reachable from the same machine. */
export function isLocal(origin: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(origin).hostname)
}
