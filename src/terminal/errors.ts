import { type FieldError, type Reason, type RequestError, UserError } from "../errors.ts"

/** The flag that a field of the management API is at the command line. */
const flags: Record<string, string> = {
  id: "--id",
  name: "--name",
  domain: "the domain",
  allowedOrigins: "--allowed-origin",
  anonymize: "--anonymize",
  retain: "--retain",
  anonymousId: "--anonymous-id",
  profileId: "--profile-id",
  scopes: "--scope",
  websites: "--website",
  rateLimit: "--rate-limit",
  expiresAt: "--expires",
  website_id: "--website",
  profile_id: "--profile-id",
  anonymous_id: "--anonymous-id",
  from: "--from",
  to: "--to",
  format: "--format",
  email: "the email",
  role: "--role",
  password: "the password",
}

const hints: Partial<Record<Reason, string>> = {
  invalid_shape: "--help shows what is possible and an example",
  website_unknown: "databuddy website list shows the ids",
  key_not_found: "databuddy key list shows the ids",
  user_not_found: "databuddy user list shows who there is",
  conflict: "databuddy website list, key list and user list show what there is",
}

/** A refusal of the store or of the management rules, in the words of the command line. */
export function userErrorOf(refusal: RequestError): UserError {
  const noWebsite = refusal.fields?.some(({ field }) => field.startsWith("websites."))
  const hint = hints[noWebsite ? "website_unknown" : refusal.reason]
  return new UserError(refusal.fields?.map(inFlags).join("; ") ?? refusal.message, hint)
}

function inFlags({ field, message }: FieldError): string {
  return `${flags[field.split(".")[0] ?? ""] ?? field} ${message}`
}
