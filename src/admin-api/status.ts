import { statfsSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { iso, isoOrNull } from "../iso.ts"
import type { BackupState } from "../metrics/metrics.ts"
import type { QueryEngine } from "../query/engine/engine.ts"
import type { GroupsQuery } from "../query/query.ts"
import type { Db } from "../store/db/driver.ts"
import type { Durability } from "../store/db/open.ts"
import { version } from "../version.ts"
import { retainText } from "./input.ts"
import type { StatusJson } from "./schema.ts"

/** How the server was started, and how its backups go. */
export interface Running {
  /** Unix ms */
  startedAt: number
  durability: Durability
  /** Bytes to leave on the disk. */
  minFree: number
  /** ms that events are kept where their website does not say; 0: for ever. */
  retain: number
  /** Where they are made on a schedule; `every`: ms. */
  backups: { every: number; keep: number; state: Readonly<BackupState> } | undefined
}

/** 2200-01-01, Unix ms: no event is from later. Whole days are counted without looking at their events. */
const afterAll = Date.UTC(2200, 0)

/** `rids`: of all websites. */
export async function statusOf(
  db: Db,
  { startedAt, durability, minFree, retain, backups }: Running,
  asker: QueryEngine<never>,
  rids: readonly number[],
  caller: string,
  signal: AbortSignal,
): Promise<StatusJson> {
  const { bavail, bsize } = statfsSync(dirname(db.name))
  return {
    version,
    startedAt: iso(startedAt),
    database: {
      bytes: sizeOf(db.name),
      walBytes: sizeOf(`${db.name}-wal`),
      events: await countEvents(asker, rids, caller, signal),
    },
    disk: { freeBytes: bavail * bsize, minFreeBytes: minFree },
    retain: retainText(retain),
    backups: backups ? backupsJson(backups) : null,
    durability,
  }
}

function backupsJson({ every, keep, state }: NonNullable<Running["backups"]>): StatusJson["backups"] {
  const hasOne = state.lastSuccess > 0
  return {
    everyMs: every,
    keep,
    newestAt: isoOrNull(state.lastSuccess || null),
    newestBytes: hasOne ? state.bytes : null,
    lastFailureAt: isoOrNull(state.lastFailure || null),
  }
}

/** In the questions' thread, and from what the column blocks say of whole days: counting rows takes a second for ten million. */
async function countEvents(
  asker: QueryEngine<never>,
  rids: readonly number[],
  caller: string,
  signal: AbortSignal,
): Promise<number> {
  const ownEvents = 0
  const scope = {
    websites: [ownEvents, ...rids],
    from: 0,
    to: afterAll,
    zone: "UTC",
    filters: [],
    crawlers: true,
  }
  const question: GroupsQuery = { kind: "groups", scope, by: [], measures: ["events"] }
  const client = { name: caller, isShared: false }
  const { answer } = await asker.admit(client, 0, signal, () => asker.run(question, caller, signal))
  return answer.groups[0]?.values[0] ?? 0
}

/** 0 where there is none. */
function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
