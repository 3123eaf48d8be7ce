import { RequestError } from "../errors.ts"
import type { Db } from "./db/driver.ts"
import type { WebsitePlace } from "./websites.ts"

/** An annotation: text, such as the name of a release, that charts show at a date. */
export interface Note {
  id: string
  place: WebsitePlace
  /** ID of the website. Null if the note is for events without a website or for all websites. */
  websiteId: string | null
  /** A date such as 2026-11-24. */
  date: string
  text: string
  /** In Unix ms. */
  createdAt: number
}

/** Maximum number of notes per website. One response lists them all, and more notes would make a chart unreadable. */
export const maxNotes = 1_000

const columns = "n.id, n.website_rid as place, w.id as websiteId, n.date, n.text, n.created_at as createdAt"
const from = "from notes as n left join websites as w on w.rid = n.website_rid"

const sql = {
  list: `
    select ${columns} ${from}
    where n.website_rid is :place or n.website_rid is null
    order by n.date desc, n.created_at desc, n.id`,
  find: `select ${columns} ${from} where n.id = :id`,
  count: "select count(*) from notes where website_rid is :place",
  insert: `
    insert into notes (id, website_rid, date, text, created_at)
    values (:id, :place, :date, :text, :now)`,
  update: "update notes set date = :date, text = :text where id = :id",
  remove: "delete from notes where id = :id",
}

/** Lists the notes of a website and the notes for all websites, newest first. */
export function listNotes(db: Db, place: WebsitePlace): Note[] {
  return db.prepare(sql.list).all({ place }) as Note[]
}

/** Returns a note. Throws `note_unknown` if it does not exist. */
export function findNote(db: Db, id: string): Note {
  const note = db.prepare(sql.find).get({ id }) as Note | undefined
  if (!note) throw new RequestError("note_unknown", { detail: `no note has the ID ${id}` })
  return note
}

/**
 * Creates a note. Throws `conflict` if its place (a website, events without a website, or all websites) already has the
 * maximum number of notes.
 */
export function createNote(
  db: Db,
  id: string,
  note: Pick<Note, "place" | "date" | "text">,
  now: number,
): Note {
  const { place } = note
  if ((db.prepare(sql.count).pluck().get({ place }) as number) >= maxNotes) {
    throw new RequestError("conflict", {
      detail: `there are already ${maxNotes} notes: delete some first`,
    })
  }
  db.prepare(sql.insert).run({ ...note, id, now })
  return findNote(db, id)
}

/** Changes a note and returns it. Throws `note_unknown` if it does not exist. */
export function updateNote(db: Db, id: string, changes: Partial<Pick<Note, "date" | "text">>): Note {
  const { date, text } = { ...findNote(db, id), ...changes }
  db.prepare(sql.update).run({ id, date, text })
  return findNote(db, id)
}

/** Deletes a note. Throws `note_unknown` if it does not exist. */
export function deleteNote(db: Db, id: string): void {
  db.prepare(sql.remove).run({ id: findNote(db, id).id })
}
