import { createPrivateKey, X509Certificate } from "node:crypto"
import { resolve } from "node:path"
import { codeOf, UserError } from "../errors.ts"
import { readFlagFile } from "../flag-file.ts"
import type { ServeOptions } from "../serve-options.ts"

/** The certificate and key of the server, in PEM format. */
export interface Tls {
  cert: Buffer
  key: Buffer
  /** Start and end of the validity period, in Unix ms. */
  validFrom: number
  expiresAt: number
  /** Time at which the certificate expires, in ISO 8601. */
  validTo: string
  /** Returns true if clients accept the certificate for this DNS name. */
  covers(name: string): boolean
  /**
   * Returns why clients reject the certificate at `now` (Unix ms): it has expired or is not valid yet. Returns
   * undefined if it is valid.
   */
  validityProblem(now: number): string | undefined
  /** Replaces the host of `url` with a DNS name from the certificate, if there is one. */
  withCertificateName(url: string): string
  /** Flags with which `curl` accepts the certificate if it is self-signed. Empty otherwise. */
  curlFlags: string
}

const fileHint =
  "choose a file that the system user running databuddy can read; with systemd, LoadCredential= provides access to a file that only root can read"
const pairHint = "set both, each to a PEM file: --tls-cert fullchain.pem --tls-key privkey.pem"

/**
 * Reads both files and checks that they match. Returns undefined if neither flag is set. Throws a UserError if a file
 * is missing or cannot be used.
 */
export function readTls({ tlsCert, tlsKey }: Pick<ServeOptions, "tlsCert" | "tlsKey">): Tls | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined) throw new UserError("--tls-key is set without --tls-cert", pairHint)
  if (tlsKey === undefined) throw new UserError("--tls-cert is set without --tls-key", pairHint)
  const { cert, certificate } = readTlsCertificate(tlsCert)
  const key = readFlagFile("--tls-key", tlsKey, fileHint)
  const privateKey = parse(
    () => createPrivateKey(key),
    (code) =>
      code === "ERR_MISSING_PASSPHRASE"
        ? `--tls-key ${tlsKey} is encrypted, and the server cannot ask for its passphrase`
        : `--tls-key ${tlsKey} does not contain a PEM private key`,
    "convert the key to PEM without a passphrase, readable only by this user: `openssl pkey -in KEY -out PLAIN`",
  )
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new UserError(
      `--tls-key ${tlsKey} is not the key of the first certificate in --tls-cert ${tlsCert}`,
      "use the key of the server's certificate, and put that certificate first in the --tls-cert file",
    )
  }
  return tlsOf(
    certificate,
    cert,
    key,
    certificate.checkIssued(certificate) ? ` --cacert ${resolve(tlsCert)}` : "",
  )
}

/** Reads the certificate without its key. Throws a UserError if the file cannot be used. */
export function readTlsCertificate(tlsCert: string): { cert: Buffer; certificate: X509Certificate } {
  const cert = readFlagFile("--tls-cert", tlsCert, fileHint)
  const certificate = parse(
    () => new X509Certificate(cert),
    () => `--tls-cert ${tlsCert} does not contain a PEM certificate`,
    "choose the file that starts with -----BEGIN CERTIFICATE-----",
  )
  return { cert, certificate }
}

/** `certificate` is the first certificate in `cert`. Both are in PEM format. */
export function tlsOf(certificate: X509Certificate, cert: Buffer, key: Buffer, curlFlags = ""): Tls {
  const expiresAt = Date.parse(certificate.validTo)
  return {
    cert,
    key,
    validFrom: Date.parse(certificate.validFrom),
    expiresAt,
    validTo: new Date(expiresAt).toISOString(),
    covers: (name) => certificate.checkHost(name) !== undefined,
    validityProblem: (now) => validityProblem(certificate, now),
    withCertificateName: (url) => withCertificateName(certificate, url),
    curlFlags,
  }
}

function parse<Parsed>(work: () => Parsed, problem: (code: string) => string, hint: string): Parsed {
  try {
    return work()
  } catch (error) {
    throw new UserError(problem(codeOf(error)), hint)
  }
}

function validityProblem({ validFrom, validTo }: X509Certificate, now: number): string | undefined {
  if (now > Date.parse(validTo)) return `the certificate expired on ${validTo}: clients will reject it`
  if (now < Date.parse(validFrom))
    return `the certificate is not valid before ${validFrom}: clients will reject it until then`
  return undefined
}

function withCertificateName({ subjectAltName }: X509Certificate, url: string): string {
  const name = /(?:^|, )DNS:([a-z0-9.-]+)(?:,|$)/i.exec(subjectAltName ?? "")?.[1]
  if (name === undefined) return url
  const address = new URL(url)
  address.hostname = name
  return address.href.replace(/\/$/, "")
}
