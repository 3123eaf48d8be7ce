import { existsSync, mkdirSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually } from "../harness.ts"
import { repository } from "./repository.ts"

// A real ClickHouse server for tests: the library of the npm package chdb, in a separate process.

const version = "3.4.0"
const home = join(tmpdir(), `databuddy-chdb-${version}`)
const library = join(home, "node_modules/@chdb/lib-linux-x64-gnu/libchdb.so")

export interface Engine {
  kill: () => Promise<void>
}

interface EngineOptions {
  /** Port of ClickHouse's own protocol, which shards use. */
  tcp?: number
  /** Path of a configuration file. */
  config?: string
}

/** Starts a server that keeps its data in `data`. Resolves when it responds to requests. */
export async function startEngine(
  data: string,
  port: number,
  { tcp, config }: EngineOptions = {},
): Promise<Engine> {
  const program = join(repository, "test/support/clickhouse-engine.ts")
  const ports = [port, tcp ?? (await freePort())].map(String)
  const more = config === undefined ? [] : [config]
  const child = Bun.spawn([process.execPath, program, library, data, ...ports, ...more], {
    stdio: ["ignore", "ignore", "inherit"],
  })
  const answers = async () => (await fetch(`http://127.0.0.1:${port}/ping`).catch(() => undefined))?.ok
  await eventually(answers, { timeout: 60_000 })
  const kill = async () => {
    child.kill("SIGKILL")
    await child.exited
  }
  return { kill }
}

/** Installs the library if it is missing. */
export function install(): void {
  if (existsSync(library)) return
  mkdirSync(home, { recursive: true })
  const { exitCode, stderr } = Bun.spawnSync([
    "npm",
    "install",
    "--prefix",
    home,
    "--no-audit",
    `chdb@${version}`,
  ])
  if (exitCode !== 0) throw new Error(`chdb ${version} cannot be installed: ${stderr}`)
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
}
