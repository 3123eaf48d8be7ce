import { RequestError } from "../errors.ts"
import type { Db } from "./db/driver.ts"
import type { WebsitePlace } from "./websites.ts"

/** A dashboard board. `Tile` is the type that src/boards validates. */
export interface Board<Tile> {
  id: string
  place: WebsitePlace
  /** ID of the website. Null if the board belongs to no website or to all websites. */
  websiteId: string | null
  name: string
  tiles: Tile[]
  /** Starts at 1 and increases with each change. */
  revision: number
  /** In Unix ms, like all `…At` fields. */
  createdAt: number
  updatedAt: number
}

/** A board as shown in lists. */
export interface BoardSummary extends Omit<Board<never>, "tiles"> {
  /** The website of each tile, or null for the website of the board. */
  tileWebsites: (string | null)[]
}

/** Maximum number of boards per website. One menu lists them all. */
export const maxBoards = 50

const columns = `
  b.id, b.website_rid as place, w.id as websiteId, b.name, b.revision, b.created_at as createdAt,
  b.updated_at as updatedAt`
const from = "from boards as b left join websites as w on w.rid = b.website_rid"

const sql = {
  list: `
    select ${columns},
      (select json_group_array(value ->> '$.websiteId') from json_each(b.tiles)) as tileWebsites ${from}
    where b.website_rid is :place
    order by b.name collate nocase, b.created_at, b.id`,
  find: `select ${columns}, b.tiles ${from} where b.id = :id`,
  tileWebsites: `
    select
      tile.value ->> '$.websiteId' as websiteId,
      exists (
        select 1 from json_each(tile.value, '$.query.parameters') as parameter, json_each(parameter.value, '$.by') as field
        where field.value = 'website_id'
      ) as isByWebsite
    from boards as b, json_each(b.tiles) as tile
    where b.id = :id and b.website_rid is null`,
  count: "select count(*) from boards where website_rid is :place",
  insert: `
    insert into boards (id, website_rid, name, tiles, revision, created_at, updated_at)
    values (:id, :place, :name, :tiles, 1, :now, :now)`,
  update: `
    update boards set name = :name, tiles = :tiles, revision = revision + 1, updated_at = :now
    where id = :id`,
  remove: "delete from boards where id = :id",
}

/** Lists boards, sorted by name. */
export function listBoards(db: Db, place: WebsitePlace): BoardSummary[] {
  const rows = db.prepare(sql.list).all({ place }) as (Omit<BoardSummary, "tileWebsites"> & {
    tileWebsites: string
  })[]
  return rows.map((row) => ({ ...row, tileWebsites: JSON.parse(row.tileWebsites) }))
}

/** Returns a board. Throws `board_unknown` if it does not exist. */
export function findBoard<Tile>(db: Db, id: string): Board<Tile> {
  const row = db.prepare(sql.find).get({ id }) as (Omit<Board<Tile>, "tiles"> & { tiles: string }) | undefined
  if (!row) throw new RequestError("board_unknown", { detail: `no board has the ID ${id}` })
  return { ...row, tiles: JSON.parse(row.tiles) }
}

/**
 * For a board that covers all websites, returns the IDs of the websites that its tiles select, or "all" if a tile
 * without a website is broken down by website. For other boards, returns an empty list.
 */
export function websitesNamedOn(db: Db, id: string): string[] | "all" {
  const tiles = db.prepare(sql.tileWebsites).all({ id }) as {
    websiteId: string | null
    isByWebsite: number
  }[]
  if (tiles.some(({ websiteId, isByWebsite }) => websiteId === null && isByWebsite === 1)) return "all"
  return tiles.flatMap(({ websiteId }) => websiteId ?? [])
}

/**
 * Creates a board. Throws `conflict` if its place (a website, events without a website, or all websites) already has
 * the maximum number of boards.
 */
export function createBoard<Tile>(
  db: Db,
  id: string,
  { place, name, tiles }: Pick<Board<Tile>, "place" | "name" | "tiles">,
  now: number,
): Board<Tile> {
  if ((db.prepare(sql.count).pluck().get({ place }) as number) >= maxBoards) {
    throw new RequestError("conflict", {
      detail: `there are already ${maxBoards} boards: delete some first`,
    })
  }
  db.prepare(sql.insert).run({ id, place, name, tiles: JSON.stringify(tiles), now })
  return findBoard(db, id)
}

/**
 * Updates a board. `revision` is the revision that the change is based on. If it is given and the board has changed
 * since, throws `conflict`. Throws `board_unknown` if the board does not exist.
 */
export function updateBoard<Tile>(
  db: Db,
  id: string,
  { revision, ...changes }: Partial<Pick<Board<Tile>, "name" | "tiles" | "revision">>,
  now: number,
): Board<Tile> {
  const board = findBoard<Tile>(db, id)
  if (revision !== undefined && revision !== board.revision) {
    throw new RequestError("conflict", {
      detail: `the board has changed since revision ${revision}: load it again and repeat the change`,
    })
  }
  const { name, tiles } = { ...board, ...changes }
  db.prepare(sql.update).run({ id, name, tiles: JSON.stringify(tiles), now })
  return findBoard(db, id)
}

/** Deletes a board. Throws `board_unknown` if it does not exist. */
export function deleteBoard(db: Db, id: string): void {
  db.prepare(sql.remove).run({ id: findBoard(db, id).id })
}
