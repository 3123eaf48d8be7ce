import { createHash } from "node:crypto"
import { Elysia } from "elysia"
import { compress, fileResponse, lazy, type StaticFile } from "../http/static-files.ts"
import { defaultScriptName, readScripts, scriptNames } from "./scripts.ts"

/**
 * Any page can load the scripts. Browsers only cache the scripts for a day, because their URLs contain no version, and
 * pages must get the new scripts after an upgrade.
 */
const scriptHeaders = {
  "Access-Control-Allow-Origin": "*",
  "Cross-Origin-Resource-Policy": "cross-origin",
  "Cache-Control": "public, max-age=86400",
}

/** Header that contains the `integrity` value of a script. The setup page adds this value to the tag. */
const integrityHeader = "X-Script-Integrity"

interface ScriptFile extends StaticFile {
  etag: string
  integrity: string
}

export interface TrackerSettings {
  /**
   * `ingestPath` is an additional path under which the scripts are served, such as "/e", or "" for none. `basePath` is
   * the path prefix of the server.
   */
  settings: { ingestPath: string; basePath: string }
  /** An additional name for databuddy.js that blocklists do not contain. */
  scriptName: string
}

/** Maps the path of each script to its file. */
export function scriptPaths({ scriptName, settings: { ingestPath } }: TrackerSettings) {
  const files = new Map(scriptNames.map((name) => [name, name]))
  files.set(scriptName, files.get(scriptName) ?? defaultScriptName)
  return [...files].flatMap(([name, file]) =>
    [...new Set(["", ingestPath])].map((prefix) => ({ path: `${prefix}/${name}`, file })),
  )
}

/** Serves the page scripts. databuddy.js is always available under its own name too. */
export function trackerRoutes(settings: TrackerSettings) {
  const app = new Elysia()
  const files = lazy(async () => {
    const sources = Object.entries(await readScripts(settings.settings.basePath))
    const compressed = sources.map(
      async ([name, source]) => [`${name}.js`, await scriptFile(source)] as const,
    )
    return new Map(await Promise.all(compressed))
  })
  for (const { path, file } of scriptPaths(settings)) {
    const respond = async ({ request }: { request: Request }) => scriptResponse(await files(), file, request)
    app.get(path, respond).head(path, respond)
  }
  return app
}

async function scriptFile(source: string): Promise<ScriptFile> {
  const digest = createHash("sha256").update(source).digest("base64url")
  // A weak ETag, because the compressed and the uncompressed response share it.
  const etag = `W/"${digest.slice(0, 22)}"`
  const integrity = `sha384-${createHash("sha384").update(source).digest("base64")}`
  return { ...(await compress("text/javascript; charset=utf-8", Buffer.from(source))), etag, integrity }
}

function scriptResponse(files: ReadonlyMap<string, ScriptFile>, name: string, request: Request): Response {
  const file = files.get(name)
  if (!file) throw new Error(`${name} is missing from the build`)
  const headers = { ...scriptHeaders, ETag: file.etag, [integrityHeader]: file.integrity }
  const response = fileResponse(file, request, headers)
  const known = request.headers.get("if-none-match")
  const isCurrent = known === "*" || known?.split(",").some((etag) => etag.trim() === file.etag)
  if (isCurrent) return new Response(null, { status: 304, headers: response.headers })
  return response
}
