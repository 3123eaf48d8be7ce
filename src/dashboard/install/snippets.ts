/** Where a snippet sends its events, and for which website. */
export interface Target {
  /** This server's URL, as the browser reaches it, for example https://events.example.com. */
  serverUrl: string
  website: string
  /** The Origin header to send; undefined if none is needed. */
  pageOrigin: string | undefined
  /** An API key; undefined if no key can be shown. */
  key: string | undefined
}

/** Returns a curl command that sends a custom event. */
export function curlSnippet({ serverUrl, website, pageOrigin }: Target): string {
  const event = { name: "hello", anonymousId: "me", sessionId: "my-visit", properties: { from: "curl" } }
  return [
    `curl -X POST "${trackUrl(serverUrl, website)}"`,
    `-H "Content-Type: application/json"`,
    ...(pageOrigin === undefined ? [] : [`-H "Origin: ${pageOrigin}"`]),
    `-d '${JSON.stringify(event)}'`,
  ].join(" \\\n  ")
}

/** Returns Node.js code that sends a custom event with Databuddy's SDK. */
export function nodeSnippet({ serverUrl, website, key }: Target): string {
  return `// npm install @databuddy/sdk
import { Databuddy } from "@databuddy/sdk/node"

const databuddy = new Databuddy({
  apiKey: ${key === undefined ? "process.env.DATABUDDY_KEY" : JSON.stringify(key)},
  apiUrl: ${JSON.stringify(serverUrl)},
  websiteId: ${JSON.stringify(website)},
})

await databuddy.track({
  name: "signed_up",
  // Your own IDs for the visitor and session. Without them, the event is not counted in visitors or sessions.
  anonymousId: "visitor-1",
  sessionId: "visit-1",
  properties: { plan: "pro" },
})
await databuddy.flush()`
}

/** HTML that sends a custom event from a page that loads the script. */
export const pageSnippet = `<script>
  // Calls are queued in this list until the script has loaded.
  window.databuddy = window.databuddy || []
  databuddy.push(["track", "signed_up", { plan: "pro" }])
</script>`

/** The settings in a script tag. */
export interface ScriptTarget {
  website: string
  /** For example https://events.example.com/databuddy.js. */
  scriptUrl: string
  /** The URL that the script sends events to: this server's URL, with a path if there is one. */
  apiUrl: string
  /** Whether the script sends to `apiUrl` by default. */
  isDefaultApiUrl: boolean
  /** Hash of the only script version that browsers should run; undefined for any version. */
  integrity?: string
}

/**
 * Returns the settings in a website's script tag. `serverUrl` is this server's URL, as the browser reaches it.
 * `ingestPath` is the server's --ingest-path, or ''.
 */
export function scriptTarget(
  { scriptName, ingestPath }: { scriptName: string; ingestPath: string },
  serverUrl: string,
  website: string,
): ScriptTarget {
  const apiUrl = serverUrl + ingestPath
  return { website, scriptUrl: `${apiUrl}/${scriptName}`, apiUrl, isDefaultApiUrl: ingestPath === "" }
}

/**
 * Returns the script tag. `data-api-url` is omitted if the script sends to the server that it was loaded from, which is
 * the default.
 */
function tag({ website, scriptUrl, apiUrl, isDefaultApiUrl, integrity }: ScriptTarget): string {
  const attributes = {
    src: scriptUrl,
    "data-client-id": website,
    ...(isDefaultApiUrl ? {} : { "data-api-url": apiUrl }),
    // Without CORS, browsers cannot check the hash of a cross-origin script.
    ...(integrity === undefined ? {} : { integrity, crossorigin: "anonymous" }),
  }
  const texts = Object.entries(attributes).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return `<script ${texts.join(" ")} async></script>`
}

/** The ways to add the page script, most common first. */
export const installations = [
  {
    framework: "html",
    label: "HTML",
    where: "Paste it before </head> on every page.",
    code: tag,
  },
  {
    framework: "react",
    label: "React",
    where: "Add the component once, at the root of your application.",
    code: (target: ScriptTarget) => `// npm install @databuddy/sdk
import { Databuddy } from "@databuddy/sdk/react"

export function App() {
  return (
    <>
      ${component(target, 8)}
      {/* your application */}
    </>
  )
}`,
  },
  {
    framework: "next",
    label: "Next.js",
    where: "Add the component to the root layout, app/layout.tsx.",
    code: (target: ScriptTarget) => `// npm install @databuddy/sdk
import { Databuddy } from "@databuddy/sdk/react"

export default function RootLayout({ children }) {
  return (
    <html lang="en">
      <body>
        ${component(target, 10)}
        {children}
      </body>
    </html>
  )
}`,
  },
  {
    framework: "vue",
    label: "Vue",
    where: "Add the component once, at the root of your application, such as App.vue.",
    code: (target: ScriptTarget) => `<script setup>
// npm install @databuddy/sdk
import { Databuddy } from "@databuddy/sdk/vue"
</script>

<template>
  ${component(target, 4)}
  <RouterView />
</template>`,
  },
] as const

/**
 * Returns the SDK component that adds the script, as JSX that is also valid in a Vue template. `indent` is the number
 * of spaces before each property.
 */
function component({ website, scriptUrl, apiUrl }: ScriptTarget, indent: number): string {
  const properties = { clientId: website, apiUrl, scriptUrl }
  const lines = Object.entries(properties).map(
    ([name, value]) => `${" ".repeat(indent)}${name}=${JSON.stringify(value)}`,
  )
  return ["<Databuddy", ...lines, `${" ".repeat(indent - 2)}/>`].join("\n")
}

function trackUrl(serverUrl: string, website: string): string {
  return `${serverUrl}/track?website_id=${encodeURIComponent(website)}`
}

/** Whether a URL is reachable only from the same machine. */
export function isLocal(url: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname)
}
