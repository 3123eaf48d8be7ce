import type { Random } from "../environment.ts"

/** 256 bits. A token of this size cannot be guessed, so a fast hash is safe. */
const tokenBytes = 32

/** Returns a new secret for a URL or a cookie. It consists of 43 characters of base64url. */
export function newToken(random: Random): string {
  return Buffer.from(random(new Uint8Array(tokenBytes))).toString("base64url")
}

/** Returns the SHA-256 that is stored in place of a token. */
export function hashToken(token: string): Buffer {
  return Buffer.from(Bun.SHA256.hash(token, "hex"), "hex")
}
