import { expect, test } from "bun:test"
import { changeText } from "../../src/dashboard/components/charts/change.ts"
import { Format } from "../../src/dashboard/state/format.ts"

const format = new Format("en-GB", "UTC")

const changes: [change: string, value: number, previous: number, isRate: boolean, text: string][] = [
  ["an increase", 112, 100, false, "▲ 12%"],
  ["a decrease", 985, 1_000, false, "▼ 1.5%"],
  ["a count after 0", 3, 0, false, "new"],
  ["0 after 0", 0, 0, false, "0%"],
  ["a rate that increases", 27.5, 26, true, "▲ 1.5 points"],
  ["a rate that decreases by one point", 26, 27, true, "▼ 1 point"],
  ["a rate that increases by nearly one point", 27.04, 26, true, "▲ 1 point"],
  ["a rate that does not change", 27, 27, true, "0 points"],
]

test.each(changes)("%s is shown with its direction and unit", (_, value, previous, isRate, text) => {
  expect(changeText(value, previous, format, isRate)).toBe(text)
})
