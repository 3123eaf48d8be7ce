import { afterAll, beforeAll, expect } from "bun:test"
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

// Runs once in each process of `bun test`. The hooks run before and after each test file, or once for all files without
// --parallel. Each process gets its own temporary folder, which must be empty after each file. Processes that the tests
// start inherit it.

const folder = mkdtempSync(join(tmpdir(), "databuddy-tests-"))
process.env.TMPDIR = folder

/** Bun unpacks the addon of a compiled program as .bun-<uid>-<hash>.node, and never deletes it. */
const addon = /^\.bun-.*\.node$/

/** Upper limit for the time of a test file that depends on the date, in ms. On a busy machine, 105 s were measured. */
const longestFile = 150_000
const dayMs = 86_400_000

/** Waits until midnight (UTC) if it is near, because tests and pages use "today" and "yesterday". */
async function avoidMidnight(): Promise<void> {
  const beforeMidnight = dayMs - (Date.now() % dayMs)
  if (beforeMidnight < longestFile) await Bun.sleep(beforeMidnight)
}

await avoidMidnight()

// The hook of the previous file removed the folder, because a process does not know which of its files is the last.
beforeAll(() => void mkdirSync(folder, { recursive: true }))

afterAll(async () => {
  const left = readdirSync(folder).filter((name) => !addon.test(name))
  rmSync(folder, { recursive: true, force: true })
  // Tests must delete what they create in the temporary folder.
  expect(left).toEqual([])
  await avoidMidnight()
}, 2 * longestFile)
