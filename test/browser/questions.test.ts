import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Browser, Page } from "playwright-core"
import { failedPerson } from "../../src/demo/app.ts"
import { eventuallyPasses, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { buildClock, compiler, setClock } from "../support/clock.ts"
import { type RunningDemo, startDemo } from "../support/demo.ts"
import { launch, listen, noBrowser, skipped } from "./browser.ts"

/** A Thursday, two weeks after the release of the 12th. */
const at = Date.UTC(2026, 10, 26, 15)

const viewport = { width: 1440, height: 900 }

/** What a newcomer does: clicks a link or button with a name, or types text into the focused field. */
/** `match`: text in the first match of the search dialog. */
type Action = { link: string } | { button: string } | { type: string; match?: string }

/** The demo opens with its other website, the shop. */
const openApp: Action[] = [{ button: "Website: Hearth & Pine" }, { link: "Tidewell" }]
const lastWeek: Action[] = [{ button: "Range: Last 30 days" }, { button: "Last 7 days" }]
const compare = "Compare before and after Release 2.8"

/** The panel also names a rollout in the same days, so that nobody attributes the rollout's effect to the release. */
const release =
  /Since 12 Nov: \W?Release 2\.8.*Also since then:20 Nov: \W?Uploads in chunks.*Worse.*Errors.*INP 1\d\d ms → \d+ ms/

/** This text is directly below the totals of the funnel. */
const bestPlan =
  /Completed.*vs\. [^.]*Best conversion by plan: Team, [\d.]+%\. In the previous period, it was Starter: [\d.]+%\..*Funnel steps/

/** Maximum number of actions until the answer is on the screen. */
const mostActions = 5

/**
 * Questions, each with several paths that a newcomer might try first. `answer`: text that is on the screen after the
 * actions. `focus`: the title of the panel that is then in view.
 */
const questions: {
  question: string
  paths: { name: string; actions: Action[]; answer: RegExp; focus?: string }[]
}[] = [
  {
    question: "what dropped last week, and why?",
    paths: [
      {
        name: "the overview",
        actions: [...openApp, { link: "Overview" }, ...lastWeek],
        answer: /529 → 318, almost entirely from Browser = Safari/,
      },
      {
        name: "the list of events",
        actions: [...openApp, { link: "Events" }, ...lastWeek],
        answer: /529 → 318, almost entirely from Browser = Safari/,
      },
      {
        name: "the start page",
        actions: [...openApp, ...lastWeek, { link: "Which events changed?" }],
        focus: "What changed",
        answer: /529 → 318, almost entirely from Browser = Safari/,
      },
    ],
  },
  {
    question: "which plan is bought most often after a trial, and has that changed?",
    paths: [
      {
        name: "funnels",
        actions: [...openApp, { link: "Funnels" }, { link: "Trial to subscription by plan" }],
        answer: bestPlan,
      },
      {
        name: "the search",
        actions: [...openApp, { button: "Search Ctrl K" }, { type: "trial by plan", match: "Saved view" }],
        answer: bestPlan,
      },
      {
        name: "the list of events",
        actions: [...openApp, { link: "Events" }, { link: "subscription_started" }],
        answer: /Events ▲ [\d.]+%.*, .*from plan = Team/,
      },
    ],
  },
  {
    question: "what did the person with this email do before the error?",
    paths: [
      {
        name: "people",
        actions: [...openApp, { link: "People" }, { type: failedPerson.email }, { link: "Nora Lindqvist" }],
        answer: /upload_failed/,
      },
      {
        name: "the search",
        actions: [
          ...openApp,
          { button: "Search Ctrl K" },
          { type: failedPerson.email, match: "Nora Lindqvist" },
        ],
        answer: /upload_failed/,
      },
      {
        name: "live events",
        actions: [
          ...openApp,
          { link: "Live" },
          { button: "Search Ctrl K" },
          { type: failedPerson.email, match: "Nora Lindqvist" },
        ],
        answer: /upload_failed/,
      },
    ],
  },
  {
    question: "is the release of the 12th better or worse?",
    paths: [
      {
        name: "the start page",
        actions: [...openApp, { link: compare }],
        answer: release,
      },
      {
        name: "the overview",
        actions: [...openApp, { link: "Overview" }, { link: compare }],
        answer: release,
      },
      {
        name: "web vitals",
        actions: [...openApp, { link: "Vitals" }, { link: compare }],
        answer: /INP\s*\d+ ms▲ \d+%.*more than the previous period.*was 1\d\d ms/,
      },
      {
        name: "errors",
        actions: [...openApp, { link: "Errors" }, { link: compare }],
        answer: /reading 'frames'.*new/,
      },
    ],
  },
]

describe.skipIf(noBrowser || !compiler)(`a newcomer asks the demo${skipped}`, () => {
  let folder: TemporaryFolder
  let demo: RunningDemo
  let browser: Browser
  beforeAll(async () => {
    folder = temporaryFolder()
    const clock = buildClock(folder.path)
    setClock(clock.CLOCK_FILE, at)
    demo = await startDemo(["--seed", "1", "--no-live"], clock)
    browser = await launch({ env: clock })
  })
  afterAll(async () => {
    await browser?.close()
    await demo?.[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  const run = async (page: Page, action: Action) => {
    if ("type" in action) {
      await page.locator("input:focus").waitFor()
      await page.keyboard.type(action.type)
      // In the search dialog, Enter opens the first match. Other fields search while the text is typed.
      const option = page.getByRole("option").first()
      if ((await page.getByRole("dialog").count()) === 0) return
      // On a busy machine, the results of the first characters are shown too. Their first match can be another person.
      await option.filter({ hasText: action.match ?? "" }).waitFor()
      await page.keyboard.press("Enter")
    } else if ("link" in action) {
      await page.getByRole("link", { name: action.link }).first().click()
    } else {
      await page.getByRole("button", { name: action.button }).click()
    }
  }

  const cases = questions.flatMap(({ question, paths }) =>
    paths.map(({ name, ...path }) => ({ title: `${question} From ${name}`, ...path })),
  )
  test.each(cases)("$title, the answer is at most five actions away", async ({ actions, answer, focus }) => {
    expect(actions.length).toBeLessThanOrEqual(mostActions)
    const context = await browser.newContext({
      viewport,
      locale: "en-GB",
      timezoneId: "UTC",
      reducedMotion: "reduce",
    })
    const page = await context.newPage()
    const faults = listen(page)
    await page.goto(demo.loginLink)
    for (const action of actions) await run(page, action)
    await page.waitForFunction(
      ([source = ""]) => new RegExp(source, "s").test(document.querySelector("main")?.textContent ?? ""),
      [answer.source],
    )
    if (focus !== undefined) {
      const panel = page.locator(".panel:has(h2:focus)", { hasText: focus })
      await eventuallyPasses(async () => {
        const { y, height } = (await panel.boundingBox()) ?? { y: -1, height: 0 }
        expect(y).toBeGreaterThan(0)
        expect(y + height).toBeLessThan(viewport.height)
      })
    }
    expect(faults).toEqual([])
    await context.close()
  })
})
