import { type FieldError, type RequestError, UserError } from "../errors.ts"
import { type RejectionReason, rejections } from "../rejection-reasons.ts"

/** Maps fields in the admin API and in queries to the names that the command line uses. */
const flags: Record<string, string> = {
  id: "--id",
  name: "--name",
  domain: "the domain",
  allowedOrigins: "--allowed-origin",
  anonymize: "--anonymize",
  retain: "--retain",
  pageIdentify: "--page-identify",
  lowerIsBetter: "--lower-is-better",
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
  preset: "--preset",
  startDate: "--from",
  endDate: "--to",
  timeZone: "--zone",
  by: "--by",
  measures: "--measure",
  steps: "--step",
  window: "--window",
}

/** Names of the parts of a filter. */
const filterParts: Record<string, string> = {
  field: "the field in --where",
  op: "the operator in --where",
  value: "the value in --where",
}

/** Hints that name a command or an option. For all other reasons, the advice in `rejections` is shown. */
const hints: Partial<Record<RejectionReason, string>> = {
  invalid_shape: "see --help for options and an example",
  website_unknown: "list the IDs with `databuddy website list`",
  key_not_found: "list the IDs with `databuddy key list`",
  user_not_found: "list the users with `databuddy user list`",
  conflict:
    "list the existing items with `databuddy website list`, `databuddy key list` or `databuddy user list`",
}

/** Rephrases an error from the store or from input validation in command-line terms. */
export function toUserError(error: RequestError): UserError {
  const noWebsite = error.fields?.some(({ field }) => field.startsWith("websites."))
  const reason = noWebsite ? "website_unknown" : error.reason
  const hint = hints[reason] ?? rejections[reason].advice
  return new UserError(error.fields?.map(fieldText).join("; ") ?? error.message, hint)
}

function fieldText({ field, message }: FieldError): string {
  // Queries from the command line have only one parameter.
  const name = field.replace(/^parameters\.0\./, "")
  const [, part = ""] = /^filters\.\d+\.(\w+)/.exec(name) ?? []
  return `${filterParts[part] ?? flags[name.split(".")[0] ?? ""] ?? name} ${message}`
}
