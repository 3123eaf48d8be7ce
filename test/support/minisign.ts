import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto"

/** A key pair in the formats of minisign. */
export interface SigningKey {
  publicKey: string
  /** Content of the .minisig file for a message. */
  sign: (message: string | Uint8Array, options?: { legacy?: boolean; comment?: string }) => string
}

export function createSigningKey(id = "12345678"): SigningKey {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519")
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32)
  return {
    publicKey: Buffer.concat([Buffer.from(`Ed${id}`), raw]).toString("base64"),
    sign: (message, options) => signatureFile(Buffer.from(message), id, privateKey, options),
  }
}

function signatureFile(
  message: Buffer,
  id: string,
  key: KeyObject,
  { legacy = false, comment = "timestamp:1" }: { legacy?: boolean; comment?: string } = {},
): string {
  const signed = legacy ? message : createHash("blake2b512").update(message).digest()
  const signature = sign(null, signed, key)
  const line = Buffer.concat([Buffer.from(`${legacy ? "Ed" : "ED"}${id}`), signature]).toString("base64")
  const global = sign(null, Buffer.concat([signature, Buffer.from(comment)]), key).toString("base64")
  return `untrusted comment: signature\n${line}\ntrusted comment: ${comment}\n${global}\n`
}
