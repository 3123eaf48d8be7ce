import {
  actions,
  appErrors,
  appPages,
  formats,
  type Plan,
  releaseError,
  safariUploadError,
  uploadFailures,
} from "./app-data.ts"
import type { Visitor } from "./audience.ts"
import type { Person } from "./people.ts"
import type { SeededRandom } from "./random.ts"
import { stories, type Timeline } from "./timeline.ts"
import type { Visit } from "./visit.ts"

/** From release 2.8 on: factor by which interactions are slower, and share of visits with an error. */
export const afterRelease = { sluggish: 2.7, errors: 0.08 }
const usualErrors = 0.05
/** Share of uploads that succeed, usually and in Safari after the rollout of chunked uploads. */
const uploadSuccess = { usual: 0.965, safari: 0.06 }

/** A person with an account. */
export interface Member extends Person {
  id: string
  visitor: Visitor
  company: string
  plan: Plan
  status: "trial" | "paid" | "ended"
  /** When the account was created, in Unix ms. */
  since: number
  /** When the trial ends or becomes a subscription, in Unix ms. */
  decidesAt: number
  /** True if the member has uploaded something or was invited to a project. */
  isActivated: boolean
  /** True if the member pays or decides whether to pay. False for people whom a member invited. */
  isPayer: boolean
  /** Probability of a visit on an average workday. */
  habit: number
}

export interface AppVisitContext {
  member: Member
  timeline: Timeline
  /** Called for each invitation that will be accepted. `at`: time of the invitation, in Unix ms. */
  onInvitation: (at: number) => void
}

/** What a member does in the app during a visit. */
export class AppVisit {
  readonly random: SeededRandom

  constructor(
    readonly visit: Visit,
    readonly context: AppVisitContext,
  ) {
    this.random = visit.scene.random
  }

  /** Simulates a complete visit to the app. */
  useApp(): void {
    const { visit, random } = this
    let page: (typeof actions)[number]["page"] = appPages.projects
    visit.open(page).wait(12)
    for (let left = 1 + random.count(3.4); left > 0; left--) {
      const action = random.weighted(actions)
      if (action.page !== page) {
        page = action.page
        visit.open(page).wait(15)
      }
      this.#act(action.name)
      visit.wait(38)
    }
    this.#meetErrors()
    visit.leave()
  }

  #act(name: (typeof actions)[number]["name"]): void {
    const { visit, random } = this
    switch (name) {
      case "upload":
        this.upload()
        return
      case "invite_sent":
        this.invite()
        return
      case "comment_added":
        visit.track(name, { on: random.pick(["frame", "frame", "range", "video"]) })
        return
      case "export_done": {
        const { format } = random.weighted(formats)
        visit.track(name, { format, duration_ms: Math.round(random.around(4_200, 0.5)) })
        return
      }
      case "review_requested":
        visit.track(name, { reviewers: random.integer(1, 4) })
        return
      default:
        visit.track(name)
    }
  }

  upload(): void {
    const { visit, random } = this
    const { member, timeline } = this.context
    const { format } = random.weighted(formats)
    const size = Math.round(random.around(180, 0.9))
    visit.track("upload_started", { format, size_mb: size })
    const isBroken = visit.at >= timeline.at(stories.rollout) && isSafari(member.visitor)
    if (random.chance(isBroken ? uploadSuccess.safari : uploadSuccess.usual)) {
      const seconds = random.around(size / 9, 0.4)
      visit
        .wait(seconds)
        .track("upload_done", { format, size_mb: size, duration_ms: Math.round(seconds * 1_000) })
      member.isActivated = true
      return
    }
    visit.wait(4)
    if (isBroken) visit.error(safariUploadError)
    const reason = isBroken ? "stream_closed" : random.weighted(uploadFailures).reason
    visit.track("upload_failed", { format, size_mb: size, reason })
    if (isBroken && random.chance(0.12)) visit.track("support_contacted", { topic: "upload" })
  }

  invite(): void {
    const { visit, random } = this
    visit.open(appPages.team).wait(10)
    visit.track("invite_sent", { role: random.pick(["editor", "reviewer", "reviewer"]) })
    if (random.chance(0.45)) this.context.onInvitation(visit.at)
  }

  #meetErrors(): void {
    const { visit, random } = this
    if (this.context.timeline.release(visit.at) !== "v2.7" && random.chance(afterRelease.errors)) {
      visit.open(appPages.review).wait(8).error(releaseError)
      // The error occurs with every mouse movement until the page is reloaded.
      for (let left = random.count(1); left > 0; left--) visit.wait(2).error(releaseError)
    } else if (random.chance(usualErrors)) visit.error(random.weighted(appErrors))
  }
}

function isSafari({ client }: Visitor): boolean {
  return client.browser_name === "Safari"
}
