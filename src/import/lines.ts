import { isUtf8 } from "node:buffer"
import { createReadStream } from "node:fs"
import { pipeline, Readable } from "node:stream"
import { createGunzip } from "node:zlib"

/** A line of a file, numbered from 1. `text` is undefined if it is too long or not UTF-8. */
export interface TextLine {
  number: number
  text: string | undefined
}

/**
 * Maximum number of bytes in a line. Valid lines are shorter, because an event has at most 32 KiB of properties, and a
 * website has at most a thousand hosts.
 */
const maxLineBytes = 1_048_576
const gzipMagic = [0x1f, 0x8b]
const newline = 0x0a

export interface ReadCallbacks {
  /** Called with the total number of bytes that have been read from the file. */
  onRead: (bytes: number) => void
  /** Called with the reason if the file ends prematurely. */
  onBroken: (reason: string) => void
}

/**
 * Reads the lines of a file, gzipped or not, in batches. Skips blank lines, which editors and CRLF line endings can
 * leave.
 */
export async function* readLines(path: string, callbacks: ReadCallbacks): AsyncGenerator<TextLine[]> {
  let rest: Uint8Array = new Uint8Array(0)
  let number = 0
  let skipping = false
  for await (const chunk of decompress(path, callbacks)) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const lines: TextLine[] = []
    let start = 0
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
      number++
      if (skipping || end - start > maxLineBytes) lines.push({ number, text: undefined })
      else lines.push(...lineOf(number, bytes.subarray(start, end)))
      skipping = false
      start = end + 1
    }
    rest = bytes.subarray(start)
    if (rest.length > maxLineBytes) {
      skipping = true
      rest = new Uint8Array(0)
    }
    yield lines
  }
  if (skipping) yield [{ number: number + 1, text: undefined }]
  else yield lineOf(number + 1, rest)
}

/** Some Windows programs write a byte order mark at the start of UTF-8 files. */
const byteOrderMark = "\ufeff"

/** Decodes a line. Returns an empty list if it is blank. */
function lineOf(number: number, bytes: Uint8Array): TextLine[] {
  if (!isUtf8(bytes)) return [{ number, text: undefined }]
  const line = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
  // Concatenated files can each have a byte order mark.
  const text = line.startsWith(byteOrderMark) ? line.slice(1) : line
  return text.trim() === "" ? [] : [{ number, text }]
}

async function* decompress(path: string, { onRead, onBroken }: ReadCallbacks): AsyncGenerator<Uint8Array> {
  const file = readChunks(path, onRead)
  const first = await file.next()
  if (first.done) return
  async function* all() {
    yield first.value
    yield* file
  }
  if (!gzipMagic.every((byte, index) => first.value[index] === byte)) {
    yield* all()
    return
  }
  const gunzip = createGunzip()
  // Errors are thrown by iterating over `gunzip`.
  pipeline(Readable.from(all(), { objectMode: false }), gunzip, () => {})
  try {
    yield* gunzip
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (!code?.startsWith("Z_")) throw error
    onBroken(`the gzip data is truncated or damaged (${message})`)
  }
}

async function* readChunks(path: string, onRead: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  let read = 0
  for await (const chunk of createReadStream(path)) {
    read += chunk.length
    onRead(read)
    yield chunk
  }
}
