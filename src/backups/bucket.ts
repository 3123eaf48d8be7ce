import { codeOf, UserError } from "../errors.ts"
import { readCredentials } from "./credentials.ts"
import { archiveSuffixes } from "./encrypted-archive.ts"
import { type Backup, backupName, parseBackupTime } from "./files.ts"

/** A location in a bucket: a folder of archives, or a single archive. */
export interface BucketLocation {
  bucket: string
  /** A path that ends with a slash, or ''. */
  prefix: string
  /** Name of one archive in the folder. Undefined for the whole folder. */
  name: string | undefined
}

/** How to reach a bucket. */
export interface BucketOptions {
  /** URL of the S3 server. The default is Amazon's. */
  backupEndpoint?: string | undefined
  /** File with the access key. By default, the key is in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. */
  backupCredentials?: string | undefined
}

/** An archive in a bucket. `file` is its s3:// URL. */
export interface BucketBackup extends Backup {
  bytes: number
}

/** The monotonic clock and the timer for timeouts. */
interface Timer {
  elapsed: () => number
  sleep: (ms: number) => Promise<void>
}

/** Minimum size of an upload part, in bytes. Parts that are being uploaded are held in memory. */
const minPartBytes = 8_388_608
const partsInFlight = 2
/**
 * The part size is chosen so that the uncompressed file would need at most this many parts. S3 allows 10,000. The
 * difference is a reserve, because encryption adds bytes and some data grows when compressed.
 */
const maxParts = 9_000
/** Bun retries a failed request this many times. */
const retries = 3
/** Timeout of a request without a body, in ms. */
const requestTimeout = 30_000
/** Maximum ms without progress in a transfer. This is long enough for 16 MiB at 30 kB/s. */
const stallTimeout = 600_000
/**
 * An upload that has failed or was stopped has this many ms to delete its parts. Bun deletes them in the background,
 * usually in one round trip.
 */
const abortTimeout = 1_500
/** ms between checks of the timeouts. */
const checkInterval = 200

export const bucketFormat = "a bucket and an optional prefix, such as s3://my-bucket/databuddy"

