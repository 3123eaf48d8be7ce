import { rejections } from "../errors.ts"
import { shareHeader } from "../http/caller.ts"
import { pageHeader, sessionCookie } from "../http/login-session.ts"
import { maxErrors } from "../http/validation.ts"
import { version } from "../version.ts"
import { managePaths, manageSchemas } from "./admin.ts"
import { headers } from "./answers.ts"
import { healthPaths } from "./health.ts"
import { ingestPaths, ingestSchemas, type Limits } from "./ingest.ts"
import { exactly, type Json } from "./json.ts"
import { metricsPaths, metricsToken } from "./metrics.ts"
import { askPaths, askSchemas } from "./query.ts"
import { savedPaths, savedSchemas } from "./saved.ts"
import { peoplePaths, peopleSchemas } from "./users.ts"

/**
 * The OpenAPI description of every route that takes or gives data. Types, limits, statuses and messages are those of the
 * schemas and tables that the routes themselves work with.
 */
export async function openapi(limits: Limits): Promise<Json> {
  return {
    openapi: "3.1.1",
    info: {
      title: "Databuddy",
      version,
      license: { name: "MIT", identifier: "MIT" },
      summary: "Custom events, stored before they are answered",
      description: introduction(limits),
    },
    servers: [{ url: "/", description: "This server" }],
    tags: [
      { name: "Events", description: "What clients send" },
      { name: "Queries", description: "What was stored" },
      { name: "Websites", description: "Where events belong" },
      { name: "Keys", description: "Who may do what" },
      { name: "People", description: "Who may log in" },
      { name: "Profiles", description: "Who was identified" },
      { name: "Notes and views", description: "What is kept beside events" },
      { name: "Share links", description: "Who else may look" },
      { name: "Export", description: "What goes out" },
      { name: "Refusals", description: "What was not taken" },
      { name: "Server", description: "Is it well?" },
    ],
    paths: {
      ...(await ingestPaths(limits)),
      ...(await askPaths()),
      ...(await managePaths()),
      ...(await peoplePaths()),
      ...(await savedPaths()),
      ...(await healthPaths()),
      ...(await metricsPaths()),
    },
    components: {
      schemas: {
        ...ingestSchemas,
        ...askSchemas,
        ...manageSchemas,
        ...peopleSchemas,
        ...savedSchemas,
        FieldErrors: fieldErrors,
      },
      headers,
      securitySchemes,
    },
  }
}

function introduction({ rateLimit, rateLimitEvents, rateLimitBytes }: Limits): string {
  const { route_unknown: unknown, invalid_host: badHost } = rejections
  const pages = rateLimit === 0 ? "are not limited" : `may be ${rateLimit} a minute`
  const sizes = [
    rateLimitEvents && `${rateLimitEvents} events`,
    rateLimitBytes && `${rateLimitBytes} bytes`,
  ].filter(Boolean)
  const large =
    rateLimit === 0 || sizes.length === 0
      ? ""
      : ` They may bring ${sizes.join(" and ")} a minute: a large one counts as several.`
  return `Every answer carries \`x-request-id\`, every error \`x-databuddy-reason\`: one stable word that says why. A path that does not exist is a ${unknown.status} with the reason \`route_unknown\`, a Host header that is none a ${badHost.status} with the reason \`invalid_host\`.

**Keys** begin with \`dbdy_\` and are sent as \`Authorization: Bearer <key>\` or as \`x-api-key: <key>\`. One is shown once, when it is made; a key has scopes, and may be limited to some websites, to a rate and to a date.

**Logins** of people are a cookie, which nothing but this server's own page is meant to use: a request that is more than a look needs \`${pageHeader}: 1\` beside it. An owner has all scopes; a viewer has \`read:data\`, for some websites or all.

**Share links** are for people without a login: the server's own page sends what stands behind \`/share/\` as \`${shareHeader}\`. One has the scope \`read:reports\`, for one website.

**Limits** Requests with a website id or a share link, from one address, ${pages}; those with a key may be as many as the key says.${large}

**Pages of other origins** may call \`/track\` and \`/identify\`, with credentials; nothing under \`/v1\` answers them.`
}

const fieldErrors = {
  type: "array",
  maxItems: maxErrors,
  description: "The bad fields",
  items: exactly({
    field: { type: "string", description: "Its path, in a batch after the event's index: `1.properties`" },
    message: { type: "string", description: "What it must be" },
  }),
}

const securitySchemes: Json = {
  metricsToken,
  bearer: { type: "http", scheme: "bearer", description: "An API key" },
  apiKey: { type: "apiKey", in: "header", name: "x-api-key", description: "An API key" },
  session: {
    type: "apiKey",
    in: "cookie",
    name: sessionCookie,
    description: `A person's login; over HTTPS the name is \`__Host-${sessionCookie}\`. With methods other than GET it needs the header \`${pageHeader}: 1\``,
  },
  share: {
    type: "apiKey",
    in: "header",
    name: shareHeader,
    description: "The token of a share link, which is what stands behind /share/ in it",
  },
  websiteId: {
    type: "apiKey",
    in: "query",
    name: "website_id",
    description:
      "The public id of a website. Beside a key it says which website events belong to that name none",
  },
  clientId: {
    type: "apiKey",
    in: "query",
    name: "client_id",
    description: "The same, as the browser script's beacons send it; read where there is no website_id",
  },
}
