import { pipeline, Readable } from "node:stream"
import { createGzip } from "node:zlib"
import type { Db } from "../store/db/driver.ts"
import { EventReader, type StoredEvent } from "../store/event-reader.ts"
import { eventsOfPerson, type Person, storedIdsOf } from "../store/forget.ts"
import { readLinks, readLinksOfVisitors, readProfile, readProfiles } from "../store/profile-reader.ts"
import { type Website, withoutWebsite } from "../store/websites.ts"
import { CompleteEvents, type ExportSource } from "./complete-events.ts"
import { csvHeader, csvRow } from "./csv.ts"
import type { Format } from "./formats.ts"
import { type Counts, endLine, eventLine, firstLine, linkLine, profileLine, websiteLine } from "./lines.ts"

/** What an export contains. Keys and salts are never exported. */
export interface ExportSelection {
  websites: readonly Website[]
  /** Includes events without a website. */
  includeWithoutWebsite: boolean
  /** Range of timestamps in Unix ms, `to` exclusive. Undefined if unbounded. */
  from: number | undefined
  to: number | undefined
}

/** Selects one person's data on one website. */
export interface PersonSelection {
  website: Website
  id: Person["id"]
  /** Time of the export in Unix ms. */
  now: number
  /** Waits this many ms. Called between searches for events, so that other work can run. */
  sleep: (ms: number) => Promise<void>
}

/** Step sizes of an export, which shares its thread with other work. */
export interface Steps {
  /** Number of events per step. A step blocks the thread for about 5 µs per event. */
  rows: number
  /**
   * Limits of a Parquet row group, in events and in characters of properties. Encoding a group blocks the thread for
   * about 10 µs per event and 10 ms per MB.
   */
  groupRows: number
  groupCharacters: number
  /** Called between steps. */
  pause: () => Promise<void> | undefined
  /** Called after each step with the number of events that it read. */
  onRead?: (events: number) => void
}

/** The content of an export. Only ndjson files contain `lines`: websites, profiles and links. */
interface Parts {
  lines: Iterable<{ kind: Exclude<keyof Counts, "events">; lines: string[] }>
  events: AsyncIterable<StoredEvent[]>
}

const eol = "\n"

/**
 * Exports events as a stream of bytes. Holds one step in memory, or one row group for Parquet. Rejects before the first
 * byte if selected events were removed from the file and the cluster cannot be read. If the cluster fails later, the
 * stream throws an error.
 */
export async function exportEvents(
  source: ExportSource,
  selection: ExportSelection,
  format: Format,
  steps: Steps,
): Promise<AsyncGenerator<Uint8Array>> {
  const { db } = source
  const { websites, from = Number.MIN_SAFE_INTEGER, to = Number.MAX_SAFE_INTEGER } = selection
  const ids = new Map<number, string | null>(websites.map(({ rid, id }) => [rid, id]))
  if (selection.includeWithoutWebsite) ids.set(withoutWebsite, null)
  const complete = new CompleteEvents(source, { websites: ids, from, to, person: undefined })
  await complete.check()
  const inFile = new EventReader(db, { websites: ids, from, to }).all(steps.rows)
  return fileOf({ lines: linesOf(db, websites), events: paced(complete.add(inFile), steps) }, format, steps)
}

/**
 * Exports the data that `forgetPerson` would delete. For an anonymous id, that includes links but no profiles. Fails
 * like `exportEvents`.
 */
export async function exportPerson(
  source: ExportSource,
  selection: PersonSelection,
  format: Format,
  steps: Steps,
): Promise<AsyncGenerator<Uint8Array>> {
  const { db } = source
  const { website, id, now } = selection
  const person = { websiteRid: website.rid, id }
  const storedIds = storedIdsOf(db, person, now)
  const [from, to] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
  const websites = new Map([[website.rid, website.id]])
  const complete = new CompleteEvents(source, { websites, from, to, person: { ...person, storedIds } })
  await complete.check()
  const reader = new EventReader(db, { websites, from, to })
  async function* inFile() {
    for await (const ids of eventsOfPerson(db, person, now, selection))
      yield* reader.inBatches(ids, steps.rows)
  }
  const [profiles, links] =
    "profileId" in id
      ? readProfile(db, website.rid, id.profileId)
      : [[], readLinksOfVisitors(db, website.rid, storedIds)]
  const lines = [
    { kind: "profiles" as const, lines: profiles.map((profile) => profileLine(website.id, profile)) },
    { kind: "links" as const, lines: links.map((link) => linkLine(website.id, link)) },
  ]
  return fileOf({ lines, events: paced(complete.add(inFile()), steps) }, format, steps)
}

/** Compresses a stream with gzip in another thread. */
export function gzipped(bytes: AsyncIterable<Uint8Array>, level: number): AsyncIterable<Uint8Array> {
  const gzip = createGzip({ level })
  // Errors are thrown by iterating over `gzip`.
  pipeline(Readable.from(bytes, { objectMode: false, highWaterMark: 1 }), gzip, () => {})
  return gzip
}

function* linesOf(db: Db, websites: readonly Website[]): Parts["lines"] {
  yield { kind: "websites", lines: websites.map(websiteLine) }
  for (const { rid, id } of websites) {
    for (const batch of readProfiles(db, rid)) {
      yield { kind: "profiles", lines: batch.map((profile) => profileLine(id, profile)) }
    }
  }
  for (const { rid, id } of websites) {
    for (const batch of readLinks(db, rid))
      yield { kind: "links", lines: batch.map((link) => linkLine(id, link)) }
  }
}

async function* paced(
  batches: AsyncIterable<StoredEvent[]>,
  { pause, onRead }: Steps,
): AsyncGenerator<StoredEvent[]> {
  for await (const events of batches) {
    if (events.length > 0) yield events
    onRead?.(events.length)
    await pause()
  }
}

function fileOf(parts: Parts, format: Format, steps: Steps): AsyncGenerator<Uint8Array> {
  if (format === "csv") return csv(parts)
  if (format === "parquet") return parquet(parts, steps)
  return ndjson(parts, steps)
}

async function* ndjson({ lines, events }: Parts, { pause }: Steps): AsyncGenerator<Uint8Array> {
  const counts: Counts = { websites: 0, profiles: 0, links: 0, events: 0 }
  yield bytesOf([firstLine()])
  for (const part of lines) {
    counts[part.kind] += part.lines.length
    if (part.lines.length > 0) yield bytesOf(part.lines)
    await pause()
  }
  for await (const batch of events) {
    counts.events += batch.length
    yield bytesOf(batch.map(eventLine))
  }
  yield bytesOf([endLine(counts)])
}

async function* csv({ events }: Parts): AsyncGenerator<Uint8Array> {
  yield bytesOf([csvHeader])
  for await (const batch of events) yield bytesOf(batch.map(csvRow))
}

/** Loads the encoder on demand, because few processes need it. */
async function* parquet({ events }: Parts, steps: Steps): AsyncGenerator<Uint8Array> {
  const { parquetOf } = await import("./parquet.ts")
  yield* parquetOf(events, steps)
}

function bytesOf(lines: string[]): Uint8Array {
  return Buffer.from(lines.join(eol) + eol)
}
