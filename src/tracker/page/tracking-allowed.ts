import type { Options } from "./options.ts"

/** As in `tracker.ts`. */
declare const DEBUG: boolean

/**
 * The reasons why this page load is never tracked, whatever the visitor consents to. One true reason is enough.
 * `navigator.doNotTrack` is the standard; old versions of Safari have it on `window`.
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
