import type { Scripts } from "./bundle.ts"

/** Name of the script that pages load. `--script-name` can add another name. */
export const defaultScriptName = "databuddy.js"

/** File names of all scripts. The first two load the others on demand. */
export const scriptNames: readonly string[] = [
  defaultScriptName,
  ...["databuddy-debug", "vitals", "errors", "engagement", "pixel"].map((name) => `${name}.js`),
]

/** Set by src/build.ts in compiled binaries: the scripts as JSON. */
declare const BUILD_SCRIPTS: string | undefined

/** Placeholder for `basePath` in the embedded scripts. */
export const basePathPlaceholder = "/BASE-PATH"

/**
 * Returns the page scripts, which are embedded in a compiled binary. A server that runs from source bundles them
 * instead. `basePath` is the prefix of the paths to which the scripts send events, on the host from which they were
 * loaded.
 */
export async function readScripts(basePath: string): Promise<Scripts> {
  if (typeof BUILD_SCRIPTS === "string")
    return JSON.parse(BUILD_SCRIPTS.replaceAll(basePathPlaceholder, basePath))
  const { bundleScripts } = await import("./bundle.ts")
  return bundleScripts(basePath)
}
