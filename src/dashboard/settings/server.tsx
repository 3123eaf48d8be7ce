import type { StatusJson } from "../../admin-api/status-schema.ts"
import { CodeBlock } from "../components/controls/copy.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import { type Fact, Facts } from "./list.tsx"
import { SettingsPage } from "./settings-page.tsx"
import { retentionText } from "./website-form.tsx"

/** Approximate height in px of all panels together. The actual height varies with the data and the window's width. */
const skeletonHeight = 480

export function Server() {
  const { data, error, refetch } = useResource<StatusJson>("status")
  return (
    <SettingsPage name="server" title="Server">
      {error !== undefined ? (
        <Failure error={error} onRetry={refetch} />
      ) : data === undefined ? (
        <Skeleton height={skeletonHeight} />
      ) : (
        <>
          <Panel title="Backups">
            <Backups status={data} />
          </Panel>
          <Panel title="Database">
            <Database status={data} />
          </Panel>
          <Panel title="Process">
            <Process status={data} />
          </Panel>
        </>
      )}
    </SettingsPage>
  )
}

type Schedule = NonNullable<StatusJson["backups"]>

function Backups({ status: { backups, offsiteBackups } }: { status: StatusJson }) {
  if (!backups && !offsiteBackups) {
    return (
      <div class="settings-form prose">
        <p>
          <span class="badge bad">Off</span> This server does not create backups. To enable them, start it
          with a backup folder, preferably on another disk:
        </p>
        <CodeBlock name="Copy command" code="databuddy serve --backup-dir /var/backups/databuddy" />
        <p class="muted">
          You can also run <code>databuddy backup FILE</code> at any time, even while the server is running.
        </p>
      </div>
    )
  }
  return (
    <>
      {backups && <BackupSchedule schedule={backups} where="disk" facts={[]} />}
      {offsiteBackups && (
        <BackupSchedule
          schedule={offsiteBackups}
          where="bucket"
          facts={[
            ["Off-site backups", offsiteBackups.url, "wide"],
            ["Encryption", offsiteBackups.encrypted ? "On" : "Off"],
          ]}
        />
      )}
    </>
  )
}

/** The status of the backups in one destination. `facts` are shown first and describe the destination. */
function BackupSchedule({
  schedule: { everyMs, keep, newestAt, newestBytes, lastFailureAt },
  where,
  facts,
}: {
  schedule: Schedule
  where: "disk" | "bucket"
  facts: readonly Fact[]
}) {
  const { now } = useApp()
  const format = useFormat()
  const age = newestAt === null ? undefined : now() - Date.parse(newestAt)
  // A backup is late only after twice the interval, because the next one might still be in progress.
  const isLate = age !== undefined && age > 2 * everyMs
  const hasFailed = lastFailureAt !== null && (newestAt === null || lastFailureAt > newestAt)
  const name = where === "disk" ? "backup" : "off-site backup"
  return (
    <div class="settings-form wide">
      <p>
        {newestAt === null ? (
          <>
            <span class="badge bad">None yet</span>{" "}
            {!hasFailed && `The first ${name} starts shortly after the server starts.`}
          </>
        ) : (
          <>
            <span class={`badge ${isLate ? "bad" : "good"}`}>{isLate ? "Overdue" : "Up to date"}</span> Last{" "}
            {name} {format.ago(newestAt, now())}.
          </>
        )}
        {hasFailed &&
          ` The last attempt failed ${format.ago(lastFailureAt, now())}. See the server log for the reason.`}
        {isLate &&
          !hasFailed &&
          (where === "disk"
            ? " Check the server log and the free space on the backup disk."
            : " Check the server log and the bucket.")}
      </p>
      <Facts
        facts={[
          ...facts,
          ["Interval", format.duration(everyMs)],
          ["Backups kept", format.count(keep)],
          ...(newestAt === null ? [] : [["Last backup", format.time(newestAt)] as const]),
          ...(newestBytes === null ? [] : [["Backup size", format.bytes(newestBytes)] as const]),
        ]}
      />
    </div>
  )
}

function Database({ status: { database, disk, retain } }: { status: StatusJson }) {
  const format = useFormat()
  const isLow = disk.freeBytes < disk.minFreeBytes
  return (
    <>
      {isLow && (
        <p class="form-error">
          The disk is almost full. Events are rejected until you free disk space or lower --min-free.
        </p>
      )}
      <Facts
        facts={[
          ["Events", format.count(database.events)],
          ["Size", format.bytes(database.bytes)],
          ["WAL size", format.bytes(database.walBytes)],
          ["Free disk space", format.bytes(disk.freeBytes)],
          ["Reserved space", disk.minFreeBytes === 0 ? "None" : format.bytes(disk.minFreeBytes)],
          ["Data retention", `${retentionText(retain)}, unless set per website`, "wide"],
        ]}
      />
    </>
  )
}

function Process({ status: { version, startedAt, durability } }: { status: StatusJson }) {
  const { now, router } = useApp()
  const format = useFormat()
  return (
    <>
      <Facts
        facts={[
          ["Version", version],
          ["Uptime", format.duration(Math.max(0, now() - Date.parse(startedAt)))],
          ["Started", format.time(startedAt)],
          [
            "Durability",
            durability === "fsync"
              ? "fsync: events are acknowledged once they are on disk"
              : "os: events are acknowledged once they are passed to the operating system, before they are on disk",
            "wide",
          ],
        ]}
      />
      <p class="settings-docs">
        Everything on these pages is also available through the <a href={router.hrefOf("/docs")}>API</a>.
      </p>
    </>
  )
}
