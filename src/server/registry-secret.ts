import { UserError } from "../errors.ts"
import { readFlagFile } from "../flag-file.ts"
import type { RegistryLogin } from "../registry/follower.ts"
import type { ServeOptions } from "../serve-options.ts"

/** Minimum number of characters in a secret. 32 hexadecimal digits are 128 bits. */
const minSecret = 32
const hint = "write a secret to the file: `openssl rand -hex 32 > FILE`"

/**
 * Returns the secret in --registry-secret-file or DATABUDDY_REGISTRY_SECRET, or undefined if neither is set. Throws a
 * UserError if the secret is too short.
 */
export function readRegistrySecret(
  { registrySecretFile: file }: Pick<ServeOptions, "registrySecretFile">,
  env: NodeJS.ProcessEnv,
): string | undefined {
  const secret =
    file === undefined
      ? env.DATABUDDY_REGISTRY_SECRET || undefined
      : readFlagFile("--registry-secret-file", file, hint).toString("utf8").trim()
  if (secret === undefined || secret.length >= minSecret) return secret
  const where = file === undefined ? "DATABUDDY_REGISTRY_SECRET" : `--registry-secret-file ${file}`
  throw new UserError(`the secret in ${where} has fewer than ${minSecret} characters`, hint)
}

/**
 * Returns the server set with --registry and the secret for it. If --registry is `none` or not set, returns its value.
 * Throws a UserError if the secret is missing.
 */
export function registryOf(
  { registry: url }: Pick<ServeOptions, "registry">,
  secret: string | undefined,
): RegistryLogin | "none" | undefined {
  if (url === undefined || url === "none") return url
  if (secret !== undefined) return { url, secret }
  throw new UserError(
    "--registry is set without a secret",
    "set --registry-secret-file or DATABUDDY_REGISTRY_SECRET to the secret of that server",
  )
}