/** Parses an s3:// URL. Returns undefined if `url` is not an s3:// URL, or if its bucket name is invalid. */
export function parseBucketUrl(url: string): BucketLocation | undefined {
  const [, bucket, path = ""] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([^?#]*))?$/.exec(url) ?? []
  if (bucket === undefined) return undefined
  const parts = path.split("/").filter((part) => part !== "")
  const isArchive = Object.values(archiveSuffixes).some((suffix) => parts.at(-1)?.endsWith(suffix))
  const name = isArchive ? parts.pop() : undefined
  return { bucket, prefix: parts.map((part) => `${part}/`).join(""), name }
}

/** Returns the location in `url`. Throws a UserError if `url` is not a valid s3:// URL. */
export function requireBucketUrl(url: string): BucketLocation {
  const location = parseBucketUrl(url)
  if (location) return location
  throw new UserError(`${url} is not valid`, `give ${bucketFormat}`)
}

/** True if a command's argument is an s3:// URL rather than a path. */
export function isBucketUrl(text: string): boolean {
  return text.startsWith("s3://")
}

/** Returns a name such as `databuddy-20261124T003800Z.db.zst.age`. */
export function archiveName(db: string, at: number, isEncrypted: boolean): string {
  return backupName(db, at) + (isEncrypted ? archiveSuffixes.encrypted : archiveSuffixes.compressed)
}

/**
 * The archives in a folder of a bucket. All methods throw a UserError if the server cannot be reached or responds with
 * an error.
 */
export class Bucket {
  /** For example `s3://bucket/prefix/`. */
  readonly url: string
  readonly #client: Bun.S3Client
  readonly #host: string

  constructor(
    private readonly location: BucketLocation,
    options: BucketOptions,
    env: NodeJS.ProcessEnv,
    private readonly timer: Timer,
  ) {
    const { bucket, prefix } = location
    const { region, ...credentials } = readCredentials(options.backupCredentials, env)
    // The endpoint is always set, because Bun would otherwise read it from other environment variables.
    const endpoint = options.backupEndpoint ?? `https://s3.${region ?? "us-east-1"}.amazonaws.com`
    this.url = `s3://${bucket}/${prefix}`
    this.#host = new URL(endpoint).host
    this.#client = new Bun.S3Client({ ...credentials, bucket, endpoint, ...(region && { region }) })
  }

  urlOf(name: string): string {
    return this.url + name
  }

  /** Lists the archives of `db`, oldest first. Ignores all other objects. */
  async list(db: string): Promise<BucketBackup[]> {
    const { prefix } = this.location
    const found: BucketBackup[] = []
    let startAfter: string | undefined
    for (;;) {
      const page = await this.#request("listed", () =>
        this.#client.list({ prefix, ...(startAfter !== undefined && { startAfter }) }),
      )
      const contents = page.contents ?? []
      for (const { key, size = 0 } of contents) {
        const name = key.slice(prefix.length)
        const at = archiveTime(name, db)
        if (at !== undefined) found.push({ file: this.urlOf(name), at, bytes: size })
      }
      startAfter = contents.at(-1)?.key
      if (!page.isTruncated || startAfter === undefined) return found.sort((a, b) => a.at - b.at)
    }
  }

  /** Returns the size of an archive in bytes, or undefined if there is no such archive. */
  async sizeOf(name: string): Promise<number | undefined> {
    const key = this.location.prefix + name
    // Uses a list request, because the response to HEAD has no error code.
    const page = await this.#request("listed", () => this.#client.list({ prefix: key, maxKeys: 1 }))
    return page.contents?.find((object) => object.key === key)?.size
  }

  async remove(url: string): Promise<void> {
    const name = url.slice(this.url.length)
    await this.#request("deleted", () => this.#client.delete(this.location.prefix + name))
  }

  /**
   * Uploads `archive` in parts, then reads the object back and compares it with the upload. `sourceBytes`: size of the
   * uncompressed file, which determines the size of the parts. A failed upload leaves nothing in the bucket, but a
   * killed process leaves the parts that it has uploaded. Returns the number of bytes uploaded.
   */
  async upload(
    name: string,
    archive: ReadableStream<Uint8Array>,
    sourceBytes: number,
    signal: AbortSignal,
    onProgress: (line: string, bytes: number) => void,
  ): Promise<number> {
    const file = this.#client.file(this.location.prefix + name)
    const hash = new Bun.CryptoHasher("sha256")
    let bytes = 0
    const partSize = Math.max(minPartBytes, Math.ceil(sourceBytes / maxParts))
    const write = this.#transfer("written", signal, (progress) => {
      const source = tap(archive, signal, (chunk) => {
        hash.update(chunk)
        bytes += chunk.byteLength
        progress()
        onProgress("uploaded", bytes)
      })
      // If the source fails, Bun aborts the upload. If a writer were used instead, closing it would store a truncated
      // object.
      return file.write(new Response(source), { partSize, queueSize: partsInFlight, retry: retries })
    })
    await write.catch(async (error) => {
      await this.timer.sleep(abortTimeout)
      throw error
    })
    const uploaded = hash.digest("hex")
    const readBack = this.#transfer("read", signal, async (progress) => {
      const check = new Bun.CryptoHasher("sha256")
      let read = 0
      for await (const chunk of file.stream()) {
        if (signal.aborted) throw stopped()
        check.update(chunk)
        read += chunk.byteLength
        progress()
        onProgress("verified", read)
      }
      return check.digest("hex")
    })
    const stored = await readBack.catch((error: unknown) => this.#removeUnverified(name, error))
    if (stored === uploaded) return bytes
    await this.remove(this.urlOf(name))
    throw new UserError(
      `${this.urlOf(name)} was deleted, because its stored content differed from the upload`,
      "check the S3 server and the connection to it; the next backup is uploaded again",
    )
  }

  /**
   * Deletes an object that could not be verified, because its name would make it count as a backup. Then throws
   * `error`.
   */
  async #removeUnverified(name: string, error: unknown): Promise<never> {
    const url = this.urlOf(name)
    await this.remove(url).catch(() => {
      const reason = error instanceof Error ? error.message : String(error)
      throw new UserError(
        `${reason}; ${url} was uploaded but not verified, and cannot be deleted`,
        "check the permissions of the access key, and delete the object",
      )
    })
    throw error
  }

  /** Streams the archive to `consume`. */
  async download(
    name: string,
    signal: AbortSignal,
    onProgress: (line: string, bytes: number) => void,
    consume: (archive: ReadableStream<Uint8Array>) => Promise<void>,
  ): Promise<void> {
    let bytes = 0
    await this.#transfer("read", signal, (progress) =>
      consume(
        tap(this.#client.file(this.location.prefix + name).stream(), signal, (chunk) => {
          bytes += chunk.byteLength
          progress()
          onProgress("downloaded", bytes)
        }),
      ),
    )
  }

  async #request<Result>(verb: string, work: () => Promise<Result>): Promise<Result> {
    const result = await this.#explain(verb, () =>
      Promise.race([work(), this.timer.sleep(requestTimeout).then(() => "timeout" as const)]),
    )
    if (result === "timeout") throw this.#noAnswer(requestTimeout)
    return result
  }

  /**
   * Runs `work`. Fails if `work` does not call `progress` for `stallTimeout` ms, or does not end within `abortTimeout`
   * ms after `signal` is aborted.
   */
  async #transfer<Result>(
    verb: string,
    signal: AbortSignal,
    work: (progress: () => void) => Promise<Result>,
  ): Promise<Result> {
    const { elapsed, sleep } = this.timer
    let last = elapsed()
    let isDone = false
    let abortedAt: number | undefined
    const watch = async (): Promise<never> => {
      while (!isDone) {
        await sleep(checkInterval)
        if (signal.aborted) abortedAt ??= elapsed()
        if (abortedAt !== undefined && elapsed() - abortedAt > abortTimeout) throw stopped()
        if (elapsed() - last > stallTimeout) throw this.#noAnswer(stallTimeout)
      }
      return new Promise(() => {})
    }
    const progress = () => {
      last = elapsed()
    }
    try {
      return await this.#explain(verb, () => Promise.race([work(progress), watch()]))
    } finally {
      isDone = true
    }
  }

  #noAnswer(ms: number): UserError {
    return new UserError(
      `${this.#host} did not respond for ${ms / 1_000} s, so ${this.url} was not reached`,
      "check the network and the S3 server",
    )
  }

  /**
   * Runs `work`, and turns errors from the server or the network into UserErrors. `verb` completes the message "the
   * bucket cannot be …", such as `listed`.
   */
  async #explain<Result>(verb: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof UserError || !(error instanceof Error) || error.name !== "S3Error") throw error
      const code = codeOf(error)
      const unknown: Explanation = [
        [],
        `the request failed with ${code}: ${error.message}`,
        "look up the code in the documentation of the S3 server",
      ]
      const [, problem, hint] = explanations.find(([codes]) => codes.includes(code)) ?? unknown
      const where = (text: string) => text.replaceAll("HOST", this.#host)
      throw new UserError(`${this.url} cannot be ${verb}: ${where(problem)}`, where(hint))
    }
  }
}

