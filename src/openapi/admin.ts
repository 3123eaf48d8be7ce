import { adviceFor } from "../admin-api/advice.ts"
import {
  type ProfileJson,
  profileFilterSchema,
  profileSchema,
  profileSearchSchema,
} from "../admin-api/profile-schema.ts"
import {
  type RejectedRequestJson,
  rejectedRequestFilterSchema,
  rejectedRequestSchema,
} from "../admin-api/rejected-request-schema.ts"
import {
  exportFilterSchema,
  forgottenSchema,
  type KeyJson,
  keyChangesSchema,
  keySchema,
  keyWithSecretSchema,
  newKeySchema,
  newWebsiteSchema,
  personSchema,
  type WebsiteJson,
  websiteChangesSchema,
  websiteSchema,
} from "../admin-api/schema.ts"
import { statusSchema } from "../admin-api/status-schema.ts"
import { type Json, publishedFields, ref } from "./json-schema.ts"
import {
  component,
  errorFormat,
  listOf,
  type Operations,
  paths,
  registryWrites,
  rotation,
  rotationText,
  takesBody,
  writes,
} from "./operations.ts"
import { noField } from "./responses.ts"

const exampleId = "550e8400-e29b-41d4-a716-446655440000"
const settings = { domain: "example.com", name: "Example", allowedOrigins: ["shop.example.net"] }
const exampleWebsite: WebsiteJson = {
  id: exampleId,
  ...settings,
  anonymize: "off",
  retain: "400d",
  pageIdentify: true,
  lowerIsBetter: ["error_shown"],
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
  previousStart: null,
  previousExpiresAt: null,
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
  claimedTraits: [],
  claimedAnonymousIds: [],
}

const exampleRejectedRequest: RejectedRequestJson = {
  time: "2026-01-05T09:32:00.000Z",
  path: "/track",
  websiteId: exampleId,
  status: 403,
  reason: "origin_not_allowed",
  events: 1,
  names: ["signed_up"],
  keys: ["plan"],
  origin: "shop.example.net",
  advice: adviceFor({ reason: "origin_not_allowed", fields: [], origin: "shop.example.net" }),
}

export const adminSchemas = {
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
  Refusal: component(rejectedRequestSchema, exampleRejectedRequest),
}

const websiteReasons = ["key_website_mismatch", "website_unknown"] as const
const keyIdReasons = ["grant_too_wide", "key_not_found"] as const

const website = { website: ref("schemas/Website") }
const key = { key: ref("schemas/Key") }
const keyWithSecret = { key: ref("schemas/KeyWithSecret") }

const websites: Operations = {
  "/v1/websites": {
    get: {
      id: "listWebsites",
      summary: "List websites",
      description: "Websites that the caller can access.",
      gives: listOf("websites", "Website"),
      reasons: [],
    },
    post: {
      id: "createWebsite",
      summary: "Create a website",
      takes: ref("schemas/NewWebsite"),
      gives: website,
      status: 201,
      reasons: [...takesBody, "grant_too_wide", "conflict", ...registryWrites],
    },
  },
  "/v1/websites/{id}": {
    get: { id: "showWebsite", summary: "Show a website", gives: website, reasons: websiteReasons },
    patch: {
      id: "changeWebsite",
      summary: "Change, pause or resume a website",
      description: "Omitted fields stay unchanged.",
      takes: ref("schemas/WebsiteChanges"),
      gives: website,
      reasons: [...takesBody, ...websiteReasons, ...registryWrites],
    },
    delete: {
      id: "deleteWebsite",
      summary: "Delete a website",
      gives: {},
      reasons: [...websiteReasons, ...registryWrites],
    },
  },
}

const forget: Operations = {
  "/v1/websites/{id}/forget": {
    post: {
      id: "forgetPerson",
      summary: "Delete a person's data",
      description:
        "Deletes all data about one person on the website and overwrites it on disk. Responds when all data is deleted, which takes a few seconds if there are millions of events. Earlier backups still contain the data.",
      takes: ref("schemas/Person"),
      gives: publishedFields(forgottenSchema),
      reasons: [...takesBody, ...websiteReasons, ...writes, "events_removed"],
    },
  },
}

