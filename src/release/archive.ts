import { crc32, deflateRawSync, gzipSync } from "node:zlib"

// Writes tar, ar and zip archives. The output depends only on the input: all entries have the same time, owners do not
// depend on the users of this machine, and tar and zip entries are sorted.

/** An entry of an archive. The path is relative, without a leading or trailing slash. */
export type Entry = {
  path: string
  /** Permissions, such as 0o644. */
  mode: number
  /** User and group ID. 0 if absent. */
  owner?: number
} & ({ content: Uint8Array | string } | { directory: true } | { linkTo: string })

/** Level 9 takes much longer and hardly makes the executable any smaller. */
const compressionLevel = 6

export function gzip(bytes: Uint8Array, level = compressionLevel): Uint8Array<ArrayBuffer> {
  // zlib writes 0 as the time. It also writes the operating system it was compiled for, so that byte is set to 255
  // ("unknown").
  const packed = new Uint8Array(gzipSync(bytes, { level }))
  packed[9] = 255
  return packed
}

const tarBlock = 512
/** tar reads and writes records of 20 blocks. */
const tarRecord = 20 * tarBlock

/**
 * Creates a tar archive in the ustar format. `time` is in Unix seconds. `prefix`, such as `./`, is prepended to every
 * path. Throws if a path is longer than 100 bytes.
 */
export function tar(entries: readonly Entry[], time: number, prefix = ""): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = []
  let size = 0
  const add = (bytes: Uint8Array) => {
    parts.push(bytes)
    size += bytes.length
  }
  for (const entry of sorted(entries)) {
    const content = contentOf(entry)
    add(tarHeader(entry, content.length, time, prefix))
    add(content)
    add(new Uint8Array(-content.length & (tarBlock - 1)))
  }
  add(new Uint8Array(2 * tarBlock))
  add(new Uint8Array((tarRecord - (size % tarRecord)) % tarRecord))
  return concatenate(parts, size)
}

function tarHeader(entry: Entry, size: number, time: number, prefix: string): Uint8Array {
  const header = Buffer.alloc(tarBlock)
  const name = `${prefix}${entry.path}${"directory" in entry ? "/" : ""}`
  if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long for a tar header`)
  const octal = (value: number, at: number, digits: number) =>
    header.write(value.toString(8).padStart(digits, "0"), at, "latin1")
  header.write(name, 0)
  octal(entry.mode, 100, 7)
  octal(entry.owner ?? 0, 108, 7)
  octal(entry.owner ?? 0, 116, 7)
  octal(size, 124, 11)
  octal(time, 136, 11)
  header.write("directory" in entry ? "5" : "linkTo" in entry ? "2" : "0", 156)
  if ("linkTo" in entry) header.write(entry.linkTo, 157)
  header.write("ustar\0" + "00", 257, "latin1")
  if (!entry.owner) {
    header.write("root", 265)
    header.write("root", 297)
  }
  // The checksum is computed as if its own field contained spaces.
  header.fill(" ", 148, 156)
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  )
  header[154] = 0
  return header
}

/** Creates an ar archive in the format that dpkg reads. Preserves the order of the entries. */
export function ar(
  entries: readonly { name: string; content: Uint8Array | string }[],
  time: number,
): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from("!<arch>\n")]
  for (const { name, content } of entries) {
    const bytes = typeof content === "string" ? Buffer.from(content) : content
    const fields: [string | number, number][] = [
      [name, 16],
      [time, 12],
      [0, 6],
      [0, 6],
      ["100644", 8],
      [bytes.length, 10],
    ]
    const header = fields.map(([value, width]) => String(value).padEnd(width)).join("")
    parts.push(Buffer.from(`${header}\`\n`), bytes)
    if (bytes.length % 2 === 1) parts.push(Buffer.from("\n"))
  }
  return Buffer.concat(parts)
}

/** Creates a zip archive of files, with Unix permissions. Throws if an entry is a directory or a link. */
export function zip(entries: readonly Entry[], time: number): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = []
  const directory: Uint8Array[] = []
  let offset = 0
  for (const entry of sorted(entries)) {
    if (!("content" in entry)) throw new Error(`${entry.path} is not a file`)
    const content = contentOf(entry)
    const packed = deflateRawSync(content, { level: compressionLevel })
    const name = Buffer.from(entry.path)
    // Version 2.0. Flag: the name is in UTF-8. Method 8: deflate.
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(0x800, 2)
    common.writeUInt16LE(8, 4)
    common.writeUInt32LE(dosTime(time), 6)
    common.writeUInt32LE(crc32(content), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(content.length, 18)
    common.writeUInt16LE(name.length, 22)
    parts.push(Buffer.from("PK\x03\x04", "latin1"), common, name, packed)

    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(((0o100000 | entry.mode) << 16) >>> 0, 6)
    tail.writeUInt32LE(offset, 10)
    // 0x314: created on Unix.
    directory.push(Buffer.from("PK\x01\x02\x14\x03", "latin1"), common, tail, name)
    offset += 4 + common.length + name.length + packed.length
  }
  const directoryBytes = Buffer.concat(directory)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(entries.length, 4)
  end.writeUInt16LE(entries.length, 6)
  end.writeUInt32LE(directoryBytes.length, 8)
  end.writeUInt32LE(offset, 12)
  parts.push(directoryBytes, Buffer.from("PK\x05\x06", "latin1"), end)
  return concatenate(
    parts,
    parts.reduce((sum, part) => sum + part.length, 0),
  )
}

/**
 * Returns an MS-DOS date and time in UTC: the date in the upper 16 bits, and the time in the lower 16 bits, with a
 * resolution of two seconds.
 */
function dosTime(time: number): number {
  const date = new Date(time * 1_000)
  const day = ((date.getUTCFullYear() - 1980) << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate()
  const clock = (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1)
  return ((day << 16) | clock) >>> 0
}

function sorted(entries: readonly Entry[]): Entry[] {
  return [...entries].sort((a, b) => (a.path < b.path ? -1 : 1))
}

function contentOf(entry: Entry): Uint8Array {
  if (!("content" in entry)) return new Uint8Array()
  return typeof entry.content === "string" ? Buffer.from(entry.content) : entry.content
}

function concatenate(parts: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(size)
  let offset = 0
  for (const part of parts) {
    result.set(part, offset)
    offset += part.length
  }
  return result
}
