import { describe, expect, test } from "bun:test"
import { diagnose } from "../../src/doctor/checks.ts"
import { daysUntilFull } from "../../src/doctor/disk.ts"
import type { DiagnosisSettings, Facts } from "../../src/doctor/facts.ts"
import { parseNetworks, type TrustedNetworks } from "../../src/http/address.ts"

const day = 86_400_000
const now = Date.UTC(2026, 7, 1, 12)
const db = "/data/databuddy.db"
const file = { path: db, bytes: 1e9, changedAt: now - 1, mode: 0o100600, owner: 7 }
const beside = { ...file, path: `${db}-wal`, bytes: 1e6 }
const growth = {
  events: 9e6,
  bytesPerEvent: 110,
  eventsPerDay: 1e5,
  oldest: now - 90 * day,
  newest: now - 1,
  longestRetention: undefined,
}
const backup = (age: number) => ({ file: `/backups/${age / day}.db`, at: now - age })
const backups = { folder: "/backups", list: [backup(9 * day), backup(day)], onDisk: "other" as const }

/** Every check passes. */
const facts: Facts = {
  db,
  now,
  server: 42,
  hidesSettings: false,
  pending: undefined,
  damage: undefined,
  growth,
  freeBytes: 50e9,
  files: [file, beside],
  copies: [],
  folderMode: 0o40700,
  backups,
  offsite: undefined,
  openFiles: { most: 65_536, open: 30, of: "server" },
  zoneRules: { own: "2026f", system: "2026f" },
  countries: { file: undefined, builtOn: "2026-06-17" },
  certificate: undefined,
  cluster: { name: undefined, failure: undefined, lag: undefined, removed: undefined },
  registry: undefined,
}
const networks = (text: string) => parseNetworks(text) as TrustedNetworks
const settings: DiagnosisSettings = {
  host: "127.0.0.1",
  minFree: 256e6,
  backupEvery: day,
  backupKeep: 7,
  trustProxy: networks("127.0.0.0/8,::1"),
  namesProxies: false,
}
const reached = { host: "0.0.0.0" }
const bucket = {
  folder: "s3://bucket",
  list: [{ file: "s3://bucket/1.db.zst", at: now - day }],
  onDisk: "other" as const,
}
const found = { validFrom: now - 30 * day, expiresAt: now + 60 * day, missingNames: [] as string[] }
const https = { file: "/data/acme/certificate.pem", isRenewed: true, found }
const onSameDisk = { ...backups, onDisk: "same" as const }

const shipping = {
  name: "https://h/d",
  failure: undefined,
  lag: { events: 5, oldest: now - 1_000, deletions: 2 },
  removed: undefined,
}

interface Case {
  when: string
  facts?: Partial<Facts>
  settings?: Partial<DiagnosisSettings>
  about: string
  text: string
}

