import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { Glob } from "bun"
import { repository } from "../support/repository.ts"

// Imports point in one direction. A file can import from its own folder and from earlier layers. Folders in the same
// layer never import each other. Imports of types count too, because modules that share only types are as hard to
// understand separately as modules that share code.
const layers = [
  ["src"],
  ["src/store/db"],
  ["src/store"],
  ["src/store/ingest"],
  ["src/store/store.ts"],
  ["src/columns"],
  ["src/query"],
  ["src/query/structures"],
  ["src/query/scan"],
  ["src/query/aggregate"],
  ["src/query/reports"],
  ["src/query/engine"],
  ["src/http", "src/export"],
  // The script that pages load, and its routes.
  ["src/tracker/page"],
  ["src/tracker"],
  ["src/metrics"],
  ["src/ingest", "src/admin-api", "src/users", "src/saved", "src/query-api", "src/health"],
  ["src/registry"],
  // Board tiles contain queries of the query API.
  ["src/boards"],
  ["src/import"],
  ["src/clickhouse"],
  ["src/clickhouse/query"],
  ["src/openapi"],
  // The dashboard: its state, shared components, and its pages, which do not import each other.
  ["src/dashboard/state"],
  ["src/dashboard/components/controls"],
  ["src/dashboard/components/people"],
  ["src/dashboard/components/saved"],
  ["src/dashboard/components/charts"],
  ["src/dashboard/components/layout"],
  // A page, which the overview also shows for a website without events.
  ["src/dashboard/install"],
  // Shown by the pages Web and Overview if all websites are selected.
  ["src/dashboard/websites"],
  [
    "src/dashboard/web",
    "src/dashboard/overview",
    "src/dashboard/login",
    "src/dashboard/funnels",
    "src/dashboard/live",
    "src/dashboard/events",
    "src/dashboard/event",
    "src/dashboard/errors",
    "src/dashboard/vitals",
    "src/dashboard/engagement",
    "src/dashboard/settings",
    "src/dashboard/people",
    "src/dashboard/person",
    "src/dashboard/retention",
    "src/dashboard/paths",
    "src/dashboard/goals",
    "src/dashboard/rejected-requests",
  ],
  // Board tiles show funnels and retention in the same way as their pages.
  ["src/dashboard/boards"],
  ["src/dashboard"],
  ["src/flag-values.ts"],
  ["src/app.ts", "src/serve-options.ts"],
  ["src/flag-variables.ts"],
  ["src/terminal"],
  ["src/backups"],
  ["src/doctor"],
  ["src/update"],
  ["src/server"],
  ["src/demo", "src/acme"],
  ["src/commands"],
  ["src/cli.ts"],
  ["src/main.ts"],
  ["src/release"],
  ["src/build.ts"],
  ["src/release/release.ts"],
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

/** The quoted texts after `from`, `import`, `import(` or `require(`. */
function specifiers(source: string): string[] {
  return [...source.matchAll(/(?:\bfrom|\bimport|\brequire)[\s(]+["'`]([^"'`]+)/g)].map(
    (match) => match[1] ?? "",
  )
}

/** The entry of `layers` for a file, or else for its folder, and the index of its layer. */
function place(file: string): { unit: string; layer: number } {
  const unit = layers.flat().includes(file) ? file : dirname(file)
  return { unit, layer: layers.findIndex((layer) => layer.includes(unit)) }
}

function pointsBack({ from, to }: Import): boolean {
  const [source, target] = [place(from), place(to)]
  return source.unit !== target.unit && source.layer <= target.layer
}

/** The transitive imports of a file. */
function reach(file: string, seen: Set<string> = new Set()): Set<string> {
  for (const { from, to } of inner) {
    if (from !== file || seen.has(to)) continue
    seen.add(to)
    reach(to, seen)
  }
  return seen
}

const transpiler = new Bun.Transpiler({ loader: "ts" })

/** The transitive imports that are evaluated with a file, without types and dynamic imports. */
function loadedWith(file: string, seen: Set<string> = new Set()): Set<string> {
  for (const { path, kind } of transpiler.scanImports(readFileSync(join(repository, file), "utf8"))) {
    const to = path.startsWith(".") ? relative(repository, join(repository, dirname(file), path)) : path
    if (kind === "dynamic-import" || seen.has(to)) continue
    seen.add(to)
    if (to.startsWith("src/") && to.endsWith(".ts")) loadedWith(to, seen)
  }
  return seen
}

/** The packages that are evaluated with a file. */
function packagesLoadedWith(file: string): string[] {
  return [...loadedWith(file)]
    .filter((to) => !/^(?:node:|bun:|src\/|migrations\/|package\.json$)/.test(to))
    .sort()
}

const shown = ({ from, to }: Import) => `${from} imports ${to}`

test("better-sqlite3 is imported by src/store/db/driver.ts and nothing else", () => {
  const users = imports.filter(({ to }) => to.startsWith("better-sqlite3")).map(({ from }) => from)
  expect([...new Set(users)]).toEqual(["src/store/db/driver.ts"])
})

test("every file belongs to a layer", () => {
  expect(files.filter((file) => place(file).layer === -1)).toEqual([])
})

test("every import points to the same folder or to an earlier layer", () => {
  expect(inner.filter(pointsBack).map(shown)).toEqual([])
})

test("src/http contains only code that several routes need", () => {
  const shared = files.filter((file) => dirname(file) === "src/http")
  const routes = [
    "src/ingest/route.ts",
    "src/admin-api/route.ts",
    "src/users/route.ts",
    "src/saved/route.ts",
    "src/boards/route.ts",
    "src/query-api/route.ts",
    "src/openapi/route.ts",
    "src/dashboard/route.ts",
    "src/tracker/route.ts",
    "src/metrics/route.ts",
    "src/registry/route.ts",
  ]
  const users = (file: string) => routes.filter((route) => reach(route).has(file))
  expect(shared.filter((file) => users(file).length < 2)).toEqual([])
})

describe("at the start,", () => {
  test("a command does not load the modules of other commands", () => {
    expect([...loadedWith("src/main.ts")].filter((file) => file.startsWith("src/commands/"))).toEqual([
      "src/commands/completions.ts",
    ])
    expect(packagesLoadedWith("src/main.ts")).toEqual(["commander"])
  })

  test("only commands that run a server load routes, and no command loads the Parquet encoder", () => {
    const commands = files.filter((file) => dirname(file) === "src/commands")
    const servers = commands.filter((file) => packagesLoadedWith(file).includes("elysia"))
    expect(servers).toEqual(["src/commands/demo.ts", "src/commands/serve.ts"])
    expect(commands.filter((file) => packagesLoadedWith(file).includes("hyparquet-writer"))).toEqual([])
  })

  test("a server does not load the documentation of its API", () => {
    expect([...loadedWith("src/commands/serve.ts")]).not.toContain("src/openapi/openapi.ts")
  })

  test.each([
    [
      "src/query-api/worker.ts",
      ["@sinclair/typebox", "better-sqlite3", "moment-timezone/data/packed/latest.json"],
    ],
    ["src/backups/copy-worker.ts", ["better-sqlite3"]],
    ["src/clickhouse/shipping-worker.ts", ["@clickhouse/client", "better-sqlite3"]],
  ])("%s loads only the packages that it uses", (worker, packages) => {
    expect(packagesLoadedWith(worker)).toEqual(packages)
  })
})

test("there are no import cycles", () => {
  expect(files.filter((file) => reach(file).has(file))).toEqual([])
})

test("the rules above cover every kind of import", () => {
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
    { from: "src/query/structures/id-set.ts", to: "src/query/reports/funnel.ts" },
    { from: "src/http/key.ts", to: "src/ingest/credential.ts" },
    { from: "src/ingest/event.ts", to: "src/admin-api/route.ts" },
    { from: "src/admin-api/route.ts", to: "src/ingest/responses.ts" },
    { from: "src/serve-options.ts", to: "src/app.ts" },
    { from: "src/store/db/open.ts", to: "src/ingest/event.ts" },
    { from: "src/app.ts", to: "src/commands/serve.ts" },
  ]
  expect(rejected.filter(pointsBack)).toEqual(rejected)
})
