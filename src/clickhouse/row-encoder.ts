/** Bytes per chunk. A chunk holds at least several hundred events. */
const chunkBytes = 1_048_576
/**
 * A string of up to this many UTF-16 code units has at most three times as many UTF-8 bytes, so its length fits into a
 * varint of one byte.
 */
const shortText = 42

/** Encodes rows in the format RowBinary. */
export class RowEncoder {
  /** Full chunks. */
  #chunks: Uint8Array[] = []
  #chunk: Buffer = Buffer.allocUnsafe(chunkBytes)
  #at = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes + this.#at
  }

  /** Returns the encoded rows in chunks. */
  finish(): Uint8Array[] {
    return [...this.#chunks, this.#chunk.subarray(0, this.#at)]
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#chunk.length) return
    this.#chunks.push(this.#chunk.subarray(0, this.#at))
    this.#bytes += this.#at
    this.#chunk = Buffer.allocUnsafe(Math.max(chunkBytes, bytes))
    this.#at = 0
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#chunk[this.#at++] = value
  }

  /** Writes a 64-bit integer, little endian. */
  integer(value: number): void {
    this.#reserve(8)
    this.#chunk.writeInt32LE(value | 0, this.#at)
    this.#chunk.writeInt32LE(Math.floor(value / 4_294_967_296), this.#at + 4)
    this.#at += 8
  }

  /** Writes a string: its length in bytes as a varint, then its UTF-8 bytes. */
  text(text: string): void {
    if (text.length <= shortText) {
      this.#reserve(1 + text.length * 3)
      const length = this.#chunk.write(text, this.#at + 1)
      this.#chunk[this.#at] = length
      this.#at += 1 + length
      return
    }
    const length = Buffer.byteLength(text)
    this.#varint(length)
    this.#reserve(length)
    this.#at += this.#chunk.write(text, this.#at)
  }

  /** Writes an array of strings. */
  texts(list: readonly string[]): void {
    this.#varint(list.length)
    for (const text of list) this.text(text)
  }

  #varint(value: number): void {
    let rest = value
    for (; rest >= 0x80; rest >>>= 7) this.byte((rest & 0x7f) | 0x80)
    this.byte(rest)
  }
}
