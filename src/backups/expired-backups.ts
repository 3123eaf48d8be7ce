import type { Backup } from "./files.ts"

/**
 * Returns the files of the backups to delete: all except the newest `keep` backups. `newest`, the backup just created,
 * is never among them. Backups dated after `newest` were created while the clock was ahead, and count as the oldest.
 */
export function expiredBackups(backups: readonly Backup[], newest: Backup, keep: number): string[] {
  const others = backups.filter(({ file }) => file !== newest.file)
  const ahead = others.filter(({ at }) => at > newest.at)
  const before = others.filter(({ at }) => at <= newest.at)
  return [...ahead, ...before].slice(0, Math.max(0, others.length + 1 - keep)).map(({ file }) => file)
}
