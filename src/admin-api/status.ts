import { statfsSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { eventKinds } from "../event-kinds.ts"
import { iso, isoOrNull } from "../iso.ts"
import type { BackupState, ShippingState } from "../metrics/metrics.ts"
import type { QueryEngine } from "../query/engine/engine.ts"
import type { GroupsQuery } from "../query/query.ts"
import type { Db } from "../store/db/driver.ts"
import type { Durability } from "../store/db/open.ts"
import type { Registry } from "../store/ingest/registry.ts"
import { withoutWebsite } from "../store/websites.ts"
import { version } from "../version.ts"
import { retainText } from "./input.ts"
import type { StatusJson } from "./status-schema.ts"

/** Configuration and state of the running server. */
export interface ServerState {
  /** Unix ms */
  startedAt: number
  durability: Durability
  /** Reserved disk space in bytes. */
  minFree: number
  /** Default retention period in ms. 0 means forever. */
  retain: number
  /** Scheduled backups to a folder. */
  backups: ScheduleState | undefined
  /** Scheduled backups to a bucket. */
  offsiteBackups: (ScheduleState & { url: string; isEncrypted: boolean }) | undefined
  /** The cluster to which events are shipped. */
  clickhouse: { name: string; state: Readonly<ShippingState> } | undefined
  /** The server from which the registry is copied. Undefined if this server has its own registry. */
  registry: { url: string; copiedAt: number; failure: string | undefined } | undefined
}

/** `every`: interval between backups in ms. */
interface ScheduleState {
  every: number
  keep: number
  state: Readonly<BackupState>
}

/**
 * 2200-01-01T00:00Z in Unix ms, which is later than any event. It is midnight, so that the range consists of whole
 * days, whose events are counted without reading them.
 */
const endOfTime = Date.UTC(2200, 0)

interface StatusDeps {
  db: Db
  queryEngine: QueryEngine<never>
  registry: Registry
  serverState: ServerState
}

/** Builds the response of GET /v1/status. `caller`: identifies the caller, so that its query is scheduled fairly. */
export async function statusOf(deps: StatusDeps, caller: string, signal: AbortSignal): Promise<StatusJson> {
  const { db, serverState } = deps
  const { startedAt, durability, minFree, retain, backups, offsiteBackups, clickhouse, registry } =
    serverState
  const { bavail, bsize } = statfsSync(dirname(db.name))
  return {
    version,
    startedAt: iso(startedAt),
    database: {
      bytes: sizeOf(db.name),
      walBytes: sizeOf(`${db.name}-wal`),
      events: await countEvents(deps, caller, signal),
    },
    disk: { freeBytes: bavail * bsize, minFreeBytes: minFree },
    retain: retainText(retain),
    backups: backups ? backupsJson(backups) : null,
    offsiteBackups: offsiteBackups
      ? {
          ...backupsJson(offsiteBackups),
          url: offsiteBackups.url,
          encrypted: offsiteBackups.isEncrypted,
        }
      : null,
    clickhouse: clickhouse ? clickhouseJson(clickhouse) : null,
    registry: registry
      ? {
          url: registry.url,
          copiedAt: isoOrNull(registry.copiedAt || null),
          failure: registry.failure ?? null,
        }
      : null,
    durability,
  }
}

function backupsJson({ every, keep, state }: ScheduleState): NonNullable<StatusJson["backups"]> {
  const hasOne = state.lastSuccess > 0
  return {
    everyMs: every,
    keep,
    newestAt: isoOrNull(state.lastSuccess || null),
    newestBytes: hasOne ? state.bytes : null,
    lastFailureAt: isoOrNull(state.lastFailure || null),
  }
}

function clickhouseJson({
  name,
  state,
}: NonNullable<ServerState["clickhouse"]>): NonNullable<StatusJson["clickhouse"]> {
  const { events, oldest, deletions } = state.lag()
  const removed = state.removed()
  return {
    url: name,
    backlogEvents: events,
    oldestUnshippedAt: isoOrNull(oldest),
    pendingDeletions: deletions,
    removedEvents: removed?.events ?? 0,
    missingEvents: removed?.missing ?? 0,
    localSince: isoOrNull(removed?.localSince ?? null),
    lastShippedAt: isoOrNull(state.lastSuccess || null),
    lastFailureAt: isoOrNull(state.lastFailure || null),
    failure: state.failure ?? null,
  }
}

/** Counts events from the column blocks in the query worker, because counting ten million rows takes a second. */
async function countEvents(
  { queryEngine, registry }: StatusDeps,
  caller: string,
  signal: AbortSignal,
): Promise<number> {
  const scope = {
    websites: [withoutWebsite, ...registry.websites().map(({ rid }) => rid)],
    from: 0,
    to: endOfTime,
    zone: "UTC",
    filters: [],
    crawlers: true,
    kinds: eventKinds,
  }
  const query: GroupsQuery = { kind: "groups", scope, by: [], measures: ["events"] }
  const client = { name: caller, isShared: false }
  const { result } = await queryEngine.admit(client, 0, signal, () => queryEngine.run(query, caller, signal))
  return result.groups[0]?.values[0] ?? 0
}

/** Returns the size of a file in bytes, or 0 if it does not exist. */
function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
