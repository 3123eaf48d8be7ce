import type { Static, TSchema } from "@sinclair/typebox"
import { loginSchema, type UserJson, userSchema } from "../people/schema.ts"
import { bodyReasons, storeReasons } from "./ingest.ts"
import { type Json, published, ref } from "./json.ts"
import { type Operations, paths, wording } from "./operations.ts"

const exampleUser: UserJson = {
  id: "3f0c1a52-7d52-4c39-9d6c-2a5f3f4e9c11",
  email: "ada@example.com",
  role: "viewer",
  websites: ["550e8400-e29b-41d4-a716-446655440000"],
  createdAt: "2026-01-05T09:30:00.000Z",
  lastLoginAt: null,
}

export const peopleSchemas = {
  User: component(userSchema, exampleUser),
}

function component<Schema extends TSchema>(schema: Schema, example: Static<Schema>): Json {
  return { ...published(schema), examples: [example] }
}

const takesBody = ["csrf", "invalid_shape", ...bodyReasons] as const
const writes = storeReasons.filter((reason) => reason !== "internal")
const user = { user: ref("schemas/User") }
const userOrNull = { anyOf: [ref("schemas/User"), { type: "null" }] }

const logins: Operations = {
  "/v1/me": {
    get: {
      id: "showMe",
      summary: "Show who is logged in",
      description: "Answered to anybody: `user` is null where the request has no login.",
      gives: {
        user: userOrNull,
        hasUsers: { type: "boolean", description: "false: nobody can log in yet" },
        version: { type: "string", description: "Of the server" },
      },
      reasons: ["csrf"],
    },
  },
  "/v1/login": {
    post: {
      id: "logIn",
      summary: "Log in",
      description: "Sets the cookie. For the server's own page: it takes `x-databuddy-page: 1`.",
      takes: published(loginSchema),
      gives: user,
      reasons: [...takesBody, "login_wrong", "rate_limited", ...writes],
    },
  },
  "/v1/logout": {
    post: {
      id: "logOut",
      summary: "Log out",
      description: "Ends the login of the cookie and takes the cookie away.",
      gives: {},
      reasons: ["csrf", ...writes],
    },
  },
}

export async function peoplePaths(): Promise<Json> {
  return paths(logins, { tag: "People", scope: undefined, wording: loginWording })
}

const loginWording = wording({ field: "email", message: loginSchema.properties.email.expected })
