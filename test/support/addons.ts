import { readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { repository } from "./repository.ts"

const prebuilds = join(repository, "node_modules/better-sqlite3/prebuilds")

/** The names of better-sqlite3's prebuilt addons, such as "linux-x64", whose bytes occur in a file. */
export function addonsIn(file: string): string[] {
  const content = readFileSync(file)
  return readdirSync(prebuilds)
    .filter((prebuild) => content.includes(readFileSync(join(prebuilds, prebuild))))
    .map((prebuild) => basename(prebuild, ".node"))
}
