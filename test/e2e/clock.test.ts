import { afterAll, beforeAll, expect, test } from "bun:test"
import { eventually, openReader, type Server, startServer, temporaryFolder } from "../harness.ts"
import { buildClock, compiler, ownAhead, setAhead } from "../support/clock.ts"

const skipped = compiler ? "" : " (skipped: needs Linux and a C compiler)"

const year = 365 * 86_400
const folder = temporaryFolder()
const db = folder.file("test.db")
let env: { LD_PRELOAD: string; CLOCK_FILE: string }

beforeAll(() => {
  if (compiler) env = buildClock(folder.path)
})
afterAll(() => folder[Symbol.dispose]())

/** Sets the server's clock `ahead` seconds ahead of ours. */
function setClock(ahead: number): void {
  setAhead(env.CLOCK_FILE, ownAhead() + ahead)
}

async function send(server: Server, name: string, timestamp?: number): Promise<number> {
  const headers = { Authorization: `Bearer ${server.key}` }
  const body = JSON.stringify({ name, timestamp })
  return (await fetch(`${server.url}/track`, { method: "POST", headers, body })).status
}

function names(): unknown[] {
  const reader = openReader(db)
  try {
    return reader.prepare("select name from events order by id").pluck().all()
  } finally {
    reader.close()
  }
}

test.skipIf(!compiler)(
  `events stay in order of receipt if the clock is set, and retention does not act on a jump ahead${skipped}`,
  async () => {
    setClock(0)
    const first = await startServer({ db, env })
    try {
      expect(await send(first, "first")).toBe(200)
      expect(await send(first, "old", Date.now() - 80 * 86_400_000)).toBe(200)
      setClock(3 * year)
      expect(await send(first, "ahead")).toBe(200)
      setClock(-25 * year)
      expect(await send(first, "behind")).toBe(200)
      expect(await send(first, "right time", Date.now())).toBe(400)
      setClock(0)
      expect(await send(first, "last")).toBe(200)
      expect(names()).toEqual(["first", "old", "ahead", "behind", "last"])
    } finally {
      expect(await first.stop()).toBe(0)
    }
    setClock(3 * year)
    const second = await startServer({ db, env, args: ["--retain", "90d"] })
    try {
      await eventually(() => second.output().includes("will be deleted after the clock has run for a day"))
      // Only "behind" is deleted: it was received while the clock was 25 years behind.
      expect(names()).toEqual(["first", "old", "ahead", "last"])
    } finally {
      expect(await second.stop()).toBe(0)
    }
  },
)
