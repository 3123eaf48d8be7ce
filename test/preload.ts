import { afterAll, expect } from "bun:test"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

// Runs before each test file, or once where one process runs them all: a temporary folder for it alone, which has to be
// empty at its end. Processes that the tests start inherit it.

const folder = mkdtempSync(join(tmpdir(), "databuddy-tests-"))
process.env.TMPDIR = folder

/** Bun unpacks the addon of a compiled program as .bun-<uid>-<hash>.node, and never deletes it. */
const addon = /^\.bun-.*\.node$/

/** ms that a test file takes at most, as far as its dates matter: beside others on a busy machine, 105 s were measured. */
const longestFile = 150_000
const dayMs = 86_400_000

// Tests and pages say "today" and "yesterday": a file that begins just before midnight (UTC) begins after it instead.
const beforeMidnight = dayMs - (Date.now() % dayMs)
if (beforeMidnight < longestFile) await Bun.sleep(beforeMidnight)

afterAll(() => {
  const left = readdirSync(folder).filter((name) => !addon.test(name))
  rmSync(folder, { recursive: true, force: true })
  // What a test makes in the temporary folder it takes away.
  expect(left).toEqual([])
})
