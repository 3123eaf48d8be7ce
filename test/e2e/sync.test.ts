import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { eventually, type Server, startServer, temporaryFolder } from "../harness.ts"

const strace = Bun.which("strace")
const skipped = strace ? "" : " (skipped: needs strace)"

/** Returns the system calls of a server during `work`: writes to the WAL, its syncs, and responses to clients. */
async function traced(server: Server, file: string, work: () => Promise<void>): Promise<string[]> {
  const calls = "trace=pwrite64,pwritev,fsync,fdatasync,sendto,sendmsg,write,writev"
  const tracer = Bun.spawn(
    [strace as string, "-f", "-y", "-s", "400", "-e", calls, "-o", file, "-p", String(server.pid)],
    { stderr: "pipe" },
  )
  const errors = tracer.stderr.getReader()
  expect(Buffer.from((await errors.read()).value ?? []).toString()).toContain("attached")
  await work()
  tracer.kill("SIGINT")
  await tracer.exited
  return readFileSync(file, "utf8").split("\n")
}

/**
 * Returns for each successful response, in order, whether the WAL had been synced since the last write to it. Writes
 * and responses count when they begin, and syncs when they end. strace prints a call on two lines if another thread
 * makes a call in between.
 */
function answersAfterSync(calls: readonly string[]): boolean[] {
  const answers: boolean[] = []
  const syncing = new Set<string>()
  let syncs = 0
  let unsynced = false
  let syncsAtLastAnswer = 0
  for (const call of calls) {
    const thread = call.slice(0, call.indexOf(" "))
    if (/pwritev?(64)?\(\d+<[^>]*-wal>/.test(call)) unsynced = true
    if (/f(data)?sync\(\d+<[^>]*-wal>/.test(call)) syncing.add(thread)
    if (syncing.has(thread) && /f(data)?sync(\(| resumed).*= 0$/.test(call)) {
      syncing.delete(thread)
      unsynced = false
      syncs++
    }
    if (/(send\w*|writev?)\(/.test(call) && call.includes("custom_event")) {
      answers.push(!unsynced && syncs > syncsAtLastAnswer)
      syncsAtLastAnswer = syncs
    }
  }
  return answers
}

const cases = [
  {
    durability: "fsync",
    sentence: "no response leaves before the commit of its event has been synced",
    synced: true,
  },
  { durability: "os", sentence: "with --durability os, responses do not wait for the disk", synced: false },
]

for (const { durability, sentence, synced } of cases) {
  test.skipIf(!strace)(
    `${sentence}${skipped}`,
    async () => {
      using folder = temporaryFolder()
      const server = await startServer({ db: folder.file("test.db"), args: ["--durability", durability] })
      try {
        const calls = await traced(server, folder.file("trace"), async () => {
          for (let index = 0; index < 10; index++) {
            const answer = await fetch(`${server.url}/track`, {
              method: "POST",
              headers: { Authorization: `Bearer ${server.key}` },
              body: JSON.stringify({ name: "synced", properties: { index } }),
            })
            expect(answer.status).toBe(200)
          }
          await eventually(() => readFileSync(folder.file("trace"), "utf8").split("custom_event").length > 10)
        })
        expect(answersAfterSync(calls)).toEqual(Array(10).fill(synced))
      } finally {
        await server.stop()
      }
    },
    30_000,
  )
}
