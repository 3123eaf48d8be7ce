import { createHash, createPublicKey, verify } from "node:crypto"
import { UserError } from "../errors.ts"

// Implements the key and signature formats of minisign: https://jedisct1.github.io/minisign/

const keyBytes = { algorithm: 2, id: 8, key: 32 }
const signatureBytes = 64
/** The bytes that precede the 32 bytes of an Ed25519 key in DER format (RFC 8410). */
const derPrefix = Buffer.from("302a300506032b6570032100", "hex")

export interface PublicKey {
  id: Buffer
  key: Buffer
}

/**
 * Parses a minisign public key, which is one line of base64. Throws a UserError if `text` is not a minisign public key.
 */
export function parsePublicKey(text: string): PublicKey {
  const bytes = Buffer.from(text.trim(), "base64")
  const expected = keyBytes.algorithm + keyBytes.id + keyBytes.key
  if (bytes.length !== expected || bytes.toString("latin1", 0, 2) !== "Ed") {
    throw new UserError(
      `${text} is not a minisign public key`,
      "use the second line of minisign.pub, which starts with RW",
    )
  }
  return { id: bytes.subarray(2, 10), key: bytes.subarray(10) }
}

/**
 * Verifies a signature. `signatureFile` is the content of a .minisig file. Throws a UserError unless `key` signed both
 * `message` and the trusted comment.
 */
export function verifySignature(message: Uint8Array, signatureFile: string, { id, key }: PublicKey): void {
  const [, line = "", comment = "", global = ""] = signatureFile.split("\n")
  const bytes = Buffer.from(line, "base64")
  const algorithm = bytes.toString("latin1", 0, 2)
  const signature = bytes.subarray(10)
  const isWellFormed =
    ["Ed", "ED"].includes(algorithm) &&
    signature.length === signatureBytes &&
    comment.startsWith("trusted comment: ")
  if (!isWellFormed) throw invalid("SHA256SUMS.minisig is not a minisign signature")
  if (!bytes.subarray(2, 10).equals(id)) throw invalid("the release was signed with a different key")
  const publicKey = createPublicKey({ key: Buffer.concat([derPrefix, key]), format: "der", type: "spki" })
  // "ED" means that the hash of the file was signed. "Ed", used by older versions, means that the file itself was
  // signed.
  const signed = algorithm === "ED" ? createHash("blake2b512").update(message).digest() : message
  if (!verify(null, signed, publicKey, signature)) throw invalid("the signature does not match")
  const trusted = Buffer.concat([signature, Buffer.from(comment.slice("trusted comment: ".length))])
  if (!verify(null, trusted, publicKey, Buffer.from(global, "base64")))
    throw invalid("the signature of the trusted comment does not match")
}

function invalid(reason: string): UserError {
  return new UserError(
    `SHA256SUMS is not signed by the configured key: ${reason}; nothing was changed`,
    "check --public-key and --url; do not install this release if both are correct",
  )
}
