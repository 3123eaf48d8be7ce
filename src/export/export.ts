import { pipeline, Readable } from "node:stream"
import { createGzip } from "node:zlib"
import type { Db } from "../store/db/driver.ts"
import {
  EventReader,
  readLinks,
  readLinksFrom,
  readProfile,
  readProfiles,
  type StoredEvent,
} from "../store/event-reader.ts"
import { eventsOfPerson, idsOf, type Person } from "../store/forget.ts"
import type { Website } from "../store/websites.ts"
import { csvHeader, csvRow } from "./csv.ts"
import { type Counts, endLine, eventLine, firstLine, linkLine, profileLine, websiteLine } from "./lines.ts"
import { parquetOf } from "./parquet.ts"

export const formats = ["ndjson", "csv", "parquet"] as const
export type Format = (typeof formats)[number]

/** What is to be exported. Keys and salts never are. */
export interface Wanted {
  websites: readonly Website[]
  /** With the owner's own events, which belong to no website. */
  ownEvents: boolean
  /** Unix ms, from (included) and to (not included) when events happened; undefined: without a bound. */
  from: number | undefined
  to: number | undefined
}

/** A person of whom a website has something. */
export interface OnePerson {
  website: Website
  id: Person["id"]
  /** When it is asked, Unix ms. */
  now: number
  /** Waits between two looks for events, in which others have the thread. */
  sleep: (ms: number) => Promise<void>
}

/** How the work is spread out. */
export interface Steps {
  /** Events that are read in one step, some 5 µs each, in which the thread does nothing else. */
  rows: number
  /** Events in a row group of a Parquet file, and characters of their properties after which it ends earlier. It is encoded in one step too, some 10 µs an event and 10 ms a megabyte. */
  groupRows: number
  groupCharacters: number
  /** What is done between two steps. */
  rest: () => Promise<void> | undefined
  /** Told how many events were read in a step. */
  onRead?: (events: number) => void
}

/** What a file is made of: lines of websites, profiles and links, which only ndjson has, and events. */
interface Parts {
  lines: Iterable<{ kind: Exclude<keyof Counts, "events">; lines: string[] }>
  events: AsyncIterable<StoredEvent[]>
}

const eol = "\n"

/** The bytes of a file, some at a time. Memory holds one step of them; of Parquet, a row group. */
export function exportWanted(
  db: Db,
  wanted: Wanted,
  format: Format,
  steps: Steps,
): AsyncGenerator<Uint8Array> {
  const { websites, from = Number.MIN_SAFE_INTEGER, to = Number.MAX_SAFE_INTEGER } = wanted
  const ids = new Map<number, string | null>(websites.map(({ rid, id }) => [rid, id]))
  if (wanted.ownEvents) ids.set(0, null)
  const found = new EventReader(db, { websites: ids, from, to }).all(steps.rows)
  return fileOf({ lines: linesOf(db, websites), events: rested(found, steps) }, format, steps)
}

/** The same of one person: what `forgetPerson` would delete, so the links of an anonymous id without the profiles. */
export function exportPerson(
  db: Db,
  one: OnePerson,
  format: Format,
  steps: Steps,
): AsyncGenerator<Uint8Array> {
  const { website, id, now } = one
  const person = { websiteRid: website.rid, id }
  const [from, to] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
  const reader = new EventReader(db, { websites: new Map([[website.rid, website.id]]), from, to })
  async function* events() {
    for await (const ids of eventsOfPerson(db, person, now, one)) {
      yield* rested(reader.inSteps(ids, steps.rows), steps)
    }
  }
  const [profiles, links] =
    "profileId" in id
      ? readProfile(db, website.rid, id.profileId)
      : [[], readLinksFrom(db, website.rid, idsOf(db, person, now))]
  const lines = [
    { kind: "profiles" as const, lines: profiles.map((profile) => profileLine(website.id, profile)) },
    { kind: "links" as const, lines: links.map((link) => linkLine(website.id, link)) },
  ]
  return fileOf({ lines, events: events() }, format, steps)
}

/** As gzip. Compression runs in another thread. */
export function gzipped(bytes: AsyncIterable<Uint8Array>, level: number): AsyncIterable<Uint8Array> {
  const gzip = createGzip({ level })
  // Its errors come out of the iteration.
  pipeline(Readable.from(bytes, { objectMode: false, highWaterMark: 1 }), gzip, () => {})
  return gzip
}

function* linesOf(db: Db, websites: readonly Website[]): Parts["lines"] & Generator {
  yield { kind: "websites", lines: websites.map(websiteLine) }
  for (const { rid, id } of websites) {
    for (const some of readProfiles(db, rid)) {
      yield { kind: "profiles", lines: some.map((profile) => profileLine(id, profile)) }
    }
  }
  for (const { rid, id } of websites) {
    for (const some of readLinks(db, rid))
      yield { kind: "links", lines: some.map((link) => linkLine(id, link)) }
  }
}

async function* rested(
  steps: Iterable<StoredEvent[]>,
  { rest, onRead }: Steps,
): AsyncGenerator<StoredEvent[]> {
  for (const events of steps) {
    if (events.length > 0) yield events
    onRead?.(events.length)
    await rest()
  }
}

function fileOf(parts: Parts, format: Format, steps: Steps): AsyncGenerator<Uint8Array> {
  if (format === "csv") return csv(parts)
  if (format === "parquet") return parquetOf(parts.events, steps)
  return ndjson(parts, steps)
}

async function* ndjson({ lines, events }: Parts, { rest }: Steps): AsyncGenerator<Uint8Array> {
  const counts: Counts = { websites: 0, profiles: 0, links: 0, events: 0 }
  yield bytesOf([firstLine()])
  for (const part of lines) {
    counts[part.kind] += part.lines.length
    if (part.lines.length > 0) yield bytesOf(part.lines)
    await rest()
  }
  for await (const some of events) {
    counts.events += some.length
    yield bytesOf(some.map(eventLine))
  }
  yield bytesOf([endLine(counts)])
}

async function* csv({ events }: Parts): AsyncGenerator<Uint8Array> {
  yield bytesOf([csvHeader])
  for await (const some of events) yield bytesOf(some.map(csvRow))
}

function bytesOf(lines: string[]): Uint8Array {
  return Buffer.from(lines.join(eol) + eol)
}
