import type { Scripts } from "./bundle.ts"

/** Name of the script that pages load, unless `--script-name` adds another one. */
export const defaultScriptName = "databuddy.js"

/** All scripts; the first one loads the others. */
export const scriptNames: readonly string[] = [
  defaultScriptName,
  ...["databuddy-debug", "vitals", "errors", "engagement", "pixel"].map((name) => `${name}.js`),
]

/** Set by src/build.ts in a binary: the scripts as JSON. */
declare const BUILD_SCRIPTS: string | undefined

/** Stands for `basePath` in the embedded scripts. */
export const basePathPlaceholder = "/BASE-PATH"

/**
 * The scripts of pages; embedded in a binary. A server that runs from source bundles them. `basePath`: the path prefix
 * to which they send, on the host that they are loaded from.
 */
export async function readScripts(basePath: string): Promise<Scripts> {
  if (typeof BUILD_SCRIPTS === "string")
    return JSON.parse(BUILD_SCRIPTS.replaceAll(basePathPlaceholder, basePath))
  const { bundleScripts } = await import("./bundle.ts")
  return bundleScripts(basePath)
}
