import { afterAll, beforeAll, expect } from "bun:test"
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

// Runs once in each process of `bun test`, and its hooks before and after each test file (once for all files without
// --parallel): a temporary folder for the process alone, which has to be empty after each file. Processes that the tests
// start inherit it.

const folder = mkdtempSync(join(tmpdir(), "databuddy-tests-"))
process.env.TMPDIR = folder

/** Bun unpacks the addon of a compiled program as .bun-<uid>-<hash>.node, and never deletes it. */
const addon = /^\.bun-.*\.node$/

/** ms that a test file takes at most, as far as its dates matter: beside others on a busy machine, 105 s were measured. */
const longestFile = 150_000
const dayMs = 86_400_000

/** Tests and pages say "today" and "yesterday": a file that would begin just before midnight (UTC) begins after it instead. */
async function avoidMidnight(): Promise<void> {
  const beforeMidnight = dayMs - (Date.now() % dayMs)
  if (beforeMidnight < longestFile) await Bun.sleep(beforeMidnight)
}

await avoidMidnight()

// The previous file's hook removed it: no process knows which of its files is the last.
beforeAll(() => void mkdirSync(folder, { recursive: true }))

afterAll(async () => {
  const left = readdirSync(folder).filter((name) => !addon.test(name))
  rmSync(folder, { recursive: true, force: true })
  // What a test makes in the temporary folder it takes away.
  expect(left).toEqual([])
  await avoidMidnight()
}, 2 * longestFile)
