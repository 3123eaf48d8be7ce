import type { Weighted } from "./random.ts"
import type { Page, VisitorError } from "./visit.ts"

export const appWebsite = { name: "Tidewell", domain: "tidewell.example" }

const titled = (title: string) => `${title} · ${appWebsite.name}`

export const appPages = {
  home: { path: "/", title: `${appWebsite.name}: review videos together`, heavy: 1.3 },
  pricing: { path: "/pricing", title: titled("Pricing") },
  signUp: { path: "/signup", title: titled("Create your account"), heavy: 0.8 },
  projects: { path: "/app/projects", title: titled("Projects"), heavy: 1.2 },
  library: { path: "/app/library", title: titled("Library"), heavy: 1.5 },
  review: { path: "/app/review", title: titled("Review"), heavy: 1.9 },
  team: { path: "/app/team", title: titled("Team") },
} as const satisfies Record<string, Page>

/** Pages that visitors without an account read, except the home page. */
export const marketingPages: readonly (Page & Weighted)[] = [
  { ...appPages.pricing, weight: 30 },
  { path: "/features", title: titled("Features"), weight: 18 },
  { path: "/features/approvals", title: titled("Approvals"), weight: 8 },
  { path: "/customers", title: titled("Customers"), weight: 7 },
  { path: "/docs", title: titled("Documentation"), weight: 10 },
  { path: "/docs/uploads", title: titled("Uploads"), weight: 6 },
  { path: "/blog/feedback-without-meetings", title: titled("Feedback without meetings"), weight: 12 },
  { path: "/blog/frame-accurate-comments", title: titled("Frame-accurate comments"), weight: 7 },
  { path: "/changelog", title: titled("Changelog"), weight: 5 },
]

/** A pricing plan, and how many people choose it before and after the price change. */
export interface Plan {
  name: "Starter" | "Team" | "Business"
  /** Price in EUR per month. */
  amount: number
  seats: number
  /** Relative number of trials. */
  trials: { before: number; after: number }
  /** Share of trials by activated members that lead to a subscription. See `Member.isActivated`. */
  buys: { before: number; after: number }
}

export const plans: readonly Plan[] = [
  {
    name: "Starter",
    amount: 12,
    seats: 1,
    trials: { before: 50, after: 42 },
    buys: { before: 0.75, after: 0.22 },
  },
  {
    name: "Team",
    amount: 39,
    seats: 5,
    trials: { before: 35, after: 43 },
    buys: { before: 0.25, after: 0.85 },
  },
  {
    name: "Business",
    amount: 99,
    seats: 20,
    trials: { before: 15, after: 15 },
    buys: { before: 0.3, after: 0.32 },
  },
]

export const signUpMethods = [
  { method: "google", weight: 52 },
  { method: "email", weight: 40 },
  { method: "microsoft", weight: 8 },
] as const

/** What members do in the app, and on which page. */
export const actions = [
  { name: "upload", page: appPages.projects, weight: 26 },
  { name: "comment_added", page: appPages.review, weight: 38 },
  { name: "review_requested", page: appPages.review, weight: 9 },
  { name: "review_approved", page: appPages.review, weight: 8 },
  { name: "share_link_created", page: appPages.library, weight: 8 },
  { name: "export_done", page: appPages.library, weight: 7 },
  { name: "invite_sent", page: appPages.team, weight: 1.5 },
] as const satisfies readonly ({ name: string; page: Page } & Weighted)[]

export const formats = [
  { format: "mp4", weight: 62 },
  { format: "mov", weight: 27 },
  { format: "webm", weight: 7 },
  { format: "mxf", weight: 4 },
] as const

export const uploadFailures = [
  { reason: "connection_lost", weight: 6 },
  { reason: "file_too_large", weight: 3 },
  { reason: "unsupported_codec", weight: 1 },
] as const

export const cancelReasons = [
  { reason: "too expensive", weight: 4 },
  { reason: "project finished", weight: 4 },
  { reason: "missing feature", weight: 2 },
] as const

/** The error that chunked uploads cause in Safari. */
export const safariUploadError: VisitorError = {
  message: "DataCloneError: The object can not be cloned.",
  file: "upload-worker.js",
  line: 63,
  column: 14,
  stack: ["postChunk", "readFile", "startUpload"],
}

/** The error that release 2.8 introduces. */
export const releaseError: VisitorError = {
  message: "TypeError: Cannot read properties of undefined (reading 'frames')",
  file: "timeline.js",
  line: 284,
  column: 31,
  stack: ["drawTicks", "renderTimeline", "onSeek"],
}

/** Errors that the app has from the start. */
export const appErrors: readonly (VisitorError & Weighted)[] = [
  {
    message: "ChunkLoadError: Loading chunk review failed.",
    file: "app.js",
    line: 12,
    column: 8,
    stack: ["loadChunk"],
    weight: 3,
  },
  {
    message: "AbortError: The operation was aborted.",
    file: "player.js",
    line: 151,
    column: 7,
    stack: ["fetchSegment", "seek"],
    weight: 5,
  },
]
