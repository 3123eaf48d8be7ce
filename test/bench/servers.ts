import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { binary } from "../support/binary.ts"
import { memoryOf } from "../support/memory.ts"

export interface RunningServer {
  url: string
  key: string
  /** Path of the database. The bare server does not create it. */
  db: string
  /** Current memory in MB. */
  memory: () => number
  /** CPU time used, in seconds. */
  cpu: () => number
  stop: () => Promise<void>
}

/** The servers to compare. Each listens on any free port and prints its address first. */
export const commands = {
  "bare Bun.serve": [process.execPath, join(import.meta.dir, "bare.ts")],
  "one commit a request": [process.execPath, join(import.meta.dir, "one-commit.ts")],
  "databuddy --durability os": [binary, "serve", "--port", "0", "--durability", "os"],
  databuddy: [binary, "serve", "--port", "0"],
  "databuddy --rate-limit 0": [binary, "serve", "--port", "0", "--rate-limit", "0"],
} as const

export type ServerName = keyof typeof commands

/** Ticks of CPU time per second, as Linux counts them in /proc. */
const ticksPerSecond = 100

export async function start(name: ServerName): Promise<RunningServer> {
  const folder = mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  const db = join(folder, "bench.db")
  const server = Bun.spawn([...commands[name]], {
    env: { ...process.env, DATABUDDY_DB: db },
    stdout: "pipe",
    stderr: "ignore",
  })
  const { url, key } = await readStartMessage(server.stdout)
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

/** Reads the server's output until it has printed its address and its key. */
async function readStartMessage(output: ReadableStream<Uint8Array>): Promise<{ url: string; key: string }> {
  let text = ""
  for await (const chunk of output) {
    text += Buffer.from(chunk).toString()
    const url = /http:\/\/[\d.]+:\d+/.exec(text)?.[0]
    const key = /dbdy_[\w-]{32}/.exec(text)?.[0]
    if (url && key) return { url, key }
  }
  throw new Error(`a server did not start; it printed: ${text}`)
}
