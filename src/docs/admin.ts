import { adviceOn } from "../admin-api/advice.ts"
import {
  exportFilterSchema,
  forgottenSchema,
  type KeyJson,
  keyChangesSchema,
  keySchema,
  keyWithSecretSchema,
  newKeySchema,
  newWebsiteSchema,
  type ProfileJson,
  personSchema,
  profileFilterSchema,
  profileSchema,
  profileSearchSchema,
  type RefusalJson,
  refusalFilterSchema,
  refusalSchema,
  statusSchema,
  type WebsiteJson,
  websiteChangesSchema,
  websiteSchema,
} from "../admin-api/schema.ts"
import { type Json, published, ref } from "./json.ts"
import { component, listOf, type Operations, paths, takesBody, wording, writes } from "./operations.ts"

const exampleId = "550e8400-e29b-41d4-a716-446655440000"
const settings = { domain: "example.com", name: "Example", allowedOrigins: ["shop.example.net"] }
const exampleWebsite: WebsiteJson = {
  id: exampleId,
  ...settings,
  anonymize: "off",
  retain: "400d",
  createdAt: "2026-01-05T09:30:00.000Z",
  pausedAt: null,
}
const grant: Pick<KeyJson, "name" | "scopes" | "websites"> = {
  name: "backend",
  scopes: ["track:events"],
  websites: [exampleId],
}
const exampleKey: KeyJson = {
  id: "8b0d3a2e-7d52-4c39-9d6c-2a5f3f4e9c11",
  start: "dbdy_Xy3k_9a",
  ...grant,
  rateLimit: null,
  createdAt: "2026-01-05T09:31:00.000Z",
  expiresAt: "2026-07-05T00:00:00.000Z",
  disabledAt: null,
  revokedAt: null,
  lastUsedAt: null,
}

const exampleProfile: ProfileJson = {
  profileId: "customer-42",
  email: "ada@example.com",
  name: "Ada",
  username: null,
  traits: { email: "ada@example.com", name: "Ada", plan: "pro" },
  createdAt: "2026-01-05T09:30:00.000Z",
  updatedAt: "2026-01-06T10:00:00.000Z",
  anonymousIds: ["user-123"],
}

const exampleRefusal: RefusalJson = {
  time: "2026-01-05T09:32:00.000Z",
  path: "/track",
  websiteId: exampleId,
  status: 403,
  reason: "origin_not_allowed",
  events: 1,
  names: ["signed_up"],
  keys: ["plan"],
  advice: adviceOn({ reason: "origin_not_allowed", fields: [] }),
}

export const manageSchemas = {
  Website: component(websiteSchema, exampleWebsite),
  NewWebsite: component(newWebsiteSchema, settings),
  WebsiteChanges: component(websiteChangesSchema, { paused: true }),
  Person: component(personSchema, { profileId: "user_1" }),
  Key: component(keySchema, exampleKey),
  KeyWithSecret: component(keyWithSecretSchema, {
    ...exampleKey,
    key: "dbdy_Xy3k_9aQ0vB7cW2mR5tZ8nL4pJ6hD1sF",
  }),
  NewKey: component(newKeySchema, { ...grant, rateLimit: 600 }),
  KeyChanges: component(keyChangesSchema, { disabled: true }),
  Profile: component(profileSchema, exampleProfile),
  Refusal: component(refusalSchema, exampleRefusal),
}

const ofWebsite = ["key_website_mismatch", "website_unknown"] as const
const ofKey = ["grant_too_wide", "key_not_found"] as const

const website = { website: ref("schemas/Website") }
const key = { key: ref("schemas/Key") }
const keyWithSecret = { key: ref("schemas/KeyWithSecret") }

const websites: Operations = {
  "/v1/websites": {
    get: {
      id: "listWebsites",
      summary: "List websites",
      description: "All that the key is not kept from.",
      gives: listOf("websites", "Website"),
      reasons: [],
    },
    post: {
      id: "createWebsite",
      summary: "Create a website",
      takes: ref("schemas/NewWebsite"),
      gives: website,
      status: 201,
      reasons: [...takesBody, "grant_too_wide", "conflict", ...writes],
    },
  },
  "/v1/websites/{id}": {
    get: { id: "showWebsite", summary: "Show a website", gives: website, reasons: ofWebsite },
    patch: {
      id: "changeWebsite",
      summary: "Change, pause or resume a website",
      description: "What is left out stays as it is.",
      takes: ref("schemas/WebsiteChanges"),
      gives: website,
      reasons: [...takesBody, ...ofWebsite, ...writes],
    },
    delete: {
      id: "deleteWebsite",
      summary: "Delete a website",
      gives: {},
      reasons: [...ofWebsite, ...writes],
    },
  },
}

const forgetting: Operations = {
  "/v1/websites/{id}/forget": {
    post: {
      id: "forgetPerson",
      summary: "Forget a person",
      description:
        "Deletes all that the website has of one person and overwrites it. Answered when it is done: with millions of events to look through, after some seconds. Backups that were made before still hold it, and ids may stay in unused bytes of the file until it is vacuumed.",
      takes: ref("schemas/Person"),
      gives: published(forgottenSchema).properties as Json,
      reasons: [...takesBody, ...ofWebsite, ...writes],
    },
  },
}

