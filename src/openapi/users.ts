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
import { type Json, publicSchema, ref } from "./json-schema.ts"
import {
  component,
  errorFormat,
  type Operations,
  paths,
  registryWrites,
  takesBody,
  takesPublicBody,
  writes,
} from "./operations.ts"

const exampleId = "550e8400-e29b-41d4-a716-446655440000"
const exampleUser: UserJson = {
  id: "3f0c1a52-7d52-4c39-9d6c-2a5f3f4e9c11",
  email: "ada@example.com",
  role: "viewer",
  websites: [exampleId],
  sections: null,
  createdAt: "2026-01-05T09:30:00.000Z",
  lastLoginAt: null,
}

export const userSchemas = {
  User: component(userSchema, exampleUser),
  NewUser: component(newUserSchema, { email: "ada@example.com", role: "viewer", websites: [exampleId] }),
  UserChanges: component(userChangesSchema, { role: "owner" }),
  NewInvite: publicSchema(newInviteSchema),
}

const userReasons = ["grant_too_wide", "user_not_found"] as const
const user = { user: ref("schemas/User") }
const invite = { invite: ref("schemas/NewInvite") }
const userOrNull = { anyOf: [ref("schemas/User"), { type: "null" }] }
/** Added to the description of operations that only the dashboard calls. */
const fromPage = "For the dashboard. Requires the header `x-databuddy-page: 1`."

const logins: Operations = {
  "/v1/me": {
    get: {
      id: "showMe",
      summary: "Show the current user",
      description:
        "Public. `user` is null without a login session, and `share` is null without a valid share link.",
      gives: {
        user: userOrNull,
        share: { anyOf: [publicSchema(linkSchema), { type: "null" }] },
        hasUsers: { type: "boolean", description: "false: no account exists yet" },
        version: { type: "string", description: "Version of the server" },
        scriptName: { type: "string", description: "Name of the page script (--script-name)" },
        ingestPath: {
          type: "string",
          description:
            "Path under which the page script and its endpoints are also served (--ingest-path), or empty",
        },
      },
      reasons: ["csrf"],
    },
  },
  "/v1/me/password": {
    post: {
      id: "changePassword",
      summary: "Change the password",
      description: `Ends all other login sessions of the user. ${fromPage}`,
      takes: publicSchema(passwordChangeSchema),
      gives: {},
      reasons: [
        "csrf",
        "credential_missing",
        "login_ended",
        ...keyReasons,
        ...takesPublicBody,
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
      description: `Sets the session cookie. ${fromPage}`,
      takes: publicSchema(loginSchema),
      gives: user,
      reasons: ["csrf", ...takesPublicBody, "login_wrong", "rate_limited", ...registryWrites],
    },
  },
  "/v1/logout": {
    post: {
      id: "logOut",
      summary: "Log out",
      description: `Ends the login session and deletes the cookie. ${fromPage}`,
      gives: {},
      reasons: ["csrf", ...registryWrites],
    },
  },
  "/v1/invites/{token}": {
    get: {
      id: "showInvite",
      summary: "Show a one-time link",
      gives: { invite: publicSchema(inviteSchema) },
      reasons: ["invite_unknown"],
    },
    post: {
      id: "acceptInvite",
      summary: "Accept a one-time link",
      description: `Sets the password and logs the user in. The link works once. Only links with the purpose \`setup\` accept an \`email\`. ${fromPage}`,
      takes: publicSchema(acceptanceSchema),
      gives: user,
      reasons: ["csrf", "invite_unknown", ...takesPublicBody, "conflict", "rate_limited", ...registryWrites],
    },
  },
}

const users: Operations = {
  "/v1/users": {
    get: {
      id: "listUsers",
      summary: "List users",
      description: "Lists the users who have at most the permissions of the caller.",
      gives: { users: { type: "array", items: ref("schemas/User") }, total: { type: "integer", minimum: 0 } },
      reasons: [],
    },
    post: {
      id: "inviteUser",
      summary: "Invite a user",
      description:
        "Returns a link with which the user chooses a password. It works once and expires in 7 days. The user can have at most the permissions of the caller.",
      takes: ref("schemas/NewUser"),
      gives: { ...user, ...invite },
      status: 201,
      reasons: [...takesBody, "grant_too_wide", "conflict", ...registryWrites],
    },
  },
  "/v1/users/{id}": {
    patch: {
      id: "changeUser",
      summary: "Change a user's permissions",
      description: "Ends all login sessions of the user. The last owner cannot be changed.",
      takes: ref("schemas/UserChanges"),
      gives: user,
      reasons: [...takesBody, ...userReasons, "conflict", ...registryWrites],
    },
    delete: {
      id: "deleteUser",
      summary: "Delete a user",
      description: "Ends all login sessions of the user. The last owner cannot be deleted.",
      gives: {},
      reasons: [...userReasons, "conflict", ...registryWrites],
    },
  },
  "/v1/users/{id}/reset": {
    post: {
      id: "resetUser",
      summary: "Create a password reset link",
      description:
        "The link works once, expires after a day and invalidates earlier links. The old password works until the link is used.",
      gives: invite,
      reasons: [...userReasons, ...registryWrites],
    },
  },
}

export async function userPaths(): Promise<Json> {
  return {
    ...(await paths(logins, { tag: "Users", scope: undefined, errorFormat: loginErrors })),
    ...(await paths(users, { tag: "Users", scope: "manage:users", errorFormat: loginErrors })),
  }
}

const loginErrors = errorFormat({ field: "email", message: loginSchema.properties.email.expected })
