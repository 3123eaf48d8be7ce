import { join } from "node:path"
import { isUpToDate } from "../../src/build.ts"
import { repository } from "./repository.ts"

/** The binary under test, built by `npm test` or `bun run build`. DATABUDDY_BINARY=path selects one of any version. */
export const binary = process.env.DATABUDDY_BINARY ?? join(repository, "databuddy")

if (process.env.DATABUDDY_BINARY === undefined && !isUpToDate(binary)) {
  throw new Error(
    `${binary} was not built from the current sources: run \`bun run build\` (or \`npm test\`) first`,
  )
}
