import { createPrivateKey, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import type { ServeOptions } from "../config.ts"
import { UserError } from "../errors.ts"

/** What the server shows clients to prove its name. */
export interface Tls {
  cert: Buffer
  key: Buffer
  /** Why no client will accept the certificate at `now` (Unix ms); undefined: nothing is known against it. */
  validityProblem(now: number): string | undefined
  /** The address with the name that the certificate is for, where it is for one. */
  withCertificateName(url: string): string
  /** What `curl` needs to accept a certificate that nobody else has signed. */
  curlFlags: string
}

const pairHint = "give both, each a file in PEM: --tls-cert fullchain.pem --tls-key privkey.pem"

/** Both files, read once and found to fit together; undefined where neither is given. Throws a Complaint. */
export function readTls({ tlsCert, tlsKey }: Pick<ServeOptions, "tlsCert" | "tlsKey">): Tls | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined) throw new UserError("--tls-key is given without --tls-cert", pairHint)
  if (tlsKey === undefined) throw new UserError("--tls-cert is given without --tls-key", pairHint)
  const cert = read("--tls-cert", tlsCert)
  const key = read("--tls-key", tlsKey)
  const certificate = parse(
    () => new X509Certificate(cert),
    () => `--tls-cert ${tlsCert} holds no certificate in PEM`,
    "give the file that begins with -----BEGIN CERTIFICATE-----",
  )
  const privateKey = parse(
    () => createPrivateKey(key),
    (code) =>
      code === "ERR_MISSING_PASSPHRASE"
        ? `--tls-key ${tlsKey} is encrypted, and nobody is there to type its passphrase`
        : `--tls-key ${tlsKey} holds no private key in PEM`,
    "give the key as PEM without a passphrase, readable for this user alone: openssl pkey -in KEY -out PLAIN",
  )
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new UserError(
      `--tls-key ${tlsKey} is not the key of the first certificate in --tls-cert ${tlsCert}`,
      "give the two that were made together; in the certificate's file the server's own comes first",
    )
  }
  return {
    cert,
    key,
    validityProblem: (now) => validityProblem(certificate, now),
    withCertificateName: (url) => withCertificateName(certificate, url),
    curlFlags: certificate.checkIssued(certificate) ? ` --cacert ${resolve(tlsCert)}` : "",
  }
}

function read(flag: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new UserError(
      `${flag} ${file} cannot be read: ${(error as Error).message}`,
      "name a file that the user whom databuddy runs as may read; with systemd, LoadCredential= hands it one of root's",
    )
  }
}

function parse<Parsed>(
  work: () => Parsed,
  problem: (code: string | undefined) => string,
  hint: string,
): Parsed {
  try {
    return work()
  } catch (error) {
    throw new UserError(problem((error as { code?: string }).code), hint)
  }
}

function validityProblem({ validFrom, validTo }: X509Certificate, now: number): string | undefined {
  if (now > Date.parse(validTo)) return `the certificate ended on ${validTo}: clients will refuse it`
  if (now < Date.parse(validFrom))
    return `the certificate begins on ${validFrom}: clients will refuse it until then`
  return undefined
}

function withCertificateName({ subjectAltName }: X509Certificate, url: string): string {
  const name = /(?:^|, )DNS:([a-z0-9.-]+)(?:,|$)/i.exec(subjectAltName ?? "")?.[1]
  if (name === undefined) return url
  const address = new URL(url)
  address.hostname = name
  return address.origin
}
