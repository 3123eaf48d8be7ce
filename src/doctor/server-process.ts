import { readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs"

/** What /proc shows about a running server. */
export interface ServerProcess {
  /** The environment variables with which it was started. */
  env: NodeJS.ProcessEnv
  openFiles: { most: number; open: number }
  uid: number
  gid: number
}

/**
 * Reads /proc. Returns undefined on systems without it, and if the process belongs to another user, has more
 * capabilities than this one (such as for port 443), or does not serve `db`, as a process with the same id in another
 * container.
 */
export function readServerProcess(pid: number, db: string): ServerProcess | undefined {
  const folder = `/proc/${pid}`
  try {
    const files = readdirSync(`${folder}/fd`)
    const lock = realpathSync(`${db}-lock`)
    if (!files.some((file) => target(`${folder}/fd/${file}`) === lock)) return undefined
    const { uid, gid } = statSync(folder)
    const openFiles = { most: openFilesLimit(folder), open: files.length }
    return { env: parseEnvironment(readFileSync(`${folder}/environ`, "utf8")), openFiles, uid, gid }
  } catch {
    return undefined
  }
}

/** Returns the soft limit of open files of the process with this folder in /proc. */
export function openFilesLimit(folder: string): number {
  const [, soft] = /^Max open files +(\S+)/m.exec(readFileSync(`${folder}/limits`, "utf8")) ?? []
  return soft === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(soft)
}

/**
 * If this process runs as root, changes its user and groups to those of the server. A server can change its own
 * variables, so root must not read files or send credentials that they name. Returns false if that is not possible.
 */
export function dropPrivileges({ uid, gid }: ServerProcess): boolean {
  if (process.getuid?.() !== 0 || uid === 0) return true
  try {
    process.setgroups?.([])
    process.setgid?.(gid)
    process.setuid?.(uid)
  } catch {
    // Root cannot change its user in some containers.
  }
  return process.getuid() === uid
}

function parseEnvironment(variables: string): NodeJS.ProcessEnv {
  const pairs = variables.split("\0").map((variable): [string, string] => {
    const [name = "", ...value] = variable.split("=")
    return [name, value.join("=")]
  })
  return Object.fromEntries(pairs)
}

/** Returns the path to which a link points, or undefined if the file was closed in the meantime. */
function target(link: string): string | undefined {
  try {
    return readlinkSync(link)
  } catch {
    return undefined
  }
}
