import { invalidShape, SchemaCheck, validate } from "../http/validation.ts"
import type { Invite } from "../store/invites.ts"
import type { User, UserSettings } from "../store/users.ts"
import { canonicalWebsiteId } from "../store/websites.ts"
import { isCommonPassword } from "./common-passwords.ts"
import {
  acceptanceSchema,
  loginSchema,
  newUserSchema,
  passwordChangeSchema,
  passwordSchema,
  userChangesSchema,
} from "./schema.ts"

// Validates input about users from HTTP and the command line. Each function accepts any value, and throws
// `invalid_shape` with a list of all invalid fields.

export type UserChanges = Partial<Pick<User, "role" | "websites" | "sections">>

const checkLogin = new SchemaCheck(loginSchema)
const checkAcceptance = new SchemaCheck(acceptanceSchema)
const checkPasswordChange = new SchemaCheck(passwordChangeSchema)
const checkPassword = new SchemaCheck(passwordSchema)
const checkNewUser = new SchemaCheck(newUserSchema)
const checkUserChanges = new SchemaCheck(userChangesSchema)

export function parseLogin(value: unknown): { email: string; password: string } {
  const { email, password } = validate(checkLogin, value)
  return { email: email.toLowerCase(), password }
}

/** Returns the new password and the user's email. For the first owner, the email comes from the request. */
export function parseAcceptance(value: unknown, { user }: Invite): { email: string; password: string } {
  const { email, password } = validate(checkAcceptance, value)
  rejectCommon(password)
  if (user && email !== undefined) {
    throw invalidShape([{ field: "email", message: `cannot be set: this link is for ${user.email}` }])
  }
  const known = user?.email ?? email?.toLowerCase()
  if (known !== undefined) return { email: known, password }
  throw invalidShape([{ field: "email", message: loginSchema.properties.email.expected }])
}

export function parsePasswordChange(value: unknown): { current: string; password: string } {
  const input = validate(checkPasswordChange, value)
  rejectCommon(input.password)
  return input
}

/** Validates a new password and returns it. */
export function parsePassword(password: unknown): string {
  const { password: valid } = validate(checkPassword, { password })
  rejectCommon(valid)
  return valid
}

/** Throws `invalid_shape` for a password that attackers would try first. */
function rejectCommon(password: string): void {
  if (!isCommonPassword(password)) return
  throw invalidShape([
    {
      field: "password",
      message: "is among the most common passwords: choose a different one, for example four random words",
    },
  ])
}

export function parseNewUser(value: unknown): UserSettings {
  const { email, role, websites = null, sections = null } = validate(checkNewUser, value)
  rejectOwnerLimits({ role, websites, sections })
  return {
    email: email.toLowerCase(),
    role,
    websites: canonicalIds(websites),
    sections: sections && [...new Set(sections)],
  }
}

export function parseUserChanges(value: unknown): UserChanges {
  const { role, websites, sections } = validate(checkUserChanges, value)
  rejectOwnerLimits({ role, websites, sections })
  return {
    ...(role && { role }),
    ...(websites !== undefined && { websites: canonicalIds(websites) }),
    ...(sections !== undefined && { sections: sections && [...new Set(sections)] }),
  }
}

function canonicalIds(websites: readonly string[] | null): string[] | null {
  return websites && [...new Set(websites.map(canonicalWebsiteId))]
}

/** Throws `invalid_shape` for an owner with limited access. */
export function rejectOwnerLimits({
  role,
  websites,
  sections,
}: {
  [field in keyof UserChanges]: UserChanges[field] | undefined
}): void {
  if (role !== "owner") return
  const errors = [
    ...(websites
      ? [{ field: "websites", message: "must be null for an owner, who can see all websites" }]
      : []),
    ...(sections
      ? [{ field: "sections", message: "must be null for an owner, who can see all sections" }]
      : []),
  ]
  if (errors.length > 0) throw invalidShape(errors)
}
