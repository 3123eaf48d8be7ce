import { TypeCompiler } from "@sinclair/typebox/compiler"
import { checked } from "../http/fields.ts"
import { iso, isoOrNull } from "../iso.ts"
import type { User } from "../store/users.ts"
import { loginSchema, type UserJson } from "./schema.ts"

// What HTTP and the command line ask of people is checked here and nowhere else. Every reader takes a value that may be
// anything, and throws `invalid_shape` with each bad field named.

const checkLogin = TypeCompiler.Compile(loginSchema)

export function readLogin(value: unknown): { email: string; password: string } {
  const { email, password } = checked(checkLogin, value)
  return { email: email.toLowerCase(), password }
}

export function userJson(user: User): UserJson {
  return { ...user, createdAt: iso(user.createdAt), lastLoginAt: isoOrNull(user.lastLoginAt) }
}
