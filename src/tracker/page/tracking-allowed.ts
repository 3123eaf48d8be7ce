import type { Options } from "./options.ts"

/** See `tracker.ts`. */
declare const DEBUG: boolean

/**
 * Returns the possible reasons not to track this page load, regardless of the visitor's consent. If any of them is
 * true, the page load must not be tracked. The standard property is `navigator.doNotTrack`, but old versions of Safari
 * have `window.doNotTrack` instead.
 */
export function reasonsNotToTrack({ disabled, clientId, ignoreBotDetection }: Options) {
  const { hostname, protocol } = location
  const { webdriver, userAgent, doNotTrack } = navigator
  const page: Window & { doNotTrack?: string } = window
  return {
    disabled,
    hasNoClientId: !clientId,
    globalPrivacyControl: "globalPrivacyControl" in navigator && navigator.globalPrivacyControl,
    doNotTrack: doNotTrack === "1" || page.doNotTrack === "1",
    automated: !ignoreBotDetection && (webdriver || /headless/i.test(userAgent)),
    localhost: !DEBUG && (/^(127\.0\.0\.1|\[::1\]|(.+\.)?localhost)$/.test(hostname) || protocol === "file:"),
  }
}