const healthy: Case[] = [
  {
    when: "a new file has one event",
    about: "disk",
    facts: { growth: { ...growth, events: 1, bytesPerEvent: 200_704, eventsPerDay: 1 } },
    text: "too few events for a forecast yet",
  },
  { when: "the disk has space for years", about: "disk", text: "100,000 events per day at 110 bytes each" },
  { when: "a server runs", about: "database", text: "9,000,000 events; process 42 serves it" },
  {
    when: "the server's settings are hidden",
    facts: { hidesSettings: true },
    about: "database",
    text: "process 42 serves it; run doctor as root to include its settings",
  },
  { when: "no server runs", facts: { server: undefined }, about: "database", text: "no server is running" },
  {
    when: "a server was killed",
    facts: { server: undefined },
    about: "wal",
    text: "To back up, copy the database and the -wal file",
  },
  {
    when: "the disk would be full in weeks, but retention comes first",
    facts: {
      freeBytes: 400e6,
      growth: { ...growth, longestRetention: 91 * day },
      files: [{ ...file, bytes: 1e6 }],
    },
    about: "disk",
    text: "enough for all events within the retention period",
  },
  {
    when: "no events arrived for a week",
    facts: { growth: { ...growth, eventsPerDay: 0 } },
    about: "disk",
    text: "0 events per day",
  },
  {
    when: "no backup folder and no bucket is set",
    facts: { backups: undefined },
    about: "backups",
    text: "not checked",
  },
  {
    when: "the newest backup in the bucket is from yesterday",
    facts: { backups: undefined, offsite: bucket },
    about: "offsite",
    text: "the newest is 1 day old: s3://bucket/1.db.zst",
  },
  {
    when: "the newest backup is from yesterday",
    about: "backups",
    text: "the newest is 1 day old: /backups/1.db",
  },
  {
    when: "backups are on the database's disk",
    facts: { backups: onSameDisk, freeBytes: 500e9 },
    about: "backups",
    text: "copy it elsewhere too",
  },
  {
    when: "other users can write to a sticky folder",
    facts: { folderMode: 0o41777 },
    about: "rights",
    text: "only the owner",
  },
  {
    when: "the system has no permission bits",
    facts: { folderMode: undefined, files: [{ ...file, mode: undefined, owner: undefined }] },
    about: "rights",
    text: "unknown on this system",
  },
  {
    when: "the open file limit is unknown",
    facts: { openFiles: undefined },
    about: "limits",
    text: "unknown on this system",
  },
  {
    when: "a clock is half a minute off",
    facts: { now: now - 30_000 },
    about: "clock",
    text: "it is 2026-08-01",
  },
  {
    when: "the server listens on ::1",
    settings: { host: "::1" },
    about: "proxy",
    text: "::1 is reachable only from this machine",
  },
  {
    when: "the server uses HTTPS",
    facts: { certificate: https },
    settings: reached,
    about: "proxy",
    text: "serves HTTPS",
  },
  {
    when: "a remote proxy is listed",
    settings: { ...reached, trustProxy: networks("10.0.0.0/8"), namesProxies: true },
    about: "proxy",
    text: "serves HTTP to a proxy",
  },
  {
    when: "the certificate is valid",
    facts: { certificate: https },
    about: "https",
    text: "valid until 2026-09-30 12:00 UTC, and is renewed before then",
  },
  {
    when: "a certificate valid for six days has two days left, and is about to be renewed",
    facts: {
      certificate: {
        ...https,
        found: { ...found, validFrom: now - 4 * day, expiresAt: now + 2 * day },
      },
    },
    about: "https",
    text: "valid until",
  },
  { when: "the time zone rules are current", about: "zones", text: "time zone rules 2026f (tzdata)" },
  {
    when: "the system's time zone rules are newer",
    facts: { zoneRules: { own: "2026f", system: "2027a" } },
    about: "zones",
    text: "the system has 2027a",
  },
  {
    when: "the country table is the built-in one",
    about: "country",
    text: "the built-in table, built on 2026-06-17",
  },
  {
    when: "--geo-db is set",
    facts: { countries: { file: "/x/city.mmdb", builtOn: "2026-11-01" } },
    about: "country",
    text: "/x/city.mmdb, built on 2026-11-01",
  },
  {
    when: "the registry was copied a minute ago",
    facts: { registry: { url: "https://first", etag: "", copiedAt: now - 60_000, problem: "" } },
    about: "registry",
    text: "were last copied from https://first at",
  },
  {
    when: "the ClickHouse cluster responds",
    facts: { cluster: shipping },
    about: "cluster",
    text: "https://h/d answers; 5 events and 2 deletions have not been shipped yet",
  },
  {
    when: "events were shipped, and --clickhouse is not set",
    facts: { cluster: { ...shipping, name: undefined } },
    about: "cluster",
    text: "not checked",
  },
]

