import type { Random } from "../environment.ts"

/** 256 bits: nobody guesses one, so that a fast hash keeps it safe. */
const tokenBytes = 32

/** A secret that is part of an address or a cookie: 43 characters of base64url. */
export function newToken(random: Random): string {
  return Buffer.from(random(new Uint8Array(tokenBytes))).toString("base64url")
}

/** What is kept of it. */
export function hashToken(token: string): Buffer {
  return Buffer.from(Bun.SHA256.hash(token, "hex"), "hex")
}
