import { readFileSync } from "node:fs"
import { Database } from "../../src/store/db/driver.ts"

/** A place of a text in a database file. */
export interface TextInPage {
  /** The table or index of the page; "free" if it has none. */
  owner: string
  page: number
  /** `cells` includes freed cells, which `secure_delete` zeroes. */
  region: "leaf cells" | "interior cells" | "leaf unallocated" | "interior unallocated" | "overflow" | "free"
}

/** Finds every copy of a text in a database file without a -wal. See SQLite's "Database File Format", section 1.6. */
export function textInPages(path: string, text: string): TextInPage[] {
  const file = readFileSync(path)
  const db = new Database(path, { readonly: true })
  try {
    const pageSize = db.pragma("page_size", { simple: true }) as number
    const owners = db.prepare("select pageno, name, pagetype from dbstat").all() as {
      pageno: number
      name: string
      pagetype: string
    }[]
    const ownerOf = new Map(owners.map((row) => [row.pageno, row]))
    const found: TextInPage[] = []
    for (let at = file.indexOf(text); at >= 0; at = file.indexOf(text, at + 1)) {
      const page = Math.floor(at / pageSize) + 1
      const owner = ownerOf.get(page)
      const bytes = file.subarray((page - 1) * pageSize, page * pageSize)
      found.push({
        owner: owner?.name ?? "free",
        page,
        region: regionOf(bytes, at % pageSize, owner?.pagetype),
      })
    }
    return found
  } finally {
    db.close()
  }
}

function regionOf(page: Buffer, at: number, type: string | undefined): TextInPage["region"] {
  if (type !== "leaf" && type !== "internal") return type === "overflow" ? "overflow" : "free"
  const level = type === "leaf" ? "leaf" : "interior"
  return at < page.readUInt16BE(5) ? `${level} unallocated` : `${level} cells`
}
