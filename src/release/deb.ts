import { createHash } from "node:crypto"
import { ar, type Entry, gzip, tar } from "./archive.ts"

/** Values in a package that depend on the release. */
export interface PackageFacts {
  version: string
  /** Unix seconds. */
  time: number
  maintainer: string
}

/**
 * Returns the version in the form used by dpkg and rpm. The prerelease part starts with a tilde instead of a hyphen, so
 * that a prerelease sorts before its release.
 */
export const packageVersion = (version: string) => version.replaceAll("-", "~")

/** Debian's architecture names by platform. */
export const debianArchitectures: Record<string, string> = { "linux-x64": "amd64", "linux-arm64": "arm64" }

/** Maps names to the scripts that dpkg runs when it installs or removes the package. */
export type MaintainerScripts = Record<"postinst" | "prerm" | "postrm", string>

/**
 * Builds a Debian package. `files` lists all files of the package, with paths that do not start with a slash. Files
 * under etc/ are configuration files, which dpkg does not overwrite. Folders are added automatically.
 */
export function debianPackage(
  files: readonly Extract<Entry, { content: unknown }>[],
  scripts: MaintainerScripts,
  architecture: string,
  { version, time, maintainer }: PackageFacts,
): Uint8Array {
  const md5sums = files
    .filter(({ path }) => !path.startsWith("etc/"))
    .map(({ path, content }) => `${createHash("md5").update(content).digest("hex")}  ${path}\n`)
    .sort()
  const kibibytes = files.reduce((sum, { content }) => sum + Math.ceil(content.length / 1024), 0)
  const control = `Package: databuddy
Version: ${packageVersion(version)}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${kibibytes}
Depends: adduser, init-system-helpers (>= 1.52), libc6 (>= 2.34), libgcc-s1, libstdc++6 (>= 11)
Section: web
Priority: optional
Description: Self-hosted web and product analytics
 Stores page views and custom events in one SQLite file before it answers, and
 shows them on a dashboard. One process, no other services and no telemetry.
`
  const file = (path: string, content: string, mode = 0o644): Entry => ({ path, mode, content })
  const controlArchive = [
    file("control", control),
    file("md5sums", md5sums.join("")),
    file(
      "conffiles",
      files
        .filter(({ path }) => path.startsWith("etc/"))
        .map(({ path }) => `/${path}\n`)
        .join(""),
    ),
    ...Object.entries(scripts).map(([name, script]) => file(name, script, 0o755)),
  ]
  return ar(
    [
      { name: "debian-binary", content: "2.0\n" },
      { name: "control.tar.gz", content: gzip(tar(controlArchive, time, "./")) },
      { name: "data.tar.gz", content: gzip(tar([...foldersOf(files), ...files], time, "./")) },
    ],
    time,
  )
}

/** Returns the folders that contain `files`. */
export function foldersOf(files: readonly { path: string }[]): Entry[] {
  const folders = new Set<string>()
  for (const { path } of files) {
    const parts = path.split("/").slice(0, -1)
    for (let depth = 1; depth <= parts.length; depth++) folders.add(parts.slice(0, depth).join("/"))
  }
  return [...folders].map((path) => ({ path, mode: 0o755, directory: true }))
}
