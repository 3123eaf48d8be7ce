import { isUtf8 } from "node:buffer"
import { createReadStream } from "node:fs"
import { pipeline, Readable } from "node:stream"
import { createGunzip } from "node:zlib"

/** A line of a file, counted from 1; `text` is undefined where it is too long, or no UTF-8. */
export interface TextLine {
  number: number
  text: string | undefined
}

/** Bytes of a line. An event has at most 32 KiB of properties, a website a thousand hosts. */
const longest = 1_048_576
const gzipMagic = [0x1f, 0x8b]
const newline = 0x0a

export interface Told {
  /** How many bytes of the file were read so far. */
  onRead: (bytes: number) => void
  /** Why it ends where it does, if it cannot be read on. */
  onBroken: (why: string) => void
}

/** The lines of a file, gzip or not, some at a time; empty ones are left out. */
export async function* readLines(path: string, told: Told): AsyncGenerator<TextLine[]> {
  let rest: Uint8Array = new Uint8Array(0)
  let number = 0
  let skipping = false
  for await (const chunk of unpacked(path, told)) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const lines: TextLine[] = []
    let begin = 0
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, begin)) {
      number++
      if (skipping || end - begin > longest) lines.push({ number, text: undefined })
      else if (end > begin) lines.push(lineOf(number, bytes.subarray(begin, end)))
      skipping = false
      begin = end + 1
    }
    rest = bytes.subarray(begin)
    if (rest.length > longest) {
      skipping = true
      rest = new Uint8Array(0)
    }
    yield lines
  }
  if (skipping) yield [{ number: number + 1, text: undefined }]
  else if (rest.length > 0) yield [lineOf(number + 1, rest)]
}

/** Some programs on Windows begin a file of UTF-8 with it. */
const byteOrderMark = "\ufeff"

function lineOf(number: number, bytes: Uint8Array): TextLine {
  const { text } = textOf(number, bytes)
  // Files can stand one after the other in one, each with its own.
  return { number, text: text?.startsWith(byteOrderMark) ? text.slice(1) : text }
}

function textOf(number: number, bytes: Uint8Array): TextLine {
  return {
    number,
    text: isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString() : undefined,
  }
}

async function* unpacked(path: string, { onRead, onBroken }: Told): AsyncGenerator<Uint8Array> {
  const file = counted(path, onRead)
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
  // Its errors come out of the iteration.
  pipeline(Readable.from(all(), { objectMode: false }), gunzip, () => {})
  try {
    yield* gunzip
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (!code?.startsWith("Z_")) throw error
    onBroken(`its gzip is cut off or damaged (${message})`)
  }
}

async function* counted(path: string, onRead: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  let read = 0
  for await (const chunk of createReadStream(path)) {
    read += chunk.length
    onRead(read)
    yield chunk
  }
}
