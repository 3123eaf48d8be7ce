import {
  appPages,
  cancelReasons,
  marketingPages,
  type Plan,
  plans,
  safariUploadError,
  signUpMethods,
} from "./app-data.ts"
import { AppVisit, type AppVisitContext, afterRelease, type Member } from "./app-visit.ts"
import { newVisitor, timeOfDay, type Visitor, visitorWith } from "./audience.ts"
import type { PeopleMaker, Person } from "./people.ts"
import { appSources, direct, type Source } from "./sources.ts"
import {
  dayMs,
  hourMs,
  minuteMs,
  stories,
  type Timeline,
  warmUpDays,
  weekdayFactor,
  work,
} from "./timeline.ts"
import { type Scene, serverEvent, Visit } from "./visit.ts"

/** Number of first-time visits on an average day at the start of the data. */
const dailyVisitors = 105
/** Share of visits with a sign-up, for a source whose `intent` is 1. */
const signUpShare = 0.12
/** Share of visitors without an account who return, and mean number of days until they do. */
const visitorReturns = { share: 0.22, days: 5 }
const trialDays = 14
/** Probability per day that a member stops using the app. */
const churn = { unused: 0.3, trial: 0.045, paid: 0.012 }
/** Probability per day that a paying member moves to the next plan. */
const upgradeShare = 0.004
/** The person whose first visit ends in an error. */
export const failedPerson = {
  id: "user_2300",
  name: "Nora Lindqvist",
  email: "nora.lindqvist@bluebird-films.example",
  company: "Bluebird Films",
}

/** Simulates visits to a subscription product for reviewing videos in teams, and the accounts of its members. */
export class App {
  readonly members: Member[] = []
  /** Visitors without an account who will return, by the day of their return. */
  readonly #returns = new Map<number, { visitor: Visitor; source: Source }[]>()
  /** Members whose invitation was accepted, by the day on which the invited person joins. */
  readonly #invited = new Map<number, Member[]>()
  #accounts = 2_310

  constructor(
    private readonly scene: Scene,
    private readonly people: PeopleMaker,
    private readonly timeline: Timeline,
  ) {}

  /** Simulates every day of the data. */
  run(): void {
    const { today, start } = this.timeline
    for (let day = start - warmUpDays * dayMs; day <= today; day += dayMs) this.#runDay(day)
    this.#runFailedPerson()
  }

  /** Simulates a visit by a member. */
  liveVisit(at: number): void {
    const active = this.members.filter(({ status }) => status !== "ended")
    if (active.length > 0) this.#useApp(this.scene.random.pick(active), at)
  }

