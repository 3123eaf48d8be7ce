import { describe, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { Glob } from "bun"
import { readPage } from "../support/documentation.ts"
import { repository } from "../support/repository.ts"

// Files move, so documentation gets outdated. The targets of links, the anchors and the file names in it must exist.

const pages = ["*.md", "src/**/*.md", "test/**/*.md"]
  .flatMap((pattern) => [...new Glob(pattern).scanSync(repository)])
  .sort()
const has = (path: string) => existsSync(join(repository, path))
/** Build outputs, such as `dist/`, which do not exist in a fresh clone. */
const outputs = readFileSync(join(repository, ".gitignore"), "utf8").split(/\s+\/?/)

/** Targets of links and images. */
function links(page: string): string[] {
  return [...page.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^https?:/.test(target))
}

/** The anchors of headings, as GitHub generates them. */
function anchors(page: string): string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  )
}

/** Names of files and folders in backticks. They have the extension of a source file, or end with a slash. */
function files(page: string): string[] {
  const prose = page.replace(/^```[\s\S]*?^```/gm, "")
  return [...prose.matchAll(/`((?:[\w.-]+\/)*(?:[\w.-]+\.(?:tsx?|md|sql|css)|[\w.-]+\/))`/g)].map(
    ([, name = ""]) => name,
  )
}

test("there is documentation in the repository and next to the code", () => {
  expect(pages).toContain("README.md")
  expect(pages).toContain("src/columns/README.md")
})

describe.each(pages)("%s", (path) => {
  const page = readPage(path)
  const resolve = (target: string) => normalize(join(dirname(path), target))

  test("links to files and headings that exist", () => {
    const broken = links(page).filter((target) => {
      const [file = "", anchor] = target.split("#")
      const linked = file === "" ? path : resolve(file)
      return !has(linked) || (anchor !== undefined && !anchors(readPage(linked)).includes(anchor))
    })
    expect(broken).toEqual([])
  })

  test("names only files that exist, relative to the repository, the page's folder or src", () => {
    const places = ["", dirname(path), "src"]
    expect(
      files(page).filter(
        (name) => !outputs.includes(name) && !places.some((place) => has(join(place, name))),
      ),
    ).toEqual([])
  })
})

test("the paths of an event and of a query in src/README.md name files that exist", () => {
  const named = [...readPage("src/README.md").matchAll(/^ *([\w/-]+\.ts|[\w/-]+\/) {2,}/gm)].map(
    ([, name = ""]) => name,
  )
  expect(named.length).toBeGreaterThan(15)
  expect(named.filter((name) => !has(join("src", name)))).toEqual([])
})
