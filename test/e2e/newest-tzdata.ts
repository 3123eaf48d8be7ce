// Run with `bun run test:tzdata`, and as part of test:targets. Checks that the built-in time zone rules are those of
// the newest package.
import pkg from "../../package.json" with { type: "json" }
import { rulesVersion } from "../../src/query/structures/tzdata.ts"

const name = "moment-timezone"
const own = pkg.dependencies[name]
const { stdout, success } = Bun.spawnSync(["npm", "view", name, "version"], { stderr: "ignore" })
const newest = stdout.toString().trim()
if (!success || newest === "") {
  process.stdout.write(`skipped: npm cannot look up ${name}\n`)
} else if (newest === own) {
  process.stdout.write(`time zone rules ${rulesVersion}: ${name} ${own} is the newest\n`)
} else {
  process.stderr.write(
    `time zone rules ${rulesVersion} are from ${name} ${own}, but the newest is ${newest}: bun add --exact ${name}\n`,
  )
  process.exit(1)
}
