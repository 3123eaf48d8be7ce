import { runToEnd } from "../steps.ts"
import type { Db } from "./db/driver.ts"
import {
  hashIds,
  hashSeed,
  type IdChunk,
  idKinds,
  storeIdChunk,
  withoutIds,
  wordsPerHash,
} from "./identities.ts"
import { lastEventId, startOfNode } from "./node-ids.ts"
import { lastTextId, storedForms, storedFormsOf } from "./texts.ts"

/** Texts of IDs, by kind. */
export type IdTexts = Record<"visitors" | "profiles", Set<string>>

/** Determines how the steps of `eraseUnusedIds` run. */
interface Schedule {
  /** Runs `work` in a transaction, between other writes. */
  write: (work: () => void) => unknown
  sleep: (ms: number) => Promise<void>
}

/**
 * Number of row IDs per step of the scan, and number of chunks per step of the search. Each step blocks the thread for
 * about 5 ms.
 */
const rowsPerStep = 10_000
const chunksPerStep = 64
/** Pause between steps, in ms. */
const pause = 1

const sql = {
  /** Includes chunks from before a rebuild. */
  chunks: `
    select rowid, hashes from identities
    where rowid > :after and kind % 10 = :kind
    order by rowid
    limit ${chunksPerStep}`,
  chunk: "select kind, first, hashes, texts from identities where rowid = :rowid",
  uses: `
    select anonymous_id, profile_id from event_rows not indexed
    where id > :after and id <= :last
      and (anonymous_id in (select value from json_each(:visitors)) or profile_id in (select value from json_each(:profiles)))`,
  /** Makes readers and the sealer repeat their lookups of IDs. */
  changed: "update sealed set deleted = deleted + 1",
}

/** An ID in a chunk of `identities`. */
interface ChunkPosition {
  rowid: number
  index: number
  kind: keyof IdTexts
  text: string
}

/**
 * Overwrites the hashes and texts of IDs in `identities`, except for IDs that an event on any website has. If any of
 * the IDs is in `identities`, scans all events, which takes 0.2 s per million. Removes the IDs that are in use from
 * `ids`.
 */
export async function eraseUnusedIds(db: Db, ids: IdTexts, schedule: Schedule): Promise<void> {
  const positions = [
    ...(await positionsOf(db, "visitors", ids.visitors, schedule)),
    ...(await positionsOf(db, "profiles", ids.profiles, schedule)),
  ]
  if (positions.length === 0) return
  const last = lastEventId(db)
  let scanned = startOfNode(last)
  const lastText = lastTextId(db)
  const forms = await storedForms(db, ids.visitors, () => schedule.sleep(pause))
  while (scanned < last && ids.visitors.size + ids.profiles.size > 0) {
    const to = Math.min(scanned + rowsPerStep, last)
    removeUsed(db, ids, forms, scanned, to)
    scanned = to
    await schedule.sleep(pause)
  }
  await schedule.write(() => {
    // Also checks rows that have arrived since the last step.
    const newer = runToEnd(storedFormsOf(db, ids.visitors, lastText))
    removeUsed(db, ids, new Map([...forms, ...newer]), scanned, lastEventId(db))
    const unused = positions.filter(({ kind, text }) => ids[kind].has(text))
    for (const [rowid, inChunk] of Map.groupBy(unused, ({ rowid }) => rowid)) erase(db, rowid, inChunk)
    if (unused.length > 0) db.prepare(sql.changed).run()
  })
}

/**
 * Removes from `ids` the IDs used by rows with `after` < id <= `last`. `forms` maps the forms in which rows store
 * anonymous IDs to the IDs.
 */
function removeUsed(
  db: Db,
  ids: IdTexts,
  forms: ReadonlyMap<string | number, string>,
  after: number,
  last: number,
): void {
  if (ids.visitors.size + ids.profiles.size === 0) return
  const values = { visitors: JSON.stringify([...forms.keys()]), profiles: JSON.stringify([...ids.profiles]) }
  const rows = db
    .prepare(sql.uses)
    .raw()
    .iterate({ after, last, ...values })
  for (const [visitor, profile] of rows as Iterable<[string | number, string]>) {
    const text = forms.get(visitor)
    if (text !== undefined) ids.visitors.delete(text)
    ids.profiles.delete(profile)
  }
}

async function positionsOf(
  db: Db,
  kind: keyof IdTexts,
  ids: ReadonlySet<string>,
  { sleep }: Schedule,
): Promise<ChunkPosition[]> {
  const texts = [...ids]
  const hashes = hashIds(texts, hashSeed(db))
  const textOf = new Map(texts.map((text, index) => [keyOf(hashes, index), text]))
  const firstWords = new Set(texts.map((_, index) => hashes[index * wordsPerHash] as number))
  const positions: ChunkPosition[] = []
  const read = db.prepare(sql.chunks)
  for (let after = 0; texts.length > 0; ) {
    const chunks = read.all({ after, kind: idKinds.indexOf(kind) }) as { rowid: number; hashes: Uint8Array }[]
    for (const { rowid, hashes: bytes } of chunks) {
      const words = new Uint32Array(new Uint8Array(bytes).buffer)
      for (let index = 0; index < words.length / wordsPerHash; index++) {
        if (!firstWords.has(words[index * wordsPerHash] as number)) continue
        const text = textOf.get(keyOf(words, index))
        if (text !== undefined) positions.push({ rowid, index, kind, text })
      }
      after = rowid
    }
    if (chunks.length < chunksPerStep) break
    await sleep(pause)
  }
  return positions
}

/** Returns a key for the hash at an index. */
function keyOf(hashes: Uint32Array, index: number): string {
  return hashes.subarray(index * wordsPerHash, (index + 1) * wordsPerHash).join(" ")
}

/** Erases IDs in a chunk, except for IDs that a rebuild has moved since they were found. */
function erase(db: Db, rowid: number, positions: readonly ChunkPosition[]): void {
  const chunk = db.prepare(sql.chunk).get({ rowid }) as IdChunk | undefined
  if (!chunk) return
  const words = new Uint32Array(new Uint8Array(chunk.hashes).buffer)
  const hashes = hashIds(
    positions.map(({ text }) => text),
    hashSeed(db),
  )
  const same = positions.filter(({ index }, at) => keyOf(words, index) === keyOf(hashes, at))
  storeIdChunk(
    db,
    withoutIds(
      chunk,
      same.map(({ index }) => index),
    ),
  )
}
