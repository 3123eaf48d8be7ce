import { Elysia } from "elysia"
import { RequestError } from "../errors.ts"
import {
  type AuthenticatedRequest,
  authenticatedRoute,
  type PublicRequest,
  publicRoute,
  type RouteDeps,
  type RouteResult,
} from "../http/authenticated-request.ts"
import { type Caller, callerOf } from "../http/caller.ts"
import { isCoveredBy, requireCoveredBy } from "../http/permissions.ts"
import { enforceRateLimit, rateLimitHeaders } from "../http/rate-limits.ts"
import { addressOf } from "../http/request-context.ts"
import { requireSameOrigin, sessionTokensOf, setSessionCookie } from "../http/session-cookie.ts"
import { invalidShape } from "../http/validation.ts"
import { rejections } from "../rejection-reasons.ts"
import type { Db } from "../store/db/driver.ts"
import { createInvite, findInvite } from "../store/invites.ts"
import { createLoginSession, endLoginSession, type LoginSession } from "../store/login-sessions.ts"
import { grantOf } from "../store/roles.ts"
import {
  deleteUser,
  findUser,
  hasUsers,
  listUsers,
  passwordOf,
  recordLogin,
  type User,
  userWithEmail,
} from "../store/users.ts"
import { version } from "../version.ts"
import { addUser, changePassword, changeUser, requireOtherOwner } from "./changes.ts"
import { parseAcceptance, parseLogin, parseNewUser, parsePasswordChange, parseUserChanges } from "./input.ts"
import type { LoginLimits } from "./login-limits.ts"
import type { PasswordHasher } from "./password-hash.ts"
import { inviteJson, linkJson, newInviteJson, userJson } from "./responses.ts"

/** Maximum number of times per minute that a user who changes their password can enter a wrong current password. */
const passwordChanges = 10

export interface UserRouteDeps extends RouteDeps {
  loginLimits: LoginLimits
  passwords: PasswordHasher
  /** Name of the page script, for the snippets on the setup page. */
  scriptName: string
  settings: RouteDeps["settings"] & { ingestPath: string }
}

/** Routes for users, login sessions and one-time links. */
export function userRoutes(deps: UserRouteDeps) {
  const open = publicRoute(deps)
  const route = authenticatedRoute(deps)
  const raw = { parse: "none" } as const
  return new Elysia({ prefix: "/v1" })
    .get("/me", open(showMe))
    .post("/me/password", open(choosePassword), raw)
    .post("/login", open(logIn), raw)
    .post("/logout", open(logOut), raw)
    .get("/invites/:token", open(showInvite))
    .post("/invites/:token", open(acceptInvite), raw)
    .get("/users", route("manage:users", showUsers))
    .post("/users", route("manage:users", inviteUser), raw)
    .patch("/users/:id", route("manage:users", editUser), raw)
    .delete("/users/:id", route("manage:users", removeUser), raw)
    .post("/users/:id/reset", route("manage:users", resetUser), raw)
}

function showMe(deps: UserRouteDeps, { context, now }: PublicRequest): RouteResult {
  const { login, share } = callerIfAny(deps, context.request, now) ?? {}
  const user = login ? userJson(login.user) : null
  return {
    body: {
      user,
      share: share ? linkJson(share) : null,
      hasUsers: hasUsers(deps.db),
      version,
      scriptName: deps.scriptName,
      ingestPath: deps.settings.ingestPath,
    },
  }
}

async function logIn(deps: UserRouteDeps, call: PublicRequest): Promise<RouteResult> {
  const { db, settings } = deps
  requireSameOrigin(call.context.request)
  const { email, password } = parseLogin(await call.body())
  const address = addressOf(call.context, settings.trustedProxies)
  const attempt = deps.loginLimits.begin(email, address)
  Object.assign(call.headers, rateLimitHeaders(attempt.allowance))
  const user = userWithEmail(db, email)
  const hash = user ? passwordOf(db, user.id) : null
  const isCorrect = await deps.passwords
    .verify(password, hash, { address, isKnown: attempt.isKnown })
    .catch((error) => {
      attempt.refund()
      throw error
    })
  if (!user || !isCorrect) throw new RequestError("login_wrong")
  attempt.refund()
  const result = await logInAs(deps, call, () => {
    // The password might have changed during the comparison.
    if (passwordOf(db, user.id) !== hash) throw new RequestError("login_wrong")
    return findUser(db, user.id)
  })
  attempt.succeed()
  return result
}

async function logOut(deps: UserRouteDeps, { context, headers }: PublicRequest): Promise<RouteResult> {
  requireSameOrigin(context.request)
  const tokens = sessionTokensOf(context.request.headers)
  await deps.batcher.run(() => {
    for (const token of tokens) endLoginSession(deps.db, token)
  })
  setSessionCookie(headers, context, deps, undefined)
  return {}
}

