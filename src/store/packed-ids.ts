/** Prefixes of the page script's ids. Append only: the index is stored behind the UUID, except that of the first. See migrations/0015_texts.sql. */
const prefixes = ["", "anon_", "sess_"] as const

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const uuidLength = 36
const uuidBytes = 16
const prefixLength = 5

/** Packs a UUID in 16 bytes, and a UUID behind a known prefix in 17. Undefined if the text is anything else. */
export function packId(text: string): Buffer | undefined {
  const { length } = text
  if (length === uuidLength) return uuid.test(text) ? Buffer.from(text.replaceAll("-", ""), "hex") : undefined
  if (length !== uuidLength + prefixLength) return undefined
  const prefix = text.startsWith(prefixes[1]) ? 1 : text.startsWith(prefixes[2]) ? 2 : 0
  if (prefix === 0) return undefined
  const bare = text.slice(prefixLength)
  return uuid.test(bare) ? Buffer.from(`${bare.replaceAll("-", "")}0${prefix}`, "hex") : undefined
}

/** Returns the text of a packed id. */
export function unpackId(packed: Uint8Array): string {
  const hex = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength).toString("hex", 0, uuidBytes)
  const prefix = prefixes[packed[uuidBytes] ?? 0] ?? ""
  return `${prefix}${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The stored form of an event id: only the bytes if it is a UUID. */
export function storedEventId(text: string): string | Buffer {
  return (text.length === uuidLength && packId(text)) || text
}

/** Returns the event id of its stored form. */
export function eventIdOf(stored: string | Uint8Array | null): string | null {
  return stored === null || typeof stored === "string" ? stored : unpackId(stored)
}
