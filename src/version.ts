import pkg from "../package.json" with { type: "json" }

/** Set by src/build.ts in a binary. */
declare const BUILD_COMMIT: string | undefined
declare const BUILD_VERSION: string | undefined

export const version: string = typeof BUILD_VERSION === "string" ? BUILD_VERSION : pkg.version

/**
 * Short hash of the commit that the binary was built from; "unknown" if built outside git, "source" if run from source.
 */
export const commit: string = typeof BUILD_COMMIT === "string" ? BUILD_COMMIT : "source"
