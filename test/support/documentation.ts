import { readFileSync } from "node:fs"
import { join } from "node:path"
import { repository } from "./repository.ts"

/** The text of a Markdown page; its path is relative to the repository. */
export function readPage(path: string): string {
  return readFileSync(join(repository, path), "utf8")
}

/** The code blocks of a page in the given language, in order. */
export function codeBlocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    ([, text = ""]) => text,
  )
}
