import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { binary } from "../support/binary.ts"
import { memoryOf } from "../support/memory.ts"

export interface RunningServer {
  url: string
  key: string
  /** The database, where there is one. */
  db: string
  /** MB of memory that it holds now. */
  memory: () => number
  /** Seconds of processor time that it has used. */
  cpu: () => number
  stop: () => Promise<void>
}

/** What is measured against each other; each listens on a port of its own choosing and prints its address first. */
export const commands = {
  "bare Bun.serve": [process.execPath, join(import.meta.dir, "bare.ts")],
  "one commit a request": [process.execPath, join(import.meta.dir, "one-commit.ts")],
  "databuddy --durability os": [binary, "serve", "--port", "0", "--durability", "os"],
  databuddy: [binary, "serve", "--port", "0"],
  "databuddy --rate-limit 0": [binary, "serve", "--port", "0", "--rate-limit", "0"],
} as const

export type Contestant = keyof typeof commands

/** Ticks of processor time in a second, as Linux counts them in /proc. */
const ticksPerSecond = 100

export async function start(contestant: Contestant): Promise<RunningServer> {
  const folder = mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  const db = join(folder, "bench.db")
  const server = Bun.spawn([...commands[contestant]], {
    env: { ...process.env, DATABUDDY_DB: db },
    stdout: "pipe",
    stderr: "ignore",
  })
  const { url, key } = await announcement(server.stdout)
  const proc = (file: string) => readFileSync(`/proc/${server.pid}/${file}`, "utf8")
  return {
    url,
    key,
    db,
    memory: () => memoryOf(server).now,
    cpu: () => {
      const fields = proc("stat").split(") ")[1]?.split(" ") ?? []
      return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
    },
    stop: async () => {
      server.kill("SIGTERM")
      await server.exited
      rmSync(folder, { recursive: true })
    },
  }
}

/** Reads what the server prints until it has said where it listens and, where it has one, its key. */
async function announcement(output: ReadableStream<Uint8Array>): Promise<{ url: string; key: string }> {
  let text = ""
  for await (const chunk of output) {
    text += Buffer.from(chunk).toString()
    const url = /http:\/\/[\d.]+:\d+/.exec(text)?.[0]
    const key = /dbdy_[\w-]{32}/.exec(text)?.[0]
    if (url && key) return { url, key }
  }
  throw new Error(`a server did not start; it printed: ${text}`)
}