  #runDay(day: number): void {
    const { random } = this.scene
    // People also read about software on weekends, but less often.
    const factor = (0.25 + 0.75 * weekdayFactor(work, day)) * this.timeline.growth(day)
    for (let left = random.count(dailyVisitors * factor); left > 0; left--) {
      this.#visitWebsite(newVisitor(random, "app"), random.weighted(appSources), day)
    }
    for (const { visitor, source } of take(this.#returns, day)) {
      this.#visitWebsite(visitor, random.chance(0.6) ? direct : source, day)
    }
    for (const inviter of take(this.#invited, day)) this.#join(inviter, day)
    // Skips members who join today.
    for (const member of this.members.filter(({ since, status }) => since < day && status !== "ended"))
      this.#runMember(member, day)
  }

  #visitWebsite(visitor: Visitor, source: Source, day: number): void {
    const { random } = this.scene
    const at = timeOfDay(random, day, work, visitor.ahead)
    const visit = new Visit(this.scene, { visitor, at, source: source.acquisition })
    visit.open(source === direct || random.chance(0.6) ? appPages.home : random.weighted(marketingPages))
    if (random.chance(source.bounce)) {
      visit.wait(3).leave()
      return
    }
    visit.wait(22)
    for (let left = random.count(1.5); left > 0; left--) {
      const page = random.weighted(marketingPages)
      visit.open(page).wait(26)
      if (page.path === appPages.pricing.path && random.chance(0.3))
        visit.track("pricing_toggled", { interval: random.pick(["month", "year"]) })
    }
    if (random.chance(0.04)) visit.outgoing("https://github.com/tidewell-example/sdk", "SDK on GitHub")
    if (random.chance(signUpShare * source.intent)) {
      this.#signUp(visit)
      return
    }
    visit.leave()
    if (!random.chance(visitorReturns.share)) return
    add(this.#returns, laterDay(day, random.wait(visitorReturns.days)), { visitor, source })
  }

  #signUp(visit: Visit): void {
    const { random } = this.scene
    const { visitor } = visit.options
    const { method } = random.weighted(signUpMethods)
    visit.open(appPages.signUp).wait(35)
    if (random.chance(method === "email" ? 0.25 : 0.08)) {
      visit.form(random.pick(["email", "password", "company"]), false).leave()
      return
    }
    const isAfter = visit.at >= this.timeline.at(stories.pricing)
    const plan = random.weighted(
      plans.map((one) => ({ ...one, weight: isAfter ? one.trials.after : one.trials.before })),
    )
    visit.form("company", true).track("signed_up", { plan: plan.name, method })
    const company = this.people.company()
    const member = this.#addMember({ ...this.people.employee(company), company, plan, visitor, at: visit.at })
    // With single sign-on, the address is already verified.
    const verifies = random.chance(method === "email" ? 0.84 : 0.97)
    if (!verifies) {
      visit.leave()
      member.status = "ended"
      return
    }
    visit.at += Math.floor(method === "email" ? random.around(2, 0.8) * minuteMs : 4_000)
    this.#startTrial(visit, member)
  }

  /** Simulates the first steps of a new member in the app, in the same visit as the sign-up. */
  #startTrial(visit: Visit, member: Member): void {
    const { random } = this.scene
    visit.identify(this.#identity(member, visit.at))
    visit.open(appPages.projects).track("email_verified").track("trial_started", { trial_days: trialDays })
    visit.wait(20)
    if (random.chance(0.24)) {
      visit.leave()
      return
    }
    visit.track("project_created", { template: random.pick(["blank", "blank", "commercial", "course"]) })
    visit.wait(30)
    const inApp = new AppVisit(visit, this.#appContext(member))
    if (random.chance(0.8)) inApp.upload()
    if (random.chance(0.22)) inApp.invite()
    visit.leave()
  }

  #addMember({
    at,
    ...member
  }: Person & { id?: string; company: string; plan: Plan; visitor: Visitor; at: number }): Member {
    const { random } = this.scene
    // People decide whether to buy in the first or last days of the trial.
    const decides = random.chance(0.3) ? 1 + random.fraction() * 4 : trialDays - random.fraction() * 3
    const added: Member = {
      id: `user_${++this.#accounts}`,
      ...member,
      status: "trial",
      since: at,
      decidesAt: at + Math.floor(decides * dayMs),
      isActivated: false,
      isPayer: true,
      habit: 0.12 + 0.42 * random.fraction(),
    }
    this.members.push(added)
    return added
  }

