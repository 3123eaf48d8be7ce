import { type Static, Type } from "@sinclair/typebox"
import { grantedWebsites, strict, time, timeOrNull } from "../http/schema.ts"
import { purposes } from "../store/invites.ts"
import { roles } from "../store/users.ts"

// In each schema, `expected` is what the error says the field must be.

/** UTF-16 units; SMTP takes no longer address. */
const maxEmail = 254
const minPassword = 10
/** UTF-16 units: beyond it nothing is safer, and hashing must not become work. */
const maxPassword = 200

const email = Type.String({
  maxLength: maxEmail,
  pattern: "^[^@\\s\\u0000-\\u001f\\u007f-\\u009f]+@[^@\\s\\u0000-\\u001f\\u007f-\\u009f]+$",
  description: "In lower case, however it was sent",
  expected: `must be an email address of at most ${maxEmail} characters`,
})

/** One that is compared: what cannot be a password is a wrong one. */
const anyPassword = Type.String({
  minLength: 1,
  maxLength: maxPassword,
  expected: `must be a text of 1 to ${maxPassword} characters`,
})

/** One that is chosen. */
const newPassword = Type.String({
  minLength: minPassword,
  maxLength: maxPassword,
  description: "Only its hash is kept",
  expected: `must be a text of ${minPassword} to ${maxPassword} characters`,
})

const role = Type.Union(
  roles.map((one) => Type.Literal(one)),
  {
    description:
      "owner: may do everything; viewer: may look at everything of their websites, and change nothing",
    expected: `must be ${roles.map((one) => `"${one}"`).join(" or ")}`,
  },
)

export const loginSchema = Type.Object({ email, password: anyPassword }, strict)

/** What is sent to a one-time link. */
export const acceptanceSchema = Type.Object({ email: Type.Optional(email), password: newPassword }, strict)

export const passwordSchema = Type.Object({ password: newPassword }, strict)

export const passwordChangeSchema = Type.Object({ current: anyPassword, password: newPassword }, strict)

export const newUserSchema = Type.Object({ email, role, websites: Type.Optional(grantedWebsites) }, strict)

export const userChangesSchema = Type.Object(
  { role: Type.Optional(role), websites: Type.Optional(grantedWebsites) },
  strict,
)

/** A user as the API and `--json` show it. */
export const userSchema = Type.Object({
  id: Type.String({ description: "Names the user" }),
  email,
  role,
  websites: grantedWebsites,
  createdAt: time("When it was made"),
  lastLoginAt: timeOrNull("When the person last logged in; null: never"),
})

/** What a one-time link is for, to who has it. */
export const inviteSchema = Type.Object({
  purpose: Type.Union(
    purposes.map((one) => Type.Literal(one)),
    {
      description:
        "setup: makes the first owner; invite: of a new user; reset: of one who forgot the password",
    },
  ),
  email: Type.Union([Type.Null(), email], { description: "Whose login it is; null: it is to be given" }),
  role,
  expiresAt: time("When it stops working"),
})

/** A one-time link at the one moment when it is shown. */
export const newInviteSchema = Type.Object({
  path: Type.String({ description: "Of the page where the password is chosen: /invite/<token>" }),
  expiresAt: time("When it stops working; it works once"),
})

/** The share link that a request has, as whoever has it is told. */
export const linkSchema = Type.Object({
  name: Type.String({ description: "For people to tell them apart" }),
  websiteId: Type.String({ description: "The website that it shows" }),
  path: Type.String({ description: "Where it leads to: page and query behind the website" }),
  expiresAt: timeOrNull("When it stops working; null: never"),
})

export type LinkJson = Static<typeof linkSchema>
export type InviteJson = Static<typeof inviteSchema>
export type NewInviteJson = Static<typeof newInviteSchema>
export type UserJson = Static<typeof userSchema>
