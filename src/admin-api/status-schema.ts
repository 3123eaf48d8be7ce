import { type Static, Type } from "@sinclair/typebox"
import { time, timeOrNull } from "../http/schema.ts"
import { maxCountedDeletions } from "../store/shipping.ts"

const bytes = (description: string) => Type.Integer({ minimum: 0, description })

const scheduledBackups = {
  everyMs: Type.Integer({ minimum: 1, description: "Interval between backups in ms" }),
  keep: Type.Integer({ minimum: 1, description: "Number of backups to keep" }),
  newestAt: timeOrNull("Start time of the newest backup; null: there is no backup"),
  newestBytes: Type.Union([Type.Null(), bytes("Size in bytes")], {
    description: "Size of the newest backup in bytes; null: there is no backup",
  }),
  lastFailureAt: timeOrNull("Time of the last failure since the server started; null: none"),
}

/** Response of GET /v1/status. */
export const statusSchema = Type.Object({
  version: Type.String({ description: "Version of databuddy" }),
  startedAt: time("Start time of the server"),
  database: Type.Object({
    bytes: bytes("Size of the database file"),
    walBytes: bytes("Size of the -wal file"),
    events: Type.Integer({ minimum: 0, description: "Events in the file, with and without a website" }),
  }),
  disk: Type.Object({
    freeBytes: bytes("Free space on the disk that holds the database"),
    minFreeBytes: bytes("Minimum free space for accepting events (--min-free)"),
  }),
  retain: Type.String({
    description: "Default retention period, such as 400d, or forever",
  }),
  backups: Type.Union([Type.Null(), Type.Object(scheduledBackups)], {
    description: "Scheduled backups to a folder (--backup-dir); null: no schedule",
  }),
  offsiteBackups: Type.Union(
    [
      Type.Null(),
      Type.Object({
        ...scheduledBackups,
        url: Type.String({ description: "Bucket and prefix, such as s3://my-bucket/databuddy/" }),
        encrypted: Type.Boolean({ description: "true: new backups are encrypted (--backup-key)" }),
      }),
    ],
    { description: "Scheduled backups to a bucket (--backup-to); null: no schedule" },
  ),
  clickhouse: Type.Union(
    [
      Type.Null(),
      Type.Object({
        url: Type.String({ description: "Cluster and database, such as https://host:8443/database" }),
        backlogEvents: Type.Integer({
          minimum: 0,
          description: "Approximate number of events that have not been shipped yet",
        }),
        oldestUnshippedAt: timeOrNull(
          "When the server received the oldest event that has not been shipped yet; null: all events are shipped",
        ),
        pendingDeletions: Type.Integer({
          minimum: 0,
          description: `Deleted events that the cluster still has; at most ${maxCountedDeletions} are counted`,
        }),
        removedEvents: Type.Integer({
          minimum: 0,
          description: "Events that were removed from the file (--keep-local): only the cluster has them",
        }),
        missingEvents: Type.Integer({
          minimum: 0,
          description:
            "Removed events that were missing in the cluster when the server last compared the numbers",
        }),
        localSince: timeOrNull("The file has all events from this time on; null: the file has all events"),
        lastShippedAt: timeOrNull("When the cluster last acknowledged events; null: never"),
        lastFailureAt: timeOrNull("Time of the last failure since the server started; null: none"),
        failure: Type.Union([Type.Null(), Type.String()], {
          description: "Why the last attempt to ship events failed; null: it succeeded",
        }),
      }),
    ],
    { description: "The ClickHouse cluster to which events are shipped (--clickhouse); null: none" },
  ),
  registry: Type.Union(
    [
      Type.Null(),
      Type.Object({
        url: Type.String({
          description: "URL of the server from which the websites, keys and users are copied",
        }),
        copiedAt: timeOrNull("When the copy was last found to be up to date; null: never"),
        failure: Type.Union([Type.Null(), Type.String()], {
          description: "Why the last attempt to copy from that server failed; null: it succeeded",
        }),
      }),
    ],
    {
      description:
        "The copy of the websites, keys and users of another server (--registry); null: this server has its own",
    },
  ),
  durability: Type.Union([Type.Literal("fsync"), Type.Literal("os")], {
    description: "fsync: events are synced to disk before they are acknowledged; os: handed to the kernel",
  }),
})

export type StatusJson = Static<typeof statusSchema>
