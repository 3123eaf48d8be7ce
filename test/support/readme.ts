import { readFileSync } from "node:fs"
import { join } from "node:path"
import { repository } from "./repository.ts"

export const readme = readFileSync(join(repository, "README.md"), "utf8")

/** The README's code blocks in this language, in order. */
export function readmeBlocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, "gm"))].map(
    ([, text = ""]) => text,
  )
}