const keys: Operations = {
  "/v1/keys": {
    get: {
      id: "listKeys",
      summary: "List keys",
      description:
        "All that have no more than the key that asks. The secrets are not among it: only their hashes are kept.",
      gives: listOf("keys", "Key"),
      reasons: [],
    },
    post: {
      id: "createKey",
      summary: "Create a key",
      description:
        "It can have no more than the key that asks: no other scope or website, no higher limit, no later end.",
      takes: ref("schemas/NewKey"),
      gives: keyWithSecret,
      status: 201,
      reasons: [...takesBody, "grant_too_wide", ...writes],
    },
  },
  "/v1/keys/{id}": {
    get: { id: "showKey", summary: "Show a key", gives: key, reasons: ofKey },
    patch: {
      id: "changeKey",
      summary: "Change, disable or enable a key",
      description: "What is left out stays as it is.",
      takes: ref("schemas/KeyChanges"),
      gives: key,
      reasons: [...takesBody, ...ofKey, "conflict", ...writes],
    },
    delete: { id: "revokeKey", summary: "Revoke a key, for good", gives: {}, reasons: [...ofKey, ...writes] },
  },
  "/v1/keys/{id}/rotate": {
    post: {
      id: "rotateKey",
      summary: "Give a key a new secret",
      description: "The old one stops working at once.",
      gives: keyWithSecret,
      reasons: [...ofKey, "conflict", ...writes],
    },
  },
}

const profiles: Operations = {
  "/v1/profiles": {
    get: {
      id: "listProfiles",
      summary: "Look for identified users",
      description:
        "The one that was told of last comes first; `total` is of all pages. A search looks through all profiles of the website, a thousand at a time between other requests.",
      query: profileSearchSchema,
      gives: listOf("profiles", "Profile"),
      reasons: ["invalid_shape", ...ofWebsite],
    },
  },
  "/v1/profiles/{id}": {
    get: {
      id: "showProfile",
      summary: "Show an identified user",
      description: "The id is escaped, as every part of an address: `user%2F1`.",
      query: profileFilterSchema,
      gives: { profile: ref("schemas/Profile") },
      reasons: ["invalid_shape", ...ofWebsite, "profile_unknown"],
    },
  },
}

const refusals: Operations = {
  "/v1/refusals": {
    get: {
      id: "listRefusals",
      summary: "List refused requests",
      description:
        "The last ones to `/track` and `/identify`, the newest first: why each was refused, what to change about it, and the names and property keys that it held, never their values. They are kept in memory, so a restart forgets them. A key that is limited to some websites sees what was for one of those alone; `total` is before `limit`.",
      query: refusalFilterSchema,
      gives: listOf("refusals", "Refusal"),
      reasons: ["invalid_shape", "key_website_mismatch"],
    },
  },
}

const status: Operations = {
  "/v1/status": {
    get: {
      id: "showStatus",
      summary: "How is the server doing?",
      description:
        "Of the whole server: a key that is limited to some websites is not told. Numbers over time are in `/metrics`.",
      gives: published(statusSchema).properties as Json,
      reasons: ["key_website_mismatch", "queries_full"],
    },
  },
}

const text = { schema: { type: "string" } }

const exports: Operations = {
  "/v1/export": {
    get: {
      id: "export",
      summary: "Export events",
      description:
        "Every field of every event, in the order of their ids, while the client takes it. In ndjson, a JSON object a line, websites, profiles and their links come first, and the last line says how many of each there were: `databuddy import` reads it. In csv, a text that a spreadsheet would take for a formula has an apostrophe in front. A key that is limited to some websites gets those; one that is not gets the events of no website too. With `profile_id` or `anonymous_id` it is what `forget` would delete of that person, whose events are looked for among all of the website's. With `Accept-Encoding: gzip`, ndjson and csv are compressed.",
      query: exportFilterSchema,
      file: {
        "application/x-ndjson": text,
        "text/csv": text,
        "application/vnd.apache.parquet": { schema: { type: "string", format: "binary" } },
      },
      reasons: ["invalid_shape", "key_website_mismatch", "website_unknown"],
    },
  },
}

export async function managePaths(): Promise<Json> {
  return {
    ...(await paths(websites, { tag: "Websites", scope: "manage:websites", wording: websiteWording })),
    ...(await paths(forgetting, { tag: "Websites", scope: "manage:websites", wording: personWording })),
    ...(await paths(keys, { tag: "Keys", scope: "manage:keys", wording: keyWording })),
    ...(await paths(profiles, { tag: "Profiles", scope: "read:data", wording: profileWording })),
    ...(await paths(refusals, { tag: "Refusals", scope: "read:data", wording: refusalWording })),
    ...(await paths(status, { tag: "Server", scope: "manage:websites", wording: refusalWording })),
    ...(await paths(exports, { tag: "Export", scope: "read:data", wording: exportWording })),
  }
}

const websiteWording = wording({ field: "domain", message: newWebsiteSchema.properties.domain.expected })
const personWording = wording({ field: "profileId", message: personSchema.properties.profileId.expected })
const keyWording = wording({ field: "name", message: newKeySchema.properties.name.expected })
const profileWording = wording({ field: "limit", message: profileSearchSchema.properties.limit.expected })
const exportWording = wording({ field: "from", message: exportFilterSchema.properties.from.expected })
const refusalWording = wording({ field: "limit", message: refusalFilterSchema.properties.limit.expected })
