import { RequestError } from "../errors.ts"
import type { Db } from "./db/driver.ts"
import type { WebsitePlace } from "./websites.ts"

/** Kinds of saved views. `view` is any page with its range and filters. */
export const viewKinds = ["view", "funnel", "retention", "paths", "goal"] as const

/** A saved page of the dashboard. */
export interface View {
  id: string
  place: WebsitePlace
  /** ID of the website. Null if the view is for events without a website or for all websites. */
  websiteId: string | null
  kind: (typeof viewKinds)[number]
  name: string
  /** The part of the address after the website, such as `funnels?step=…`. */
  path: string
  /** In Unix ms. */
  createdAt: number
}

/**
 * Maximum number of views per website. One response lists them all, and has 4 MB if all paths have the maximum length.
 */
export const maxViews = 1_000

const columns = `
  v.id, v.website_rid as place, w.id as websiteId, v.kind, v.name, v.path, v.created_at as createdAt`
const from = "from views as v left join websites as w on w.rid = v.website_rid"

const sql = {
  list: `
    select ${columns} ${from}
    where v.website_rid is :place and v.kind = coalesce(:kind, v.kind)
    order by v.name collate nocase, v.created_at, v.id`,
  find: `select ${columns} ${from} where v.id = :id`,
  count: "select count(*) from views where website_rid is :place",
  insert: `
    insert into views (id, website_rid, kind, name, path, created_at)
    values (:id, :place, :kind, :name, :path, :now)`,
  update: "update views set name = :name, path = :path where id = :id",
  remove: "delete from views where id = :id",
}

/** Lists views, sorted by name. If `kind` is given, lists only views of this kind. */
export function listViews(db: Db, place: WebsitePlace, kind?: View["kind"]): View[] {
  return db.prepare(sql.list).all({ place, kind: kind ?? null }) as View[]
}

/** Returns a view. Throws `view_unknown` if it does not exist. */
export function findView(db: Db, id: string): View {
  const view = db.prepare(sql.find).get({ id }) as View | undefined
  if (!view) throw new RequestError("view_unknown", { detail: `no saved view has the ID ${id}` })
  return view
}

/**
 * Creates a view. Throws `conflict` if its place (a website, events without a website, or all websites) already has the
 * maximum number of views.
 */
export function createView(
  db: Db,
  id: string,
  view: Pick<View, "place" | "kind" | "name" | "path">,
  now: number,
): View {
  const { place } = view
  if ((db.prepare(sql.count).pluck().get({ place }) as number) >= maxViews) {
    throw new RequestError("conflict", {
      detail: `there are already ${maxViews} saved views: delete some first`,
    })
  }
  db.prepare(sql.insert).run({ ...view, id, now })
  return findView(db, id)
}

/** Changes a view and returns it. Throws `view_unknown` if it does not exist. */
export function updateView(db: Db, id: string, changes: Partial<Pick<View, "name" | "path">>): View {
  const { name, path } = { ...findView(db, id), ...changes }
  db.prepare(sql.update).run({ id, name, path })
  return findView(db, id)
}

/** Deletes a view. Throws `view_unknown` if it does not exist. */
export function deleteView(db: Db, id: string): void {
  db.prepare(sql.remove).run({ id: findView(db, id).id })
}
