import { type Static, Type } from "@sinclair/typebox"
import {
  grantedWebsites,
  sharedBoard,
  sharedPage,
  sharedWebsite,
  strict,
  time,
  timeOrNull,
} from "../http/schema.ts"
import { sections } from "../sections.ts"
import { purposes } from "../store/invites.ts"
import { roles } from "../store/roles.ts"

// In each schema, `expected` is the error message for an invalid value.

/** Maximum number of UTF-16 code units in an email address. SMTP does not allow longer addresses. */
const maxEmail = 254
/**
 * Minimum and maximum number of UTF-16 code units in a password. There is a maximum because even longer passwords would
 * not be safer, but would take longer to hash.
 */
const minPassword = 10
const maxPassword = 200

const email = Type.String({
  maxLength: maxEmail,
  pattern: "^[^@\\s\\u0000-\\u001f\\u007f-\\u009f]+@[^@\\s\\u0000-\\u001f\\u007f-\\u009f]+$",
  description: "Email address, stored in lower case",
  expected: `must be an email address of at most ${maxEmail} characters`,
})

/**
 * A password to verify. The minimum length of new passwords does not apply, because a password that is too short is
 * simply wrong.
 */
const currentPassword = Type.String({
  minLength: 1,
  maxLength: maxPassword,
  expected: `must be a string of 1 to ${maxPassword} characters`,
})

const newPassword = Type.String({
  minLength: minPassword,
  maxLength: maxPassword,
  description: "Only a hash is stored",
  expected: `must be a string of ${minPassword} to ${maxPassword} characters`,
})

const role = Type.Union(
  roles.map((role) => Type.Literal(role)),
  {
    description: "owner: full access; viewer: read-only access to their websites",
    expected: `must be ${roles.map((role) => `"${role}"`).join(" or ")}`,
  },
)

const oneSection = Type.Union(
  sections.map((section) => Type.Literal(section)),
  { expected: `must be one of ${sections.join(", ")}` },
)

const grantedSections = Type.Union(
  [Type.Null(), Type.Array(oneSection, { minItems: 1, maxItems: sections.length })],
  {
    description:
      "Sections that a viewer can open. Without `people`, the viewer cannot see individual events or people. null: all",
    expected: `must be null or a list of sections: ${sections.join(", ")}`,
  },
)

export const loginSchema = Type.Object({ email, password: currentPassword }, strict)

/** Body for accepting a one-time link. */
export const acceptanceSchema = Type.Object({ email: Type.Optional(email), password: newPassword }, strict)

export const passwordSchema = Type.Object({ password: newPassword }, strict)

export const passwordChangeSchema = Type.Object({ current: currentPassword, password: newPassword }, strict)

export const newUserSchema = Type.Object(
  {
    email,
    role,
    websites: Type.Optional(grantedWebsites),
    sections: Type.Optional(grantedSections),
  },
  strict,
)

export const userChangesSchema = Type.Object(
  {
    role: Type.Optional(role),
    websites: Type.Optional(grantedWebsites),
    sections: Type.Optional(grantedSections),
  },
  strict,
)

/** A user in the API and in `--json` output. */
export const userSchema = Type.Object({
  id: Type.String({ description: "ID of the user" }),
  email,
  role,
  websites: grantedWebsites,
  sections: grantedSections,
  createdAt: time("Creation time"),
  lastLoginAt: timeOrNull("Time of the last login; null: never"),
})

/** A one-time link as shown to its recipient. */
export const inviteSchema = Type.Object({
  purpose: Type.Union(
    purposes.map((purpose) => Type.Literal(purpose)),
    {
      description: "setup: create the first owner; invite: accept an invitation; reset: reset a password",
    },
  ),
  email: Type.Union([Type.Null(), email], {
    description:
      "Email of the user. null if `purpose` is `setup`, because the request to accept the link sets the email",
  }),
  role,
  expiresAt: time("Expiry time"),
})

/** A new one-time link, shown once. */
export const newInviteSchema = Type.Object({
  path: Type.String({
    description: "Path of the page for choosing a password, relative to the server's URL: /invite/<token>",
  }),
  expiresAt: time("Expiry time; the link works once"),
})

/** A share link as shown to its visitors. */
export const linkSchema = Type.Object({
  name: Type.String({ description: "Name of the link" }),
  websiteId: sharedWebsite,
  path: Type.String({ description: "Page and query that the link opens, relative to the website" }),
  page: sharedPage,
  boardId: sharedBoard,
  expiresAt: timeOrNull("Expiry time; null: never"),
})

export type LinkJson = Static<typeof linkSchema>
export type InviteJson = Static<typeof inviteSchema>
export type NewInviteJson = Static<typeof newInviteSchema>
export type UserJson = Static<typeof userSchema>
