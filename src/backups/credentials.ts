import { UserError } from "../errors.ts"
import { readFlagFile } from "../flag-file.ts"

/** Credentials for signing requests to an S3 server. */
export interface Credentials {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
  region?: string
}

/** The name of each value in the file, and the name of its environment variable. */
const fields = {
  accessKeyId: ["aws_access_key_id", "AWS_ACCESS_KEY_ID"],
  secretAccessKey: ["aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"],
  sessionToken: ["aws_session_token", "AWS_SESSION_TOKEN"],
  region: ["region", "AWS_REGION"],
} as const

/**
 * Reads the access key from `file`, which has the format of ~/.aws/credentials, or from environment variables (AWS_…)
 * if no file is given. The region can be in an environment variable even if a file is given. Throws a UserError if the
 * access key is missing.
 */
export function readCredentials(file: string | undefined, env: NodeJS.ProcessEnv): Credentials {
  const values =
    file === undefined ? undefined : parseIni(readFlagFile("--backup-credentials", file).toString("utf8"))
  const value = ([name, variable]: readonly [string, string]) => (values ? values.get(name) : env[variable])
  const accessKeyId = value(fields.accessKeyId)
  const secretAccessKey = value(fields.secretAccessKey)
  const sessionToken = value(fields.sessionToken)
  const region = value(fields.region) || env.AWS_REGION
  if (!accessKeyId || !secretAccessKey) {
    throw new UserError(
      file === undefined
        ? "the access key for the S3 server is missing"
        : `--backup-credentials ${file} does not contain both aws_access_key_id and aws_secret_access_key`,
      "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use --backup-credentials to name a file in the format of ~/.aws/credentials",
    )
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }), ...(region && { region }) }
}

/** Returns the values in the section [default], and the values before the first section. */
function parseIni(text: string): Map<string, string> {
  const values = new Map<string, string>()
  let isDefault = true
  for (const line of text.split("\n")) {
    const [, section] = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line) ?? []
    if (section !== undefined) isDefault = section === "default"
    const [, name, value] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (isDefault && name !== undefined && value !== undefined) values.set(name.toLowerCase(), value)
  }
  return values
}
