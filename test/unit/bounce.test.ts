import { expect, test } from "bun:test"
import { isBounce, pageSeconds } from "../../src/query/reports/bounce.ts"

const sessions: [
  sentence: string,
  views: number,
  hasOtherEvents: boolean,
  seconds: number,
  bounce: boolean,
][] = [
  ["one view of less than 10 s is a bounce", 1, false, 9.9, true],
  ["one view of 10 s is not a bounce", 1, false, 10, false],
  ["two views are not a bounce", 2, false, 1, false],
  ["a session without a view is not a bounce", 0, false, 0, false],
  ["one view with another event is not a bounce", 1, true, 1, false],
]

test.each(sessions)("%s", (_, views, hasOtherEvents, seconds, bounce) => {
  expect(isBounce(views, hasOtherEvents, seconds)).toBe(bounce)
})

const exits: [time: number | undefined, seconds: number][] = [
  [undefined, 0],
  [-1, 0],
  [12.5, 12.5],
  [90_000, 86_400],
]

test.each(exits)("a page with a time on page of %p was open for %d s", (time, seconds) => {
  expect(pageSeconds(time)).toBe(seconds)
})
