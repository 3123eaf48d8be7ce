import { expect, test } from "bun:test"
import { createLog, type LogLevel } from "../../src/log.ts"

function linesOf(readable: boolean, level: LogLevel = "info") {
  const lines: string[] = []
  const log = createLog(
    (line) => lines.push(line),
    { level, readable },
    () => 0,
  )
  return { log, lines }
}

test("a JSON line starts with its time, level and message, which fields with the same names do not replace", () => {
  const { log, lines } = linesOf(false)
  log("warn", "the disk is nearly full", { level: "debug", free: 5, time: "never", message: "fine" })
  expect(lines).toEqual([
    '{"time":"1970-01-01T00:00:00.000Z","level":"warn","message":"the disk is nearly full","free":5}\n',
  ])
})

test("a readable line has its fields after the message", () => {
  const { log, lines } = linesOf(true)
  log("warn", "the disk is nearly full", { level: "debug", free: 5 })
  expect(lines).toEqual(['1970-01-01T00:00:00.000Z warn the disk is nearly full level="debug" free=5\n'])
})

test("lines below the level are left out", () => {
  const { log, lines } = linesOf(true, "warn")
  log("info", "started")
  log("error", "stopped")
  expect(lines).toEqual(["1970-01-01T00:00:00.000Z error stopped\n"])
})
