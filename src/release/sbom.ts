import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { BundledPackage } from "./bundled-packages.ts"
import { runtimeLibraries } from "./runtime.ts"

/** Information about the release that the SBOM contains. */
export interface ReleaseFacts {
  version: string
  /** Full hash of the commit. */
  commit: string
  /** Time of the commit in Unix seconds. */
  time: number
}

/**
 * Returns a list of the software in the binary, as CycloneDX 1.6 JSON. Uses the time of the commit, so that building a
 * commit twice produces the same bytes.
 */
export function cycloneDx(
  root: string,
  components: readonly BundledPackage[],
  { version, commit, time }: ReleaseFacts,
): string {
  const hashes = lockedHashes(root)
  const library = ({ name, version, license }: BundledPackage) => {
    const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`
    const hash = hashes.get(`${name}@${version}`)
    return {
      type: "library",
      "bom-ref": purl,
      name,
      version,
      ...(hash ? { hashes: [{ alg: "SHA-512", content: hash }] } : {}),
      licenses: [{ license: { id: license } }],
      purl,
    }
  }
  const linked = runtimeLibraries.map(({ name, license, url }) => ({
    type: name === "Bun" ? "framework" : "library",
    "bom-ref": `runtime:${name}`,
    name,
    ...(name === "Bun" ? { version: Bun.version } : {}),
    licenses: [{ license: { id: license } }],
    externalReferences: [{ type: "vcs", url }],
  }))
  const main = `pkg:generic/databuddy-selfhosted@${version}`
  const body = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuidOf(commit)}`,
    version: 1,
    metadata: {
      timestamp: new Date(time * 1_000).toISOString(),
      component: {
        type: "application",
        "bom-ref": main,
        name: "databuddy-selfhosted",
        version,
        licenses: [{ license: { id: "MIT" } }],
        purl: main,
        properties: [{ name: "commit", value: commit }],
      },
    },
    components: [...components.map(library), ...linked],
    dependencies: [
      { ref: main, dependsOn: [...components.map((one) => library(one).purl), "runtime:Bun"] },
      {
        ref: "runtime:Bun",
        dependsOn: linked.map((one) => one["bom-ref"]).filter((ref) => ref !== "runtime:Bun"),
      },
    ],
  }
  return `${JSON.stringify(body, null, 2)}\n`
}

/** Returns the hexadecimal SHA-512 hashes of the packages in bun.lock, by `name@version`. */
function lockedHashes(root: string): Map<string, string> {
  const lock = readFileSync(join(root, "bun.lock"), "utf8")
  const entries = lock.matchAll(/: \["([^"]+)", .*"sha512-([^"]+)"\]/g)
  return new Map(
    [...entries].map(([, id = "", hash = ""]) => [id, Buffer.from(hash, "base64").toString("hex")]),
  )
}

/** Derives a version 8 (custom) UUID from the hash of a string. */
function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex")
  const variant = "89ab"[Number.parseInt(hex[16] ?? "0", 16) % 4]
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
