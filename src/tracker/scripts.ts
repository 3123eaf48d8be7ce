import type { Scripts } from "./bundle.ts"

/** Set by src/build.ts in a binary: the scripts as JSON. */
declare const BUILD_SCRIPTS: string | undefined

/** The scripts of pages; embedded in a binary. A server that runs from source bundles them. */
export async function readScripts(): Promise<Scripts> {
  if (typeof BUILD_SCRIPTS === "string") return JSON.parse(BUILD_SCRIPTS)
  const { bundleScripts } = await import("./bundle.ts")
  return bundleScripts()
}
