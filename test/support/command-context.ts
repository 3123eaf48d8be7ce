import { join } from "node:path"
import type { Context } from "../../src/terminal/context.ts"
import { repository } from "./repository.ts"

/** The context of a command or a schedule that runs in the test's process. `output` collects what it prints. */
export function commandContext(options: {
  now: () => number
  env: NodeJS.ProcessEnv
  output: { out: string; err: string }
  /** Settles when the process gets a signal. */
  stopSignal?: Promise<void>
}): Context {
  const { now, env, output } = options
  return {
    environment: {
      now,
      elapsed: () => performance.now(),
      random: (bytes) => crypto.getRandomValues(bytes),
      pid: process.pid,
    },
    newId: () => crypto.randomUUID(),
    memory: 1e9,
    program: [process.execPath, join(repository, "src/main.ts")],
    env,
    input: async () => "",
    out: (text) => {
      output.out += text
    },
    err: (text) => {
      output.err += text
    },
    outAndWait: async (text) => {
      output.out += text
    },
    outIsDiscarded: false,
    outIsTerminal: false,
    errIsTerminal: false,
    sleep: (ms) => Bun.sleep(ms),
    stopSignal: () => options.stopSignal ?? new Promise(() => {}),
    reloadSignal: () => () => {},
    atExit: () => {},
    ignoreSignals: () => {},
  }
}
