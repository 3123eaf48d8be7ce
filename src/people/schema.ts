import { type Static, Type } from "@sinclair/typebox"
import { roles } from "../store/users.ts"

// In each schema, `expected` is what the error says the field must be.

/** UTF-16 units; SMTP takes no longer address. */
const maxEmail = 254
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

const role = Type.Union(
  roles.map((one) => Type.Literal(one)),
  {
    description:
      "owner: may do everything; viewer: may look at everything of their websites, and change nothing",
    expected: `must be ${roles.map((one) => `"${one}"`).join(" or ")}`,
  },
)

const time = (description: string) => Type.String({ format: "date-time", description })
const strict = { additionalProperties: false }

export const loginSchema = Type.Object({ email, password: anyPassword }, strict)

/** A user as the API and `--json` show it. */
export const userSchema = Type.Object({
  id: Type.String({ description: "Names the user" }),
  email,
  role,
  websites: Type.Union([Type.Null(), Type.Array(Type.String())], {
    description: "The websites that a viewer is limited to; null: all there are and will be",
  }),
  createdAt: time("When it was made"),
  lastLoginAt: Type.Union([Type.Null(), Type.String({ format: "date-time" })], {
    description: "When the person last logged in; null: never",
  }),
})

export type UserJson = Static<typeof userSchema>
