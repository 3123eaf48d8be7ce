import pkg from "../package.json" with { type: "json" }

/** Replaced by src/build.ts. */
declare const BUILD_COMMIT: string | undefined

export const version: string = pkg.version

/** The short hash of the commit the binary was built from; "unknown" outside git, "source" when not built. */
export const commit: string = typeof BUILD_COMMIT === "string" ? BUILD_COMMIT : "source"