const problems: Case[] = [
  {
    when: "the registry was copied an hour ago",
    facts: { registry: { url: "https://first", etag: "", copiedAt: now - 3_600_000, problem: "" } },
    about: "registry",
    text: "were last copied from https://first at",
  },
  {
    when: "the last response with the registry was not accepted",
    facts: { registry: { url: "https://first", etag: "", copiedAt: now - 60_000, problem: "it is older" } },
    about: "registry",
    text: "the last answer was not accepted",
  },
  {
    when: "the ClickHouse cluster does not respond",
    facts: {
      cluster: { ...shipping, failure: { message: "https://h/d does not respond", hint: undefined } },
    },
    about: "cluster",
    text: "https://h/d does not respond; 5 events and 2 deletions have not been shipped yet",
  },
  {
    when: "events have waited too long for the cluster",
    facts: { cluster: { ...shipping, lag: { events: 5, oldest: now - 1_000_000, deletions: 2 } } },
    about: "cluster",
    text: "the oldest unshipped event is from 2026-08-01T11:43:20.000Z",
  },
  {
    when: "the file of --geo-db cannot be read",
    facts: { countries: { file: "/x", failure: { message: "/x cannot be read", hint: undefined } } },
    about: "country",
    text: "/x cannot be read",
  },
  {
    when: "a migration is missing",
    facts: { pending: "0009_x" },
    about: "database",
    text: "0009_x has not been applied",
  },
  {
    when: "a page cannot be read",
    facts: { damage: { message: "it is damaged", hint: undefined }, growth: undefined },
    about: "database",
    text: "it is damaged",
  },
  {
    when: "less than --min-free is left",
    facts: { freeBytes: 100e6 },
    about: "disk",
    text: "events are rejected",
  },
  {
    when: "the disk will be full in days",
    facts: { freeBytes: 476e6, files: [{ ...file, bytes: 1e6 }] },
    about: "disk",
    text: "in 20 days",
  },
  {
    when: "retention comes too late to prevent a full disk",
    facts: {
      freeBytes: 476e6,
      growth: { ...growth, longestRetention: 120 * day },
      files: [{ ...file, bytes: 1e6 }],
    },
    about: "disk",
    text: "in 20 days",
  },
  {
    when: "five more backups of 1 GB will be on the same disk, and each is larger than the one before",
    facts: { freeBytes: 6.136e9, backups: onSameDisk },
    about: "disk",
    text: "in 10 days",
  },
  {
    when: "a copy does not fit on the disk",
    facts: { freeBytes: 1.03e9 },
    about: "disk",
    text: "a copy of the database takes 1.0 GB",
  },
  {
    when: "the clock was set back",
    facts: { now: now - day },
    about: "clock",
    text: "these are from a later time: the newest event (received at",
  },
  {
    when: "a file is from tomorrow",
    facts: { files: [file, { ...beside, changedAt: now + day }] },
    about: "clock",
    text: `these are from a later time: ${db}-wal`,
  },
  {
    when: "a backup is from tomorrow",
    facts: { backups: { ...backups, list: [...backups.list, backup(-day)] } },
    about: "clock",
    text: "/backups/-1.db",
  },
  {
    when: "other users can read a file",
    facts: { files: [{ ...file, mode: 0o100640 }] },
    about: "rights",
    text: `other users can open ${db}, which`,
  },
  {
    when: "other users can read four copies",
    facts: { copies: ["1", "2", "3", "4"].map((path) => ({ ...file, path, mode: 0o100604 })) },
    about: "rights",
    text: "1, 2, 3 and 1 more",
  },
  {
    when: "root created the -wal",
    facts: { files: [file, { ...beside, owner: 0 }] },
    about: "rights",
    text: `${db}-wal does not belong to the owner`,
  },
  {
    when: "other users can write to the folder",
    facts: { folderMode: 0o40770 },
    about: "rights",
    text: "remove and replace",
  },
  {
    when: "the -wal grows",
    facts: { files: [file, { ...beside, bytes: 3e8 }] },
    about: "wal",
    text: "300.0 MB: a long-running reader",
  },
  {
    when: "there is no backup",
    facts: { backups: { ...backups, list: [] } },
    about: "backups",
    text: "there are none in /backups",
  },
  {
    when: "the newest backup is late",
    settings: { backupEvery: 6 * 3_600_000 },
    about: "backups",
    text: "expected one every 6h",
  },
  {
    when: "the backup folder is missing",
    facts: { backups: { folder: "/b", failure: { message: "/b does not exist", hint: undefined } } },
    about: "backups",
    text: "/b does not exist",
  },
  {
    when: "the bucket has no recent backup, although the folder has",
    facts: { offsite: { ...bucket, list: [{ file: "s3://bucket/3.db.zst", at: now - 3 * day }] } },
    about: "offsite",
    text: "the newest is 3 days old: s3://bucket/3.db.zst; expected one every 1d",
  },
  {
    when: "the bucket cannot be listed",
    facts: {
      offsite: { folder: "s3://b", failure: { message: "s3://b cannot be listed", hint: undefined } },
    },
    about: "offsite",
    text: "s3://b cannot be listed",
  },
  {
    when: "the open file limit is the usual 1,024",
    facts: { openFiles: { most: 1_024, open: 30, of: "server" } },
    about: "limits",
    text: "process 42 can open 1,024 files and has 30 open",
  },
  {
    when: "nearly all files are open",
    facts: { openFiles: { most: 10_000, open: 9_000, of: "server" } },
    about: "limits",
    text: "has 9,000 open",
  },
  {
    when: "there is no certificate yet",
    facts: { certificate: { ...https, found: undefined } },
    about: "https",
    text: "there is no certificate yet, so HTTPS is not available: /data/acme/certificate.pem",
  },
  {
    when: "the certificate cannot be read",
    facts: {
      certificate: { ...https, found: { failure: { message: "/x cannot be read", hint: undefined } } },
    },
    about: "https",
    text: "/x cannot be read",
  },
  {
    when: "the certificate has expired",
    facts: { certificate: { ...https, found: { ...found, expiresAt: now - 1 } } },
    about: "https",
    text: "the certificate expired on 2026-08-01 11:59 UTC",
  },
  {
    when: "the certificate is from the future",
    facts: { certificate: { ...https, found: { ...found, validFrom: now + day } } },
    about: "https",
    text: "the certificate is not valid before 2026-08-02",
  },
  {
    when: "the certificate should have been renewed",
    facts: { certificate: { ...https, found: { ...found, expiresAt: now + 8 * day } } },
    about: "https",
    text: "the certificate expires on 2026-08-09",
  },
  {
    when: "the certificate lacks a name",
    facts: { certificate: { ...https, found: { ...found, missingNames: ["b.example.com"] } } },
    about: "https",
    text: "the certificate does not have the name b.example.com",
  },
  { when: "other machines can reach it without TLS", settings: reached, about: "proxy", text: "without TLS" },
  {
    when: "all addresses are trusted",
    settings: { trustProxy: networks("0.0.0.0/0"), namesProxies: true },
    about: "proxy",
    text: "evade rate limits",
  },
  {
    when: "all IPv6 addresses are trusted",
    settings: { trustProxy: networks("::/0"), namesProxies: true },
    about: "proxy",
    text: "evade rate limits",
  },
]

