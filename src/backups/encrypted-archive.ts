import { createReadStream, createWriteStream } from "node:fs"
import { pipeline, Readable, Transform } from "node:stream"
import { pipeline as pipelineAsync } from "node:stream/promises"
import type { ReadableStream as NodeReadableStream } from "node:stream/web"
import { constants, createZstdCompress, createZstdDecompress } from "node:zlib"
import { codeOf, UserError } from "../errors.ts"
import { readFlagFile } from "../flag-file.ts"
import { createPrivateFile } from "../store/db/files.ts"

// An archive is a backup that is compressed with zstd and, if there is a key, then encrypted with age. The commands
// `age` and `zstd` can open an archive.

/** Suffixes of archive names. */
export const archiveSuffixes = { compressed: ".zst", encrypted: ".zst.age" } as const

/** Number of bytes per read. */
const chunkBytes = 1_048_576
/** Free space is checked each time this many bytes have been written. */
const checkBytes = 8_388_608

/** The keys in a key file from age-keygen. */
export interface BackupKey {
  /** Path of the file, for messages. */
  file: string
  /** Public keys, which encrypt. */
  recipients: readonly string[]
  /** Secret keys, which decrypt. Empty if the file has only public keys. */
  identities: readonly string[]
}

/**
 * Reads a key file from age-keygen. Each line is a secret key (AGE-SECRET-KEY-1…), a public key (age1…) or a comment.
 * Throws a UserError if the file contains no key, or a line of any other kind.
 */
export async function readBackupKey(file: string): Promise<BackupKey> {
  const { Encrypter, identityToRecipient } = await loadAge()
  const lines = readFlagFile("--backup-key", file)
    .toString("utf8")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
  const hint =
    "create the file with `age-keygen -o FILE`, or put the public key (age1…) of an existing key into it"
  if (lines.length === 0) throw new UserError(`--backup-key ${file} contains no key`, hint)
  const identities = lines.filter((line) => line.startsWith("AGE-SECRET-KEY-"))
  try {
    const recipients = await Promise.all(
      lines.map((line) => (identities.includes(line) ? identityToRecipient(line) : line)),
    )
    const check = new Encrypter()
    for (const recipient of recipients) check.addRecipient(recipient)
    return { file, recipients, identities }
  } catch {
    // The line may be part of a secret key, so it is not shown.
    throw new UserError(`--backup-key ${file} contains a line that is not an age key`, hint)
  }
}

/**
 * Returns the file at `path` as a compressed and encrypted stream. If `key` is undefined, the stream is only
 * compressed.
 */
export async function packArchive(
  path: string,
  key: BackupKey | undefined,
): Promise<ReadableStream<Uint8Array>> {
  const compress = createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } })
  // A read error destroys the compressor, so that reading from the compressor fails too.
  pipeline(createReadStream(path, { highWaterMark: chunkBytes }), compress, () => {})
  const compressed = Readable.toWeb(compress) as unknown as ReadableStream<Uint8Array> // Node has its own type for the same class.
  if (!key) return compressed
  const { Encrypter } = await loadAge()
  const encrypter = new Encrypter()
  for (const recipient of key.recipients) encrypter.addRecipient(recipient)
  return encrypter.encrypt(compressed)
}

/** Throws a UserError if the archive called `name` is encrypted and `key` cannot decrypt it. */
export function requireSecretKey(name: string, key: BackupKey | undefined): void {
  if (!name.endsWith(archiveSuffixes.encrypted)) return
  const hint = "set --backup-key to the file with the secret key (AGE-SECRET-KEY-…)"
  if (!key) throw new UserError(`${name} is encrypted`, hint)
  if (key.identities.length > 0) return
  throw new UserError(`${name} is encrypted, and --backup-key ${key.file} has only a public key`, hint)
}

/**
 * Writes the content of an archive to the new file `to`. `name`: the archive's name. Throws a UserError if the archive
 * is damaged. The size of the content is not known in advance, so `checkSpace` is called every few MiB. If it throws,
 * unpacking stops with its error.
 */
export async function unpackArchive(
  archive: ReadableStream<Uint8Array>,
  name: string,
  key: BackupKey | undefined,
  to: string,
  checkSpace: () => void,
): Promise<void> {
  requireSecretKey(name, key)
  const compressed =
    key && name.endsWith(archiveSuffixes.encrypted) ? await decrypt(archive, name, key) : archive
  const fd = createPrivateFile(to)
  try {
    await pipelineAsync(
      Readable.fromWeb(compressed as unknown as NodeReadableStream), // Node has its own type for the same class.
      createZstdDecompress(),
      spaceChecker(checkSpace),
      createWriteStream(to, { fd }),
    )
  } catch (error) {
    if (isIoError(error)) throw error
    throw damaged(name)
  }
}

/** Returns a stream that passes bytes on, calls `checkSpace` every few MiB, and fails if `checkSpace` throws. */
function spaceChecker(checkSpace: () => void): Transform {
  let unchecked = checkBytes
  return new Transform({
    transform(chunk: Uint8Array, _, done) {
      unchecked += chunk.byteLength
      try {
        if (unchecked >= checkBytes) {
          checkSpace()
          unchecked = 0
        }
        done(null, chunk)
      } catch (error) {
        done(error as Error) // `checkSpace` throws only Errors.
      }
    },
  })
}

async function decrypt(archive: ReadableStream<Uint8Array>, name: string, key: BackupKey) {
  const { Decrypter } = await loadAge()
  const decrypter = new Decrypter()
  for (const identity of key.identities) decrypter.addIdentity(identity)
  try {
    return await decrypter.decrypt(archive)
  } catch (error) {
    if (isIoError(error)) throw error
    if (!(error instanceof Error && error.message.startsWith("no identity matched"))) throw damaged(name)
    throw new UserError(
      `${name} is encrypted for a key other than the one in --backup-key ${key.file}`,
      "choose the key file that was in use when the backup was created",
    )
  }
}

/**
 * True for a UserError, and for a disk or connection error. Any other error is caused by the content of the archive.
 */
function isIoError(error: unknown): boolean {
  const code = codeOf(error)
  return error instanceof UserError || (code !== "" && !/^(ZSTD_|Z_|ERR_(ZLIB|BUFFER|ZSTD))/.test(code))
}

function damaged(name: string): UserError {
  return new UserError(`${name} is damaged or incomplete`, "use another backup; nothing was changed")
}

/** Loads the age library on demand, because commands start faster without it. */
function loadAge(): Promise<typeof import("age-encryption")> {
  return import("age-encryption")
}
