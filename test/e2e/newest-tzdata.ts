// bun run test:tzdata, and part of test:targets: whether the time zone rules that are built in are those of the newest package.
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
    `time zone rules ${rulesVersion} are of ${name} ${own}; the newest is ${newest}: bun add --exact ${name}\n`,
  )
  process.exit(1)
}
