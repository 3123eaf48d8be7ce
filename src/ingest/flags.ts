import type { IngestRoute } from "./handle.ts"

/**
 * GET /public/v1/flags/bulk. This server has no feature flags, so the response contains none, and clients use their
 * defaults immediately.
 */
export const flagsRoute: IngestRoute = {
  method: "GET",
  path: "/public/v1/flags/bulk",
  handle: (_, { headers }) =>
    new Response('{"flags":{}}', { headers: { ...headers, "Cache-Control": "no-store" } }),
}