const keys: Operations = {
  "/v1/keys": {
    get: {
      id: "listKeys",
      summary: "List keys",
      description:
        "Lists the keys that have at most the permissions of the caller. Secrets are not included, because only their hashes are stored.",
      gives: listOf("keys", "Key"),
      reasons: [],
    },
    post: {
      id: "createKey",
      summary: "Create a key",
      description:
        "The key can have at most the permissions of the caller. It cannot have a scope or website that the caller lacks, a higher rate limit or a later expiry.",
      takes: ref("schemas/NewKey"),
      gives: keyWithSecret,
      status: 201,
      reasons: [...takesBody, "grant_too_wide", ...registryWrites],
    },
  },
  "/v1/keys/{id}": {
    get: { id: "showKey", summary: "Show a key", gives: key, reasons: keyIdReasons },
    patch: {
      id: "changeKey",
      summary: "Change, disable or enable a key",
      description: "Omitted fields stay unchanged.",
      takes: ref("schemas/KeyChanges"),
      gives: key,
      reasons: [...takesBody, ...keyIdReasons, "conflict", ...registryWrites],
    },
    delete: {
      id: "revokeKey",
      summary: "Revoke a key permanently",
      gives: {},
      reasons: [...keyIdReasons, ...registryWrites],
    },
  },
  "/v1/keys/{id}/rotate": {
    post: {
      id: "rotateKey",
      summary: "Rotate a key's secret",
      description: `The new secret is returned only once. ${rotationText}`,
      takes: rotation,
      gives: keyWithSecret,
      reasons: [...takesBody, ...keyIdReasons, "conflict", ...registryWrites],
    },
  },
  "/v1/keys/{id}/overlap": {
    delete: {
      id: "endKeyOverlap",
      summary: "Expire the previous secret of a rotated key",
      description: "The previous secret stops working immediately.",
      gives: key,
      reasons: [...keyIdReasons, ...registryWrites],
    },
  },
}

const profiles: Operations = {
  "/v1/profiles": {
    get: {
      id: "listProfiles",
      summary: "Search profiles",
      description:
        "The most recently updated profiles come first. `total` is the number of profiles on all pages. A search scans all profiles of the website, a thousand at a time, so that it does not block other requests.",
      query: profileSearchSchema,
      gives: listOf("profiles", "Profile"),
      reasons: ["invalid_shape", ...websiteReasons],
    },
  },
  "/v1/profiles/{id}": {
    get: {
      id: "showProfile",
      summary: "Show a profile",
      description: "Percent-encode the ID in the path. For example, `user/1` becomes `user%2F1`.",
      query: profileFilterSchema,
      gives: { profile: ref("schemas/Profile") },
      reasons: ["invalid_shape", ...websiteReasons, "profile_unknown"],
    },
  },
}

const rejectedRequests: Operations = {
  "/v1/refusals": {
    get: {
      id: "listRefusals",
      summary: "List rejected requests",
      description:
        "Lists the last rejected requests to `/track`, `/identify` and the page script's endpoints, newest first, with the reason, the fix, and the names and property keys of the events, but never values. They are stored only in memory, so a restart clears them. A caller limited to some websites sees only requests for these websites. `total` ignores `limit`.",
      query: rejectedRequestFilterSchema,
      gives: listOf("refusals", "Refusal"),
      reasons: ["invalid_shape", "key_website_mismatch"],
    },
  },
}

const status: Operations = {
  "/v1/status": {
    get: {
      id: "showStatus",
      summary: "Show server status",
      description:
        "Status of the whole server. Not available to callers limited to some websites. For figures over time, use `/metrics`.",
      gives: publishedFields(statusSchema),
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
        "Streams every field of every event, in the order of their IDs. ndjson has one JSON object per line. The websites, the profiles and the links between profiles and anonymous IDs come before the events, and the last line contains counts. `databuddy import` reads this format. In csv, text that a spreadsheet would read as a formula is prefixed with an apostrophe. A caller limited to some websites gets the events of these websites; any other caller also gets events without a website. With `profile_id` or `anonymous_id`, the export contains the data that `forget` would delete for that person. With `Accept-Encoding: gzip`, ndjson and csv are compressed.",
      query: exportFilterSchema,
      file: {
        "application/x-ndjson": text,
        "text/csv": text,
        "application/vnd.apache.parquet": { schema: { type: "string", format: "binary" } },
      },
      reasons: ["invalid_shape", "key_website_mismatch", "website_unknown", "events_removed"],
    },
  },
}

export async function adminPaths(): Promise<Json> {
  return {
    ...(await paths(websites, { tag: "Websites", scope: "manage:websites", errorFormat: websiteErrors })),
    ...(await paths(forget, { tag: "Websites", scope: "manage:websites", errorFormat: personErrors })),
    ...(await paths(keys, { tag: "Keys", scope: "manage:keys", errorFormat: keyErrors })),
    ...(await paths(profiles, { tag: "Profiles", scope: "read:data", errorFormat: profileErrors })),
    ...(await paths(rejectedRequests, {
      tag: "Rejected requests",
      scope: "read:data",
      errorFormat: rejectedRequestErrors,
    })),
    ...(await paths(status, { tag: "Server", scope: "manage:websites", errorFormat: statusErrors })),
    ...(await paths(exports, { tag: "Export", scope: "read:data", errorFormat: exportErrors })),
  }
}

const websiteErrors = errorFormat({ field: "domain", message: newWebsiteSchema.properties.domain.expected })
const personErrors = errorFormat({ field: "profileId", message: personSchema.properties.profileId.expected })
const keyErrors = errorFormat({ field: "name", message: newKeySchema.properties.name.expected })
const profileErrors = errorFormat({ field: "limit", message: profileSearchSchema.properties.limit.expected })
const exportErrors = errorFormat({ field: "from", message: exportFilterSchema.properties.from.expected })
const statusErrors = errorFormat(noField)
const rejectedRequestErrors = errorFormat({
  field: "limit",
  message: rejectedRequestFilterSchema.properties.limit.expected,
})
