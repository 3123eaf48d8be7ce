import type { Db } from "../../../src/store/db/driver.ts"
import { createKey, type KeyGrant, revokeKey, scopes, updateKey } from "../../../src/store/keys.ts"
import {
  createWebsite,
  deleteWebsite,
  pauseWebsite,
  type WebsiteSettings,
} from "../../../src/store/websites.ts"

/** Ids of the websites that `seedDatabase` creates, and of some that do not exist. */
export const websiteIds = {
  /** example.com, the id of the published example */
  example: "550e8400-e29b-41d4-a716-446655440000",
  /** shop.test, which lists partner.test and 192.0.2.7 as allowed origins */
  listed: "11111111-1111-4111-8111-111111111111",
  /** private.test, whose visitors' ids are hashed */
  daily: "22222222-2222-4222-8222-222222222222",
  paused: "33333333-3333-4333-8333-333333333333",
  deleted: "44444444-4444-4444-8444-444444444444",
  /** An id imported from elsewhere. */
  legacy: "my-page.2019",
  pausedLegacy: "old-page",
  longest: "w".repeat(255),
  unknown: "99999999-9999-4999-8999-999999999999",
  unknownLegacy: "not-registered",
} as const

const websites: { id: string; settings?: Partial<WebsiteSettings> }[] = [
  { id: websiteIds.example },
  { id: websiteIds.listed, settings: { domain: "shop.test", allowedOrigins: ["partner.test", "192.0.2.7"] } },
  { id: websiteIds.daily, settings: { domain: "private.test", anonymize: "daily" } },
  { id: websiteIds.paused },
  { id: websiteIds.deleted },
  { id: websiteIds.legacy, settings: { domain: "legacy.test" } },
  { id: websiteIds.pausedLegacy },
  { id: websiteIds.longest },
]

const grants = {
  full: {},
  all: { scopes: [...scopes] },
  limited: { websites: [websiteIds.example, websiteIds.paused, websiteIds.legacy] },
  elsewhere: { websites: [websiteIds.listed] },
  nowhere: { websites: [] },
  reader: { scopes: ["read:data"] },
  hasty: { rateLimit: 2 },
  hastyReader: { scopes: ["read:data"], rateLimit: 1 },
  revoked: {},
  disabled: {},
  expired: { expiresAt: 1_700_000_000_000 },
} satisfies Record<string, Partial<KeyGrant>>

export type KeyName = keyof typeof grants | "unknown" | "malformed"

/** Secrets of the keys, created from fixed random bytes so that cases can name them. */
export const secrets: Record<KeyName, string> = {
  ...(Object.fromEntries(Object.keys(grants).map((name, index) => [name, secret(index)])) as Record<
    keyof typeof grants,
    string
  >),
  unknown: secret(200),
  malformed: "dbdy_short",
}

function secret(index: number): string {
  return `dbdy_${randomness(index).toString("base64url")}`
}

function randomness(index: number): Buffer {
  return Buffer.alloc(24, index + 1)
}

/** Creates all of the above in an empty database. */
export function seedDatabase(db: Db): void {
  const now = Date.now()
  for (const { id, settings } of websites) {
    createWebsite(
      db,
      id,
      { domain: "example.com", name: id, allowedOrigins: [], anonymize: "off", ...settings },
      now,
    )
  }
  for (const id of [websiteIds.paused, websiteIds.pausedLegacy]) pauseWebsite(db, id, true, now)
  deleteWebsite(db, websiteIds.deleted, now)
  for (const [index, [name, grant]] of Object.entries(grants).entries()) {
    const plain: KeyGrant = {
      name,
      scopes: ["track:events"],
      websites: null,
      rateLimit: null,
      expiresAt: null,
    }
    createKey(db, name, { ...plain, ...grant } as KeyGrant, () => randomness(index), now)
  }
  revokeKey(db, "revoked", now)
  updateKey(db, "disabled", { disabledAt: now })
}
