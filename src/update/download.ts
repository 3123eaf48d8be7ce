import { createHash } from "node:crypto"
import { gunzipSync } from "node:zlib"
import { messageOf, UserError } from "../errors.ts"

/** A release for this platform. */
export interface Release {
  version: string
  /** Name of the archive. */
  archive: string
  sha256: string
}

/** Maximum sizes in bytes. An archive is about 65 MB in size, and the program in it about 135 MB. */
const maxArchive = 536_870_912
const maxProgram = 1_073_741_824

/** Maximum duration of a download, in ms. */
const timeout = 600_000

/**
 * Downloads an archive, verifies its checksum and returns the program it contains. Throws a UserError if any of these
 * steps fails.
 */
export async function downloadProgram(
  url: string,
  { archive, sha256 }: Release,
): Promise<Uint8Array<ArrayBuffer>> {
  const packed = await download(url, archive, maxArchive)
  if (createHash("sha256").update(packed).digest("hex") !== sha256) {
    throw new UserError(
      `${archive} does not have the checksum in SHA256SUMS; nothing was changed`,
      "try again; the download was damaged, or the file on the server was replaced",
    )
  }
  const program = fileInTar(gunzipSync(packed, { maxOutputLength: maxProgram }), "databuddy")
  if (!program) {
    throw new UserError(
      `${archive} does not contain a file named databuddy; nothing was changed`,
      "check --url, or wait for the next release",
    )
  }
  return program
}

/** Returns the content of the first file with this name, in any folder of a ustar archive. */
function fileInTar(archive: Uint8Array, name: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.length)
  for (let at = 0; at + 512 <= bytes.length; ) {
    const path = bytes.toString("utf8", at, at + 100).replace(/\0.*$/s, "")
    const size = Number.parseInt(bytes.toString("latin1", at + 124, at + 135), 8)
    if (path === "" || Number.isNaN(size)) return undefined
    const isFile = bytes[at + 156] === 0x30
    if (isFile && path.split("/").at(-1) === name)
      return new Uint8Array(bytes.subarray(at + 512, at + 512 + size))
    at += 512 + Math.ceil(size / 512) * 512
  }
  return undefined
}

/** Downloads a file of at most `max` bytes from a release. Throws a UserError on failure. */
export async function download(base: string, name: string, max: number): Promise<Uint8Array> {
  const url = `${base.replace(/\/$/, "")}/${name}`
  const fail = (reason: string) =>
    new UserError(
      `${url} cannot be downloaded: ${reason}; nothing was changed`,
      "check --url and the network",
    )
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeout) })
    if (!response.ok || !response.body) throw fail(`status ${response.status}`)
    const parts: Uint8Array[] = []
    let size = 0
    for await (const part of response.body) {
      size += part.length
      if (size > max) throw fail(`the file is larger than ${max} bytes`)
      parts.push(part)
    }
    return Buffer.concat(parts)
  } catch (error) {
    throw error instanceof UserError ? error : fail(messageOf(error))
  }
}
