import type { DatabuddyConfig } from "@databuddy/sdk"

/** Options that an application might set: one of each type. The script's URL is taken from the page's query string. */
export function optionsOf({ search }: Location): DatabuddyConfig {
  return {
    clientId: "shop",
    scriptUrl: new URLSearchParams(search).get("script") ?? "",
    ignoreBotDetection: true,
    batchTimeout: 100,
    samplingRate: 1.0,
    anonymizeVisitorIds: "auto",
    skipPatterns: ["/admin/**"],
    maskPatterns: ["/users/*"],
    trackErrors: true,
    trackWebVitals: false,
    trackOutgoingLinks: false,
  }
}