const diagnoseCase = (changes: Pick<Case, "facts" | "settings">) =>
  diagnose({ ...facts, ...changes.facts }, { ...settings, ...changes.settings })

describe("doctor reports no problem if", () => {
  test.each(healthy)("$when", (one) => {
    const results = diagnoseCase(one)
    expect(results.filter(({ hint }) => hint !== undefined)).toEqual([])
    expect(results.find(({ about }) => about === one.about)?.message).toContain(one.text)
  })
})

describe("doctor reports exactly one problem, with a hint, if", () => {
  test.each(problems)("$when", (one) => {
    const todo = diagnoseCase(one).filter(({ hint }) => hint !== undefined)
    expect(todo).toEqual([
      { about: one.about as never, message: expect.stringContaining(one.text), hint: expect.any(String) },
    ])
  })
})

test("every check runs, regardless of the results of the others", () => {
  const abouts = (one: Partial<Facts>) => [
    ...new Set(diagnose({ ...facts, ...one }, settings).map(({ about }) => about)),
  ]
  const all = ["database", "disk", "clock", "rights", "wal", "backups", "limits", "proxy", "zones", "country"]
  expect(abouts({})).toEqual(all as never)
  expect(
    abouts({ freeBytes: 0, pending: "x", growth: undefined, now: now - day, folderMode: 0o777 }),
  ).toEqual(all as never)
})

test("a backup dated in the future does not count as the newest", () => {
  const ahead = diagnoseCase({ facts: { backups: { ...backups, list: [backup(-day)] } } })
  expect(ahead.filter(({ hint }) => hint !== undefined).map(({ message }) => message)).toEqual([
    "it is 2026-08-01 12:00 UTC, but these are from a later time: /backups/-1.db",
    "there are none in /backups",
  ])
})

test("a full disk has 0 days left, and a disk that does not fill up has no limit", () => {
  expect(daysUntilFull({ ...facts, freeBytes: 0 }, settings)).toBe(0)
  expect(daysUntilFull({ ...facts, growth: { ...growth, bytesPerEvent: null } }, settings)).toBe(null)
})