async function choosePassword(deps: UserRouteDeps, call: PublicRequest): Promise<RouteResult> {
  const { db, batcher, passwords } = deps
  const login = requireLogin(deps, call)
  const { id } = login.user
  const { current, password } = parsePasswordChange(await call.body())
  const limited = `password of ${id}`
  enforceRateLimit(deps.limiter.take(limited, passwordChanges), call.headers)
  const before = passwordOf(db, id)
  const wrong = invalidShape([{ field: "current", message: "is not your current password" }])
  const address = addressOf(call.context, deps.settings.trustedProxies)
  if (!(await passwords.verify(current, before, { address, isKnown: true }))) throw wrong
  deps.limiter.refund(limited, passwordChanges)
  const hash = await passwords.hash(password)
  await batcher.run(() => {
    if (passwordOf(db, id) !== before) throw wrong
    changePassword(db, id, hash, login)
  })
  return {}
}

function showInvite({ db }: UserRouteDeps, { id: token, now }: PublicRequest): RouteResult {
  return { body: { invite: inviteJson(findInvite(db, token, now)) } }
}

async function acceptInvite(deps: UserRouteDeps, call: PublicRequest): Promise<RouteResult> {
  const { db, passwords, newId } = deps
  const { context, id: token, now } = call
  requireSameOrigin(context.request)
  const invite = findInvite(db, token, now)
  const { email, password } = parseAcceptance(await call.body(), invite)
  const hash = await passwords.hash(password)
  return await logInAs(deps, call, () => {
    // The link might have been used elsewhere while the password was being hashed.
    const { user } = findInvite(db, token, now)
    if (!user)
      return addUser(db, newId(), { email, role: "owner", websites: null, sections: null }, hash, now)
    changePassword(db, user.id, hash)
    return user
  })
}

/** Lists the users whose permissions do not exceed the caller's permissions. */
function showUsers({ db }: UserRouteDeps, { caller }: AuthenticatedRequest): RouteResult {
  const users = listUsers(db)
    .filter((user) => isCoveredBy(grantOf(user), caller))
    .map(userJson)
  return { body: { users, total: users.length } }
}

async function inviteUser(
  deps: UserRouteDeps,
  { caller, now, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const { db, batcher, random, newId } = deps
  const settings = parseNewUser(await body())
  requireCoveredBy(grantOf(settings), caller)
  const { user, invite } = await batcher.run(() => {
    const created = addUser(db, newId(), settings, null, now)
    return { user: created, invite: createInvite(db, "invite", created.id, random, now) }
  })
  return { status: 201, body: { user: userJson(user), invite: newInviteJson(invite) } }
}

async function editUser(
  { db, batcher }: UserRouteDeps,
  { caller, id, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const changes = parseUserChanges(await body())
  const user = await batcher.run(() => {
    findCoveredUser(db, id, caller)
    const changed = changeUser(db, id, changes)
    requireCoveredBy(grantOf(changed), caller)
    return changed
  })
  return { body: { user: userJson(user) } }
}

async function removeUser(
  { db, batcher }: UserRouteDeps,
  { caller, id }: AuthenticatedRequest,
): Promise<RouteResult> {
  await batcher.run(() => {
    findCoveredUser(db, id, caller)
    requireOtherOwner(db, id)
    deleteUser(db, id)
  })
  return {}
}

/**
 * Creates a password reset link. Callers cannot reset the password of a user with more permissions than their own,
 * because the link would give them these permissions.
 */
async function resetUser(
  { db, batcher, random }: UserRouteDeps,
  { caller, id, now }: AuthenticatedRequest,
): Promise<RouteResult> {
  const invite = await batcher.run(() => {
    const user = findCoveredUser(db, id, caller)
    return createInvite(db, passwordOf(db, id) === null ? "invite" : "reset", user.id, random, now)
  })
  return { body: { invite: newInviteJson(invite) } }
}

/** Throws `user_not_found`, or `grant_too_wide` if the user has more permissions than `caller`. */
function findCoveredUser(db: Db, id: string, caller: Caller): User {
  const user = findUser(db, id)
  requireCoveredBy(grantOf(user), caller)
  return user
}

/**
 * Runs `work` and starts a login session for the user that it returns, both in one transaction. Responds with that
 * user.
 */
async function logInAs(deps: UserRouteDeps, call: PublicRequest, work: () => User): Promise<RouteResult> {
  const { db, random, batcher } = deps
  const { token, user } = await batcher.run(() => {
    const { id } = work()
    recordLogin(db, id, call.now)
    return { token: createLoginSession(db, id, random, call.now), user: findUser(db, id) }
  })
  setSessionCookie(call.headers, call.context, deps, token)
  return { body: { user: userJson(user) } }
}

/** Throws `credential_missing` unless the request belongs to a login session. */
function requireLogin(deps: UserRouteDeps, { context, now }: PublicRequest): LoginSession {
  const { login } = callerOf(deps, context.request, now)
  if (login) return login
  throw new RequestError("credential_missing", {
    detail: "a key has no password to change; log in and send the session cookie",
  })
}

/** Returns the caller, or undefined if the request has no valid credentials. */
function callerIfAny(deps: UserRouteDeps, request: Request, now: number): Caller | undefined {
  try {
    return callerOf(deps, request, now)
  } catch (error) {
    if (error instanceof RequestError && rejections[error.reason].status === 401) return undefined
    throw error
  }
}
