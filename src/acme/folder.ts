import { createPrivateKey, X509Certificate } from "node:crypto"
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { codeOf, messageOf, UserError } from "../errors.ts"
import type { ServeOptions } from "../serve-options.ts"
import { type Tls, tlsOf } from "../server/tls.ts"
import { publish, syncFolder } from "../store/db/files.ts"

const folderHint =
  "choose a folder with --acme-dir that the system user running databuddy can write to, such as /var/lib/databuddy/acme; it is created if missing"

/** The certificate in the file, or the reason why the file cannot be used. Undefined if there is no file. */
export type StoredCertificate = { tls: Tls } | { problem: string } | undefined

/**
 * The files for one certificate authority: one with the account key, and one with both the certificate and its private
 * key, so that these two always match. Each authority has its own folder, so that a certificate from a staging
 * authority is not used after switching to the real one.
 */
export class AcmeFolder {
  readonly #folder: string
  readonly #accountFile: string
  readonly certificateFile: string

  /** `db`: path of the database. */
  constructor({ acmeDir, acmeDirectory }: Pick<ServeOptions, "acmeDir" | "acmeDirectory">, db: string) {
    const { host, pathname } = new URL(acmeDirectory)
    const authority = (host + pathname).replace(/[^a-z0-9.]+/gi, "-").replace(/^[.-]+|-+$/g, "")
    this.#folder = join(acmeDir === undefined ? join(dirname(db), "acme") : resolve(acmeDir), authority)
    this.#accountFile = join(this.#folder, "account-key.pem")
    this.certificateFile = join(this.#folder, "certificate.pem")
  }

  /** Creates the folder and checks that files can be written to it. Throws a UserError if this fails. */
  prepare(): void {
    const probe = join(this.#folder, ".probe")
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
      this.#write(probe, "")
      rmSync(probe)
    } catch (error) {
      throw new UserError(`${this.#folder} cannot be written to (${codeOf(error)})`, folderHint)
    }
  }

  /**
   * Returns the account key in PEM. Creates and stores a new key if the file is missing or does not contain a valid
   * key.
   */
  async accountKey(create: () => Promise<Buffer>): Promise<Buffer> {
    const stored = read(this.#accountFile)
    if (stored !== undefined && isKey(stored)) return stored
    const created = await create()
    this.#write(this.#accountFile, created)
    return created
  }

  /** Reads the stored certificate. Throws a UserError if the file exists but cannot be read. */
  readCertificate(): StoredCertificate {
    let pem: Buffer | undefined
    try {
      pem = read(this.certificateFile)
    } catch (error) {
      throw new UserError(
        `${this.certificateFile} cannot be read (${codeOf(error)})`,
        "the system user that runs databuddy must own the file and its folder",
      )
    }
    if (pem === undefined) return undefined
    try {
      const { certificate, key } = split(pem)
      return { tls: parseCertificate(certificate, key) }
    } catch (error) {
      return { problem: messageOf(error) }
    }
  }

  /** Stores a certificate and its private key. Throws an Error if the file cannot be written. */
  writeCertificate({ cert, key }: Tls): void {
    this.#write(this.certificateFile, Buffer.concat([key, cert]))
  }

  /** Replaces the file atomically, with mode 0600. After a crash, the file has either the old or the new content. */
  #write(file: string, content: string | Buffer): void {
    const partial = `${file}.partial`
    // The partial file is removed first, because an existing file would keep its mode.
    rmSync(partial, { force: true })
    writeFileSync(partial, content, { mode: 0o600 })
    const descriptor = openSync(partial, "r+")
    try {
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    publish(partial, file, true)
    syncFolder(this.#folder)
  }
}

/**
 * Parses a certificate chain. `chain`: certificates in PEM, starting with the server's certificate. Throws an Error if
 * the chain is invalid, or if the server's certificate does not match the key.
 */
export function parseCertificate(chain: Buffer, key: Buffer): Tls {
  const certificate = new X509Certificate(chain)
  if (!certificate.checkPrivateKey(createPrivateKey(key))) {
    throw new Error("the certificate does not belong to its private key")
  }
  return tlsOf(certificate, chain, key)
}

function split(pem: Buffer): { certificate: Buffer; key: Buffer } {
  const start = pem.indexOf("-----BEGIN CERTIFICATE-----")
  if (start <= 0) throw new Error("the file does not contain a private key and a certificate in PEM")
  return { key: pem.subarray(0, start), certificate: pem.subarray(start) }
}

function isKey(pem: Buffer): boolean {
  try {
    createPrivateKey(pem)
    return true
  } catch {
    return false
  }
}

function read(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    throw error
  }
}
