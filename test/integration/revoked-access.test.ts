import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Database, type Db } from "../../src/store/db/driver.ts"
import { migrate } from "../../src/store/db/migrate.ts"
import { endKeyOverlap, listKeys, rotateKey } from "../../src/store/keys.ts"
import { applyRevocations, findRevokedAccess } from "../../src/store/revoked-access.ts"
import { listShares, rotateShare, updateShare } from "../../src/store/shares.ts"
import { updateUser } from "../../src/store/users.ts"

const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
const schema = readFileSync(join(import.meta.dir, "../fixtures/schema-0020.sql"), "utf8")
/** The id of a viewer in that schema's data, who is not limited to sections. */
const viewer = "4f0c1a52-7d52-4c39-9d6c-2a5f3f4e9c11"

function open(isMigrated: boolean): Db {
  const db = new Database(":memory:")
  db.exec(schema)
  db.prepare("update users set password = 'hash' where id = ?").run(viewer)
  if (isMigrated) migrate(db, "test.db", 0)
  return db
}

const hashesOf = (db: Db, table: "keys" | "shares") =>
  db
    .prepare(table === "keys" ? "select hex(hash) from keys" : "select hex(hash) from shares")
    .pluck()
    .all()

test("a backup from before sections and overlaps gets the new secrets, but no wider access", () => {
  const [backup, current] = [open(false), open(true)]
  const keyId = listKeys(current)[0]?.id ?? ""
  const shareId = listShares(current)[0]?.id ?? ""
  rotateKey(current, keyId, "7d", random, 0)
  rotateShare(current, shareId, "7d", random, 0)
  updateUser(current, viewer, { sections: ["web"] })
  const revoked = findRevokedAccess(backup, current)
  expect(revoked).toMatchObject({
    keys: [{ id: keyId, change: "rotated" }],
    links: [{ id: shareId, change: "rotated" }],
    users: [{ id: viewer, change: "changed" }],
  })
  applyRevocations(revoked, backup, current)
  expect(hashesOf(backup, "keys")).toEqual(hashesOf(current, "keys"))
  expect(hashesOf(backup, "shares")).toEqual(hashesOf(current, "shares"))
  // The backup cannot store the limit, so the viewer cannot log in until an owner sends a link.
  expect(backup.prepare("select password from users where id = ?").pluck().get(viewer)).toBeNull()
})

test("a backup from during an overlap loses previous secrets that have since ended, and hosts that were removed", () => {
  const [backup, current] = [open(true), open(true)]
  const keyId = listKeys(current)[0]?.id ?? ""
  const shareId = listShares(current)[0]?.id ?? ""
  // Both databases get the same secrets.
  const fixed = (bytes: Uint8Array) => bytes.fill(7)
  for (const db of [backup, current]) {
    rotateKey(db, keyId, "7d", fixed, 0)
    updateShare(db, shareId, { embedHosts: ["https://a.example"] })
    updateUser(db, viewer, { sections: ["web", "people"] })
  }
  expect(findRevokedAccess(backup, current)).toEqual({ keys: [], links: [], users: [] })
  endKeyOverlap(current, keyId)
  updateShare(current, shareId, { embedHosts: [] })
  updateUser(current, viewer, { sections: ["web"] })
  const revoked = findRevokedAccess(backup, current)
  applyRevocations(revoked, backup, current)
  expect(findRevokedAccess(backup, current)).toEqual({ keys: [], links: [], users: [] })
  expect([revoked.keys.length, revoked.links.length, revoked.users.length]).toEqual([1, 1, 1])
})
