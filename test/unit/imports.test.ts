import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { Glob } from "bun"
import { repository } from "../support/repository.ts"

// Imports point one way. A folder may import itself and the layers before its own; those of one layer never import
// each other. Types count too: what only shares types is as hard to read apart as what shares code.
const layers = [
  ["src"],
  ["src/store"],
  ["src/columns"],
  ["src/query"],
  ["src/http", "src/export"],
  ["src/metrics"],
  ["src/track", "src/manage", "src/people", "src/saved", "src/ask", "src/health"],
  ["src/import"],
  ["src/docs"],
  // The dashboard's page: what it knows, what its pages share, and the pages, none of which imports another.
  ["src/dashboard/state"],
  ["src/dashboard/parts"],
  // What the overview shows of a website without events, and a page of its own.
  ["src/dashboard/install"],
  [
    "src/dashboard/overview",
    "src/dashboard/door",
    "src/dashboard/funnels",
    "src/dashboard/live",
    "src/dashboard/events",
    "src/dashboard/event",
    "src/dashboard/settings",
    "src/dashboard/people",
    "src/dashboard/person",
    "src/dashboard/retention",
    "src/dashboard/paths",
    "src/dashboard/goals",
    "src/dashboard/refusals",
  ],
  ["src/dashboard"],
  ["src/app.ts", "src/config.ts"],
  ["src/commands"],
  ["src/cli.ts"],
  ["src/main.ts"],
]

interface Import {
  from: string
  to: string
}

const files = [...new Glob("src/**/*.{ts,tsx}").scanSync(repository)].sort()
const imports: Import[] = files.flatMap((from) =>
  specifiers(readFileSync(join(repository, from), "utf8")).map((specifier) => ({
    from,
    to: specifier.startsWith(".")
      ? relative(repository, join(repository, dirname(from), specifier))
      : specifier,
  })),
)
const inner = imports.filter(({ to }) => to.startsWith("src/"))

/** Whatever follows `from`, `import`, `import(` or `require(` in quotes. */
function specifiers(source: string): string[] {
  return [...source.matchAll(/(?:\bfrom|\bimport|\brequire)[\s(]+["'`]([^"'`]+)/g)].map(
    (match) => match[1] ?? "",
  )
}

/** The most special name in `layers` that a file falls under, and the number of its layer. */
function place(file: string): { unit: string; layer: number } {
  const unit = layers.flat().includes(file) ? file : dirname(file)
  return { unit, layer: layers.findIndex((layer) => layer.includes(unit)) }
}

function pointsBack({ from, to }: Import): boolean {
  const [source, target] = [place(from), place(to)]
  return source.unit !== target.unit && source.layer <= target.layer
}

/** What a file imports, what that imports, and so on. */
function reach(file: string, seen: Set<string> = new Set()): Set<string> {
  for (const { from, to } of inner) {
    if (from !== file || seen.has(to)) continue
    seen.add(to)
    reach(to, seen)
  }
  return seen
}

const shown = ({ from, to }: Import) => `${from} imports ${to}`

test("better-sqlite3 is imported by src/store/native.ts and nothing else", () => {
  const users = imports.filter(({ to }) => to.startsWith("better-sqlite3")).map(({ from }) => from)
  expect([...new Set(users)]).toEqual(["src/store/native.ts"])
})

test("every file has its place in the layers", () => {
  expect(files.filter((file) => place(file).layer === -1)).toEqual([])
})

test("imports point from the commands to the nouns, never back", () => {
  expect(inner.filter(pointsBack).map(shown)).toEqual([])
})

test("src/http holds what several routes need, and nothing else", () => {
  const shared = files.filter((file) => dirname(file) === "src/http")
  const routes = [
    "src/track/route.ts",
    "src/manage/route.ts",
    "src/people/route.ts",
    "src/saved/route.ts",
    "src/ask/route.ts",
    "src/docs/route.ts",
    "src/dashboard/route.ts",
  ]
  const users = (file: string) => routes.filter((route) => reach(route).has(file))
  expect(shared.filter((file) => users(file).length < 2)).toEqual([])
})

test("no file imports itself by way of others", () => {
  expect(files.filter((file) => reach(file).has(file))).toEqual([])
})

test("the rules above see every way to import", () => {
  const source = `import a from "./a.ts"
import type { B } from './b.ts'
import "./c.ts"
export * from "./d.ts"
const e = require(\`./e/\${name}\`)
const f = await import("./f.ts")
import {
  g,
} from "./g.ts"`
  expect(specifiers(source)).toEqual([
    "./a.ts",
    "./b.ts",
    "./c.ts",
    "./d.ts",
    `./e/\${name}`,
    "./f.ts",
    "./g.ts",
  ])
  const rejected = [
    { from: "src/errors.ts", to: "src/store/keys.ts" },
    { from: "src/http/key.ts", to: "src/track/credential.ts" },
    { from: "src/track/event.ts", to: "src/manage/route.ts" },
    { from: "src/manage/route.ts", to: "src/track/answer.ts" },
    { from: "src/config.ts", to: "src/app.ts" },
    { from: "src/store/open.ts", to: "src/track/event.ts" },
    { from: "src/app.ts", to: "src/commands/serve.ts" },
  ]
  expect(rejected.filter(pointsBack)).toEqual(rejected)
})
