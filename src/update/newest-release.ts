import { download, type Release } from "./download.ts"
import { type PublicKey, verifySignature } from "./minisign.ts"

/** Maximum size of SHA256SUMS and of its signature, in bytes. SHA256SUMS is about 2 KB in size. */
const maxBytes = 1_048_576

/**
 * Returns the newest version that a signed SHA256SUMS lists for a platform, or undefined if there is none. A prerelease
 * only replaces another prerelease. Throws a UserError if the download or the signature is invalid.
 */
export async function newestRelease(
  url: string,
  platform: string,
  key: PublicKey,
  runningVersion: string,
): Promise<Release | undefined> {
  const sums = await download(url, "SHA256SUMS", maxBytes)
  const signature = await download(url, "SHA256SUMS.minisig", maxBytes)
  verifySignature(sums, Buffer.from(signature).toString("utf8"), key)
  const releases = releasesIn(Buffer.from(sums).toString("utf8"), platform)
  return newestFor(runningVersion, releases)
}

/** Returns the newest of these releases that can replace the running version. `releases` is sorted, oldest first. */
export function newestFor(runningVersion: string, releases: readonly Release[]): Release | undefined {
  return releases.findLast(({ version }) => isPrerelease(runningVersion) || !isPrerelease(version))
}

/** Returns true for 1.2.0-rc.1, but not for 1.2.0+build-1. */
const isPrerelease = (version: string) => /^[\d.]+-/.test(version)

/** Parses the output of sha256sum, and returns the releases for a platform, from oldest to newest. */
export function releasesIn(sums: string, platform: string): Release[] {
  const name = new RegExp(
    `^([0-9a-f]{64}) [ *](databuddy-(\\d+\\.\\d+\\.\\d+[\\w.+-]*?)-${platform}\\.tar\\.gz)$`,
    "gm",
  )
  const releases = [...sums.matchAll(name)].map(([, sha256 = "", archive = "", version = ""]) => {
    return { version, archive, sha256 }
  })
  return releases.sort((a, b) => Bun.semver.order(a.version, b.version))
}
