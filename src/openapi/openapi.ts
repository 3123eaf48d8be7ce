import { shareHeader } from "../http/caller.ts"
import { pageHeader, secureCookieName, sessionCookie } from "../http/session-cookie.ts"
import { maxFieldErrors } from "../http/validation.ts"
import { rejections } from "../rejection-reasons.ts"
import { version } from "../version.ts"
import { adminPaths, adminSchemas } from "./admin.ts"
import { boardPaths, boardSchemas } from "./boards.ts"
import { healthPaths } from "./health.ts"
import { ingestPaths, ingestSchemas, type Limits } from "./ingest.ts"
import { exactly, type Json } from "./json-schema.ts"
import { metricsPaths, metricsToken } from "./metrics.ts"
import { pagePaths, pageSchemas } from "./page-script.ts"
import { queryPaths, querySchemas } from "./query.ts"
import { registryPaths, registrySecret } from "./registry.ts"
import { headers } from "./responses.ts"
import { savedPaths, savedSchemas } from "./saved.ts"
import { userPaths, userSchemas } from "./users.ts"

/**
 * Builds the OpenAPI document of all data routes. Types, limits, statuses and messages come from the schemas and tables
 * that the routes use. `basePath`: the path prefix of the server, or ''.
 */
export async function openapi(limits: Limits, basePath = ""): Promise<Json> {
  return {
    openapi: "3.1.1",
    info: {
      title: "Databuddy",
      version,
      license: { name: "MIT", identifier: "MIT" },
      summary: "Custom events, stored before they are acknowledged",
      description: introduction(limits),
    },
    servers: [{ url: basePath || "/", description: "This server" }],
    tags: [
      { name: "Events", description: "Send events and identify visitors" },
      { name: "Page script", description: "Data sent by the script on a website's pages" },
      { name: "Queries", description: "Query stored events" },
      { name: "Websites", description: "Manage websites" },
      { name: "Keys", description: "Manage API keys" },
      { name: "Users", description: "Log in and manage users" },
      { name: "Profiles", description: "Identified people" },
      { name: "Notes and views", description: "Annotations and saved views" },
      { name: "Boards", description: "Boards of charts, numbers and tables" },
      { name: "Share links", description: "Read-only access without a login" },
      { name: "Export", description: "Export events" },
      { name: "Rejected requests", description: "Why requests were rejected" },
      { name: "Server", description: "Health, status and metrics" },
    ],
    paths: {
      ...(await ingestPaths(limits)),
      ...(await pagePaths(limits)),
      ...(await queryPaths()),
      ...(await adminPaths()),
      ...(await userPaths()),
      ...(await savedPaths()),
      ...(await boardPaths()),
      ...(await healthPaths()),
      ...(await metricsPaths()),
      ...(await registryPaths()),
    },
    components: {
      schemas: {
        ...ingestSchemas,
        ...pageSchemas,
        ...querySchemas,
        ...adminSchemas,
        ...userSchemas,
        ...savedSchemas,
        ...boardSchemas,
        FieldErrors: fieldErrors,
      },
      headers,
      securitySchemes: securitySchemes(basePath),
    },
  }
}

function introduction({ rateLimit, rateLimitEvents, rateLimitBytes }: Limits): string {
  const { route_unknown: unknown, invalid_host: badHost } = rejections
  const pages = rateLimit === 0 ? "are not limited" : `are limited to ${rateLimit} per minute`
  const sizes = [
    rateLimitEvents && `${rateLimitEvents} events`,
    rateLimitBytes && `${rateLimitBytes} bytes`,
  ].filter(Boolean)
  const large =
    rateLimit === 0 || sizes.length === 0
      ? ""
      : ` They can carry ${sizes.join(" and ")} per minute, and a large request counts as several.`
  return `Every response has the header \`x-request-id\`. Every error response also has the header \`x-databuddy-reason\` with a machine-readable reason, which does not change between versions. An unknown path returns ${unknown.status} with the reason \`route_unknown\`, and an invalid Host header returns ${badHost.status} with the reason \`invalid_host\`.

**Keys** start with \`dbdy_\` and are sent as \`Authorization: Bearer <key>\` or as \`x-api-key: <key>\`. A key is shown once, when it is created. It has scopes and can be limited to websites, a rate and an expiry date.

**Login sessions** use a cookie and are meant only for the dashboard. Requests with methods other than GET also need the header \`${pageHeader}: 1\`. An owner has all scopes. A viewer has \`read:data\` for some or all websites.

**Share links** give access without a login. The dashboard sends the token after \`/share/\` as \`${shareHeader}\`. A share link has the scope \`read:reports\` for one website, or for the tiles of one board.

**Rate limits**: Requests from one address with a website id or a share link ${pages}.${large} Requests with a key are limited by the rate limit of the key.

**Pages of other origins** can call all operations in Events and Page script, with credentials, but nothing under \`/v1\`.`
}

const fieldErrors = {
  type: "array",
  maxItems: maxFieldErrors,
  description: "Invalid fields",
  items: exactly({
    field: {
      type: "string",
      description: "Path of the field. In a batch it starts with the index of the event: `1.properties`",
    },
    message: { type: "string", description: "Requirement that the field does not meet" },
  }),
}

const securitySchemes = (basePath: string): Json => ({
  metricsToken,
  registrySecret,
  bearer: { type: "http", scheme: "bearer", description: "An API key" },
  apiKey: { type: "apiKey", in: "header", name: "x-api-key", description: "An API key" },
  session: {
    type: "apiKey",
    in: "cookie",
    name: sessionCookie,
    description: `Login session; over HTTPS the name is \`${secureCookieName(basePath)}\`. Methods other than GET also need the header \`${pageHeader}: 1\``,
  },
  share: {
    type: "apiKey",
    in: "header",
    name: shareHeader,
    description: "Token of a share link: the part after /share/",
  },
  websiteId: {
    type: "apiKey",
    in: "query",
    name: "website_id",
    description: "Public id of a website. With a key, it is the website of events that have no websiteId",
  },
  clientId: {
    type: "apiKey",
    in: "query",
    name: "client_id",
    description:
      "Public id of a website, under the page script's name for it; used if there is no website_id",
  },
})
