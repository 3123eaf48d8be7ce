/** Where a snippet sends events, and for which website. */
export interface Target {
  /** The URL of this server as the browser reaches it: https://events.example.com */
  serverUrl: string
  website: string
  /** The Origin header to send; undefined if none is needed. */
  pageOrigin: string | undefined
  /** An API key; undefined if there is none to show. */
  key: string | undefined
}

/** A curl command. */
export function curlSnippet({ serverUrl, website, pageOrigin }: Target): string {
  const event = { name: "hello", anonymousId: "me", sessionId: "my-visit", properties: { from: "curl" } }
  return [
    `curl -X POST "${trackUrl(serverUrl, website)}"`,
    `-H "Content-Type: application/json"`,
    ...(pageOrigin === undefined ? [] : [`-H "Origin: ${pageOrigin}"`]),
    `-d '${JSON.stringify(event)}'`,
  ].join(" \\\n  ")
}

/** Node.js code with Databuddy's SDK. */
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
  // Your own IDs for the visitor and the session. Without them, the event belongs to no visitor or session.
  anonymousId: "visitor-1",
  sessionId: "visit-1",
  properties: { plan: "pro" },
})
await databuddy.flush()`
}

/** Custom events for a page that has the script. */
export const pageSnippet = `<script>
  // Until the script has loaded, calls wait in this list.
  window.databuddy = window.databuddy || []
  databuddy.push(["track", "signed_up", { plan: "pro" }])
</script>`

/** What the page script needs to know. */
export interface ScriptTarget {
  website: string
  /** https://events.example.com/databuddy.js */
  scriptUrl: string
  /** The URL that the script sends to: https://events.example.com, or a path there. */
  apiUrl: string
  /** Whether `apiUrl` is where the script sends by default. */
  isDefaultApiUrl: boolean
  /** Hash of the only version of the script that browsers may run; undefined: any version. */
  integrity?: string
}

/** `serverUrl`: this server, as the browser reaches it. `ingestPath`: '' for none. */
export function scriptTarget(
  { scriptName, ingestPath }: { scriptName: string; ingestPath: string },
  serverUrl: string,
  website: string,
): ScriptTarget {
  const apiUrl = serverUrl + ingestPath
  return { website, scriptUrl: `${apiUrl}/${scriptName}`, apiUrl, isDefaultApiUrl: ingestPath === "" }
}

/** By default, the script sends to the server from which it is loaded. */
function tag({ website, scriptUrl, apiUrl, isDefaultApiUrl, integrity }: ScriptTarget): string {
  const attributes = {
    src: scriptUrl,
    "data-client-id": website,
    ...(isDefaultApiUrl ? {} : { "data-api-url": apiUrl }),
    // Without CORS, browsers cannot check the hash of a script from another origin.
    ...(integrity === undefined ? {} : { integrity, crossorigin: "anonymous" }),
  }
  const texts = Object.entries(attributes).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return `<script ${texts.join(" ")} async></script>`
}

/** The ways to add the page script, the usual one first. */
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
 * The SDK's component, which adds the script. Vue also accepts property names in this notation. `indent`: the
 * indentation of its properties.
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

/** Whether a URL is only reachable from the same machine. */
export function isLocal(url: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname)
}