  #runMember(member: Member, day: number): void {
    const { random } = this.scene
    if (member.status === "trial" && member.decidesAt < day + dayMs) this.#endTrial(member)
    if (member.status === "ended") return
    const leaves = !member.isActivated ? churn.unused : member.status === "paid" ? churn.paid : churn.trial
    if (random.chance(leaves)) {
      this.#end(member, day)
      return
    }
    if (member.status === "paid" && member.isPayer && random.chance(upgradeShare)) this.#upgrade(member, day)
    if (!random.chance(member.habit * weekdayFactor(work, day))) return
    this.#useApp(member, timeOfDay(random, day, work, member.visitor.ahead))
  }

  #endTrial(member: Member): void {
    const { random } = this.scene
    const { plan, decidesAt: at } = member
    const isAfter = at >= this.timeline.at(stories.pricing)
    const buys = isAfter ? plan.buys.after : plan.buys.before
    if (!random.chance(buys * (member.isActivated ? 1 : 0.08))) {
      if (member.since + trialDays * dayMs > at + 2 * dayMs) {
        // The member decides again on the last day of the trial.
        member.decidesAt = member.since + trialDays * dayMs
        return
      }
      this.#serverEvent(member, "trial_expired", at)
      member.status = "ended"
      return
    }
    member.status = "paid"
    const interval = random.chance(0.28) ? "year" : "month"
    this.#serverEvent(member, "subscription_started", at, {
      amount: interval === "year" ? plan.amount * 10 : plan.amount,
      currency: "EUR",
      interval,
      seats: plan.seats,
    })
  }

  #end(member: Member, day: number): void {
    const { random } = this.scene
    // No event is sent for members who do not pay.
    if (member.status === "paid" && member.isPayer) {
      const { reason } = random.weighted(cancelReasons)
      this.#serverEvent(member, "subscription_canceled", day + 15 * hourMs, { reason })
    }
    member.status = "ended"
  }

  #upgrade(member: Member, day: number): void {
    const next = plans[plans.indexOf(member.plan) + 1]
    if (!next) return
    const from = member.plan.name
    member.plan = next
    this.#serverEvent(member, "plan_upgraded", day + 11 * hourMs, {
      from,
      amount: next.amount,
      currency: "EUR",
    })
  }

  #useApp(member: Member, at: number): void {
    new AppVisit(this.#appVisit(member, at, direct), this.#appContext(member)).useApp()
  }

  #appContext(member: Member): AppVisitContext {
    return {
      member,
      timeline: this.timeline,
      onInvitation: (at) =>
        add(this.#invited, laterDay(at - (at % dayMs), this.scene.random.wait(1.5)), member),
    }
  }

  /** Adds someone who accepts an invitation and joins the inviter's plan. */
  #join({ company, plan, status, decidesAt }: Member, day: number): void {
    const { random } = this.scene
    if (status === "ended") return
    const visitor = newVisitor(random, "app")
    const at = timeOfDay(random, day, work, visitor.ahead)
    const member = this.#addMember({ ...this.people.employee(company), company, plan, visitor, at })
    Object.assign(member, {
      status: "paid",
      isActivated: true,
      isPayer: false,
      decidesAt,
    } satisfies Partial<Member>)
    const visit = this.#appVisit(member, at, direct)
    visit
      .open(appPages.review)
      .track("invite_accepted")
      .wait(40)
      .track("comment_added", { on: "frame" })
      .leave()
  }

  /** Simulates the visit in which someone finds out that uploads do not work in Safari. The last event is the error. */
  #runFailedPerson(): void {
    const { random } = this.scene
    const at = this.timeline.at(stories.person)
    const visitor = visitorWith(random, "app", "Safari")
    const source = random.weighted(
      appSources.filter(({ acquisition }) => acquisition.utm_source === "google"),
    )
    const visit = new Visit(this.scene, { visitor, at, source: source.acquisition, isSampled: false })
    visit.open(appPages.home).wait(40).open(appPages.pricing).wait(70).open(appPages.signUp).wait(45)
    const [, team = plans[0]] = plans
    if (!team) return
    visit.track("signed_up", { plan: team.name, method: "email" })
    const member = this.#addMember({ ...failedPerson, plan: team, visitor, at: visit.at })
    visit.at += 2 * minuteMs
    visit.identify(this.#identity(member, visit.at))
    visit.open(appPages.projects).track("email_verified").track("trial_started", { trial_days: trialDays })
    visit.wait(25).track("project_created", { template: "commercial" }).wait(30)
    const file = { format: "mov", size_mb: 412 }
    visit.track("upload_started", file).wait(4).error(safariUploadError)
    visit.track("upload_failed", { ...file, reason: "stream_closed" }).wait(20)
    visit.track("upload_started", file).wait(4).error(safariUploadError)
  }

  #appVisit(member: Member, at: number, source: Source): Visit {
    const { visitor } = member
    return new Visit(this.scene, { visitor, at, source: source.acquisition, ...this.#identity(member, at) })
  }

  /** Returns the visit options that apply only to members. */
  #identity({ id, plan }: Member, at: number) {
    const release = this.timeline.release(at)
    return {
      profileId: id,
      shared: { plan: plan.name, release },
      sluggish: release === "v2.7" ? 1 : afterRelease.sluggish,
    }
  }

  #serverEvent(member: Member, name: string, at: number, properties: Record<string, unknown> = {}): void {
    const { id: profileId, visitor, plan } = member
    serverEvent(this.scene, { name, at, visitor, profileId, properties: { plan: plan.name, ...properties } })
  }
}

function laterDay(day: number, days: number): number {
  return day + Math.max(1, Math.round(days)) * dayMs
}

function add<Value>(byDay: Map<number, Value[]>, day: number, value: Value): void {
  const others = byDay.get(day)
  if (others) others.push(value)
  else byDay.set(day, [value])
}

function take<Value>(byDay: Map<number, Value[]>, day: number): readonly Value[] {
  const values = byDay.get(day) ?? []
  byDay.delete(day)
  return values
}
