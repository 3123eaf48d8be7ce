import { join } from "node:path"

export const repository = join(import.meta.dir, "../..")

/** The built program. `npm test` makes it before the tests run; by hand, `bun run build` does. */
export const binary = join(repository, "databuddy")
