import {
  acceptanceSchema,
  inviteSchema,
  linkSchema,
  loginSchema,
  newInviteSchema,
  newUserSchema,
  passwordChangeSchema,
  type UserJson,
  userChangesSchema,
  userSchema,
} from "../users/schema.ts"
import { keyReasons } from "./ingest.ts"
import { type Json, published, ref } from "./json.ts"
import { component, type Operations, paths, takesBody, takesOpenBody, wording, writes } from "./operations.ts"

const exampleId = "550e8400-e29b-41d4-a716-446655440000"
const exampleUser: UserJson = {
  id: "3f0c1a52-7d52-4c39-9d6c-2a5f3f4e9c11",
  email: "ada@example.com",
  role: "viewer",
  websites: [exampleId],
  createdAt: "2026-01-05T09:30:00.000Z",
  lastLoginAt: null,
}

export const peopleSchemas = {
  User: component(userSchema, exampleUser),
  NewUser: component(newUserSchema, { email: "ada@example.com", role: "viewer", websites: [exampleId] }),
  UserChanges: component(userChangesSchema, { role: "owner" }),
  NewInvite: published(newInviteSchema),
}

const ofUser = ["grant_too_wide", "user_not_found"] as const
const user = { user: ref("schemas/User") }
const invite = { invite: ref("schemas/NewInvite") }
const userOrNull = { anyOf: [ref("schemas/User"), { type: "null" }] }
/** Of what our page alone can send. */
const fromPage = "For the server's own page: it takes `x-databuddy-page: 1`."

const logins: Operations = {
  "/v1/me": {
    get: {
      id: "showMe",
      summary: "Show who is logged in",
      description:
        "Answered to anybody: `user` is null where the request has no login, `share` where it has no share link that works.",
      gives: {
        user: userOrNull,
        share: { anyOf: [published(linkSchema), { type: "null" }] },
        hasUsers: { type: "boolean", description: "false: nobody can log in yet" },
        version: { type: "string", description: "Of the server" },
      },
      reasons: ["csrf"],
    },
  },
  "/v1/me/password": {
    post: {
      id: "changePassword",
      summary: "Choose another password",
      description: `All other logins of the person end. ${fromPage}`,
      takes: published(passwordChangeSchema),
      gives: {},
      reasons: [
        "csrf",
        "credential_missing",
        "login_ended",
        ...keyReasons,
        ...takesOpenBody,
        "rate_limited",
        "too_many_failed_credentials",
        ...writes,
      ],
    },
  },
  "/v1/login": {
    post: {
      id: "logIn",
      summary: "Log in",
      description: `Sets the cookie. ${fromPage}`,
      takes: published(loginSchema),
      gives: user,
      reasons: ["csrf", ...takesOpenBody, "login_wrong", "rate_limited", ...writes],
    },
  },
  "/v1/logout": {
    post: {
      id: "logOut",
      summary: "Log out",
      description: `Ends the login of the cookie and takes the cookie away. ${fromPage}`,
      gives: {},
      reasons: ["csrf", ...writes],
    },
  },
  "/v1/invites/{token}": {
    get: {
      id: "showInvite",
      summary: "Show what a one-time link is for",
      gives: { invite: published(inviteSchema) },
      reasons: ["invite_unknown"],
    },
    post: {
      id: "acceptInvite",
      summary: "Choose a password with a one-time link",
      description: `The link works once; it logs the person in. Only a link of the purpose \`setup\` takes an \`email\`. ${fromPage}`,
      takes: published(acceptanceSchema),
      gives: user,
      reasons: ["csrf", "invite_unknown", ...takesOpenBody, "conflict", "rate_limited", ...writes],
    },
  },
}

const users: Operations = {
  "/v1/users": {
    get: {
      id: "listUsers",
      summary: "List users",
      description: "All who may do no more than who asks.",
      gives: { users: { type: "array", items: ref("schemas/User") }, total: { type: "integer", minimum: 0 } },
      reasons: [],
    },
    post: {
      id: "inviteUser",
      summary: "Make a user",
      description:
        "Give the person the link: it works once, for 7 days, and lets them choose a password. Nobody can make a user who may do more than they.",
      takes: ref("schemas/NewUser"),
      gives: { ...user, ...invite },
      status: 201,
      reasons: [...takesBody, "grant_too_wide", "conflict", ...writes],
    },
  },
  "/v1/users/{id}": {
    patch: {
      id: "changeUser",
      summary: "Change what a user may do",
      description: "All logins of the user end. The last owner stays one.",
      takes: ref("schemas/UserChanges"),
      gives: user,
      reasons: [...takesBody, ...ofUser, "conflict", ...writes],
    },
    delete: {
      id: "deleteUser",
      summary: "Delete a user",
      description: "All logins of the user end. The last owner stays.",
      gives: {},
      reasons: [...ofUser, "conflict", ...writes],
    },
  },
  "/v1/users/{id}/reset": {
    post: {
      id: "resetUser",
      summary: "Make a link with which a user chooses another password",
      description:
        "It works once, for a day, in the place of links from before. The old password works until it is used.",
      gives: invite,
      reasons: [...ofUser, ...writes],
    },
  },
}

export async function peoplePaths(): Promise<Json> {
  return {
    ...(await paths(logins, { tag: "People", scope: undefined, wording: loginWording })),
    ...(await paths(users, { tag: "People", scope: "manage:users", wording: loginWording })),
  }
}

const loginWording = wording({ field: "email", message: loginSchema.properties.email.expected })
