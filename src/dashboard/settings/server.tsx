import type { StatusJson } from "../../admin-api/schema.ts"
import { CodeBlock } from "../components/controls/copy.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Panel } from "../components/layout/panel.tsx"
import { Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useResource } from "../state/resource.ts"
import { Facts } from "./list.tsx"
import { SettingsPage } from "./settings-page.tsx"
import { retainWords } from "./website-form.tsx"

/** px of all panels: how high each is, only the answer and the window's width tell. */
const expected = 480

export function Server() {
  const { data, error, again } = useResource<StatusJson>("status")
  return (
    <SettingsPage name="server" title="Server">
      {error !== undefined ? (
        <Failure error={error} again={again} />
      ) : data === undefined ? (
        <Skeleton height={expected} />
      ) : (
        <>
          <Panel title="Backups">
            <Backups of={data.backups} />
          </Panel>
          <Panel title="Database">
            <Database of={data} />
          </Panel>
          <Panel title="Process">
            <Process of={data} />
          </Panel>
        </>
      )}
    </SettingsPage>
  )
}

function Backups({ of: backups }: { of: StatusJson["backups"] }) {
  const { now } = useApp()
  const format = useFormat()
  if (!backups) {
    return (
      <div class="settings-form prose">
        <p>
          <span class="badge bad">none</span> This server makes no backups by itself. Start it with a folder
          for them, best on another disk:
        </p>
        <CodeBlock name="Copy the command" code="databuddy serve --backup-dir /var/backups/databuddy" />
        <p class="muted">
          Or run <code>databuddy backup FILE</code> beside it, at any time.
        </p>
      </div>
    )
  }
  const { everyMs, keep, newestAt, newestBytes, lastFailureAt } = backups
  const age = newestAt === null ? undefined : now() - Date.parse(newestAt)
  // One may be under way.
  const isLate = age !== undefined && age > 2 * everyMs
  const hasFailed = lastFailureAt !== null && (newestAt === null || lastFailureAt > newestAt)
  return (
    <div class="settings-form whole">
      <p>
        {newestAt === null ? (
          <>
            <span class="badge bad">none yet</span>{" "}
            {!hasFailed && "The first one is made soon after the start."}
          </>
        ) : (
          <>
            <span class={`badge ${isLate ? "bad" : "good"}`}>{isLate ? "late" : "up to date"}</span> The
            newest was made {format.ago(newestAt, now())}.
          </>
        )}
        {hasFailed && ` The last try failed, ${format.ago(lastFailureAt, now())}: the server's log says why.`}
        {isLate && !hasFailed && " Look into the server's log, and whether the folder's disk has room."}
      </p>
      <Facts
        facts={[
          ["Every", format.duration(everyMs)],
          ["Kept", keep === 1 ? "the newest one" : `the newest ${keep}`],
          ...(newestAt === null ? [] : [["The newest", format.time(newestAt)] as const]),
          ...(newestBytes === null ? [] : [["Its size", format.bytes(newestBytes)] as const]),
        ]}
      />
    </div>
  )
}

function Database({ of: { database, disk, retain } }: { of: StatusJson }) {
  const format = useFormat()
  const isLow = disk.freeBytes < disk.minFreeBytes
  return (
    <>
      {isLow && (
        <p class="form-error">
          The disk is almost full: events are refused until there is room, or --min-free is lower.
        </p>
      )}
      <Facts
        facts={[
          ["Events", format.count(database.events)],
          ["Size", format.bytes(database.bytes)],
          ["Not yet moved into it (-wal)", format.bytes(database.walBytes)],
          ["Room on its disk", format.bytes(disk.freeBytes)],
          ["Room that is left free", disk.minFreeBytes === 0 ? "none" : format.bytes(disk.minFreeBytes)],
          ["Events are kept", `${retainWords(retain)}, where their website does not say`, "wide"],
        ]}
      />
    </>
  )
}

function Process({ of: { version, startedAt, durability } }: { of: StatusJson }) {
  const { now } = useApp()
  const format = useFormat()
  return (
    <>
      <Facts
        facts={[
          ["Version", version],
          ["Runs for", format.duration(Math.max(0, now() - Date.parse(startedAt)))],
          ["Started", format.time(startedAt)],
          [
            "Events are answered",
            durability === "fsync"
              ? "when the disk has them"
              : "when the system has them, before the disk (--durability os)",
            "wide",
          ],
        ]}
      />
      <p class="settings-docs">
        <a href="/docs">The API</a>: everything that these pages show can be asked for by a script.
      </p>
    </>
  )
}
