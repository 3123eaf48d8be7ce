import { spareBytes } from "../backups/staging.ts"
import { size } from "../terminal/print.ts"
import type { CheckResult } from "./check-result.ts"
import type { DiagnosisSettings, Facts } from "./facts.ts"
import { dayMs, formatNumber } from "./format.ts"

/** Doctor reports a disk that will be full in fewer days than this. Getting a larger disk can take that long. */
const minDaysUntilFull = 30

/** Maximum length of a forecast in days. The rate of the last week says little about the more distant future. */
const maxForecastDays = 3_650

/**
 * Minimum number of events for a forecast. With fewer events, most of the file is the 200 KB of an empty database, so
 * the size per event would be meaningless.
 */
const minEventsForRate = 1_000

/**
 * Returns the number of days until the disk is so full that events are rejected, if events keep arriving at the current
 * rate. Returns null if that will not happen or is unknown.
 */
export function daysUntilFull(facts: Facts, settings: DiagnosisSettings): number | null {
  const { growth, freeBytes, files, backups, now } = facts
  if (!growth || growth.bytesPerEvent === null || growth.eventsPerDay === 0) return null
  if (growth.events < minEventsForRate) return null
  const onSameDisk = backups && "onDisk" in backups && backups.onDisk === "same" ? backups : undefined
  const copies = onSameDisk ? settings.backupKeep : 0
  const missing = onSameDisk ? Math.max(0, copies - onSameDisk.list.length) * (files[0]?.bytes ?? 0) : 0
  const room = freeBytes - settings.minFree - missing
  const days = Math.max(0, room) / (growth.eventsPerDay * growth.bytesPerEvent * (1 + copies))
  const { longestRetention: retention, oldest } = growth
  // After this many days, retention deletes about as many events as arrive.
  const grows = retention === undefined || oldest === null ? undefined : (oldest + retention - now) / dayMs
  return grows !== undefined && days > grows ? null : days
}

export function checkDisk(facts: Facts, settings: DiagnosisSettings): CheckResult[] {
  const { db, freeBytes, growth, files } = facts
  const about = "disk"
  const free = `${size(freeBytes)} free`
  if (freeBytes < settings.minFree) {
    const message = `${free}, less than the ${size(settings.minFree)} that --min-free reserves, so events are rejected`
    return [{ about, message, hint: "free space on the database's disk, enlarge it, or lower --min-free" }]
  }
  const isTooEarly = growth !== undefined && growth.events > 0 && growth.events < minEventsForRate
  const results: CheckResult[] = []
  const copied = files.filter(({ path }) => path === db || path === `${db}-wal`)
  const copy = copied.reduce((sum, { bytes }) => sum + bytes, spareBytes)
  if (freeBytes < copy) {
    results.push({
      about,
      message: `${free}, but a copy of the database takes ${size(copy)}, so an upgrade will fail because it starts with a copy`,
      hint: "free disk space; or back up to another disk and run `databuddy migrate --no-backup` when you upgrade",
    })
  }
  const days = daysUntilFull(facts, settings)
  const bytesPerEvent = growth?.bytesPerEvent
  const rate =
    growth && bytesPerEvent
      ? `, ${formatNumber(growth.eventsPerDay)} events per day at ${formatNumber(bytesPerEvent)} bytes each`
      : ", no events yet"
  if (isTooEarly) {
    const message = `${free}, too few events for a forecast yet`
    return [...results, { about, message }]
  }
  if (days === null || days > maxForecastDays) {
    const never =
      growth?.eventsPerDay && days === null ? "; enough for all events within the retention period" : ""
    const long = days === null ? never : "; it will take more than ten years to reach --min-free"
    return [...results, { about, message: `${free}${rate}${long}` }]
  }
  const message = `${free}${rate}; --min-free will be reached in ${formatNumber(days)} days, and events will then be rejected`
  if (days >= minDaysUntilFull) return [...results, { about, message }]
  const hint = "enlarge the disk, shorten --retain, lower --backup-keep, or move backups to another disk"
  return [...results, { about, message, hint }]
}
