import { spawnSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { hostAddon } from "../../src/build.ts"
import { temporaryFolder } from "../harness.ts"
import { binary } from "./binary.ts"
import { repository } from "./repository.ts"

export type JailedProcess = Bun.Subprocess<"ignore", "pipe", "pipe">

/**
 * A folder that a program sees as `/`. It contains only our binary, the system libraries that the binary and its addon
 * load, empty folders /tmp and /data, and /proc, without which JavaScriptCore cannot find its stack and aborts.
 */
export interface Jail {
  readonly root: string
  /** Starts the binary in the jail. The process is the binary itself, so signals reach it. */
  start(args: readonly string[]): JailedProcess
  [Symbol.dispose](): void
}

// /proc is bound in a separate mount namespace, so it needs no unmount. Each command replaces the previous one (exec).
const enter = 'mount --rbind /proc "$0/proc" && exec chroot "$0" /databuddy "$@"'
/** The folder of `chroot` is often missing from a user's PATH. */
const env = { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` }
const asRoot = ["unshare", "--mount"]
const asUser = ["unshare", "--user", "--map-root-user", "--mount"]

/** The command that enters a jail on this machine, as root or in a user namespace. Undefined if neither works. */
export function jailCommand(): readonly string[] | undefined {
  if (process.platform !== "linux") return undefined
  return [asRoot, asUser].find((command) => {
    // A shell that cannot find chroot also returns 127, so look for chroot first.
    const probe =
      'command -v chroot && mkdir "$0/proc" && mount --rbind /proc "$0/proc" && { chroot "$0" /none; test $? = 127; }'
    using root = temporaryFolder()
    return (
      spawnSync(command[0] ?? "", [...command.slice(1), "sh", "-c", probe, root.path], { env }).status === 0
    )
  })
}

export function makeJail(command: readonly string[]): Jail {
  const root = mkdtempSync(join(tmpdir(), "databuddy-jail-"))
  for (const folder of ["tmp", "data", "proc"]) mkdirSync(join(root, folder))
  copyFileSync(binary, join(root, "databuddy"))
  const addon = join(repository, `node_modules/better-sqlite3/prebuilds/${hostAddon()}.node`)
  for (const library of [...libraries(binary), ...libraries(addon)]) {
    mkdirSync(join(root, dirname(library)), { recursive: true })
    copyFileSync(realpathSync(library), join(root, library))
  }
  return {
    root,
    start: (args) =>
      Bun.spawn([...command, "sh", "-c", enter, root, ...args], {
        env,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      }),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  }
}

function libraries(file: string): string[] {
  return (
    spawnSync("ldd", [file])
      .stdout.toString()
      .match(/\/\S+\.so\S*/g) ?? []
  )
}
