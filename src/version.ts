import pkg from "../package.json" with { type: "json" }

/** Set by src/build.ts in compiled binaries. */
declare const BUILD_COMMIT: string | undefined
declare const BUILD_VERSION: string | undefined

export const version: string = typeof BUILD_VERSION === "string" ? BUILD_VERSION : pkg.version

/**
 * Short hash of the commit from which the binary was built. It is "unknown" if the binary was built outside git, and
 * "source" when running from source.
 */
export const commit: string = typeof BUILD_COMMIT === "string" ? BUILD_COMMIT : "source"