type Explanation = readonly [codes: readonly string[], problem: string, hint: string]

const credentialsHint =
  "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the file in --backup-credentials"

/** Error codes of S3, its implementations and Bun. HOST stands for the host of the endpoint. */
const explanations: readonly Explanation[] = [
  [["InvalidAccessKeyId"], "HOST does not know the access key", credentialsHint],
  [["SignatureDoesNotMatch"], "HOST rejects the secret access key", credentialsHint],
  [
    ["ExpiredToken", "InvalidToken", "TokenRefreshRequired"],
    "the session token is not valid",
    credentialsHint,
  ],
  [
    ["AccessDenied", "AllAccessDisabled"],
    "HOST denies access",
    "allow the access key to list the bucket, and to read, write and delete objects under the prefix",
  ],
  [["NoSuchBucket"], "HOST has no such bucket", "create it, or correct the URL or --backup-endpoint"],
  [["NoSuchKey"], "the object does not exist", "list the bucket, and choose another backup"],
  [
    [
      "QuotaExceeded",
      "XMinioStorageFull",
      "XMinioAdminBucketQuotaExceeded",
      "InsufficientStorage",
      "StorageFull",
    ],
    "the bucket is full",
    "increase its quota, delete objects that are not needed, or lower --backup-keep",
  ],
  [["EntityTooLarge"], "the object is too large for HOST", "raise the size limit or the quota of the bucket"],
  [
    ["SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout"],
    "HOST is overloaded or has failed",
    "check the S3 server; scheduled backups are retried",
  ],
  [["RequestTimeTooSkewed"], "the clock of this machine is wrong", "synchronize the clock (timedatectl)"],
  [
    ["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"],
    "the bucket is in a different region",
    "set AWS_REGION to the region of the bucket, and --backup-endpoint to its endpoint",
  ],
  [
    [
      "ConnectionRefused",
      "ConnectionClosed",
      "ConnectionReset",
      "DNSResolveFailed",
      "FailedToOpenSocket",
      "Timeout",
    ],
    "HOST cannot be reached",
    "check --backup-endpoint, the network and the S3 server",
  ],
]

/** Returns the time in an archive's name, in Unix ms. Undefined if `name` is not an archive of `db`. */
function archiveTime(name: string, db: string): number | undefined {
  for (const suffix of Object.values(archiveSuffixes)) {
    if (name.endsWith(suffix)) return parseBackupTime(name.slice(0, -suffix.length), db)
  }
  return undefined
}

function stopped(): UserError {
  return new UserError("stopped by a signal; nothing was changed")
}

/** Passes `source` through and calls `onChunk` with each chunk. Fails once `signal` is aborted. */
function tap(
  source: ReadableStream<Uint8Array>,
  signal: AbortSignal,
  onChunk: (chunk: Uint8Array) => void,
): ReadableStream<Uint8Array> {
  const reader = source.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (signal.aborted) {
          void reader.cancel().catch(() => {})
          throw stopped()
        }
        const { done, value } = await reader.read()
        if (done) return controller.close()
        onChunk(value)
        controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    // Does not read ahead of the consumer.
    { highWaterMark: 0 },
  )
}
