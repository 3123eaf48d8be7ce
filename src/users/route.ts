import { Elysia } from "elysia"
import { RequestError, rejections } from "../errors.ts"
import {
  type AuthenticatedRequest,
  authenticatedRoute,
  type PublicRequest,
  publicRoute,
  type RouteDeps,
  type RouteResult,
} from "../http/authenticated-request.ts"
import { type Caller, callerOf } from "../http/caller.ts"
import { requireSameOrigin, sessionTokensOf, setSessionCookie } from "../http/login-session.ts"
import { isWithin, requireWithin } from "../http/permissions.ts"
import { enforceRateLimit, rateLimitHeaders } from "../http/rate-limits.ts"
import { addressOf } from "../http/request-context.ts"
import { invalidShape } from "../http/validation.ts"
import type { Db } from "../store/db/driver.ts"
import { createInvite, findInvite } from "../store/invites.ts"
import { createLoginSession, endLoginSession, type LoginSession } from "../store/login-sessions.ts"
import {
  deleteUser,
  findUser,
  grantOf,
  hasUsers,
  listUsers,
  passwordOf,
  recordLogin,
  type User,
  userWithEmail,
} from "../store/users.ts"
import { version } from "../version.ts"
import {
  addUser,
  changePassword,
  changeUser,
  inviteJson,
  linkJson,
  newInviteJson,
  readAcceptance,
  readLogin,
  readNewUser,
  readPasswordChange,
  readUserChanges,
  requireOtherOwner,
  userJson,
} from "./input.ts"
import type { LoginLimits } from "./login-limits.ts"
import { Passwords } from "./passwords.ts"

/** Wrong tries to name the password of one's own login, a minute. */
const passwordChanges = 10

/** What the routes about people ask of the server. */
export interface PeopleDeps extends RouteDeps {
  loginLimits: LoginLimits
}

/** What the routes about people work with. */
interface People extends PeopleDeps {
  passwords: Passwords
}

/** Who people are, their logins, and who looks after both. */
export function userRoutes(deps: PeopleDeps) {
  const people = { ...deps, passwords: new Passwords() }
  const open = publicRoute(people)
  const on = authenticatedRoute(people)
  const raw = { parse: "none" } as const
  return new Elysia({ prefix: "/v1" })
    .get("/me", open(showMe))
    .post("/me/password", open(choosePassword), raw)
    .post("/login", open(logIn), raw)
    .post("/logout", open(logOut), raw)
    .get("/invites/:token", open(showInvite))
    .post("/invites/:token", open(acceptInvite), raw)
    .get("/users", on("manage:users", showUsers))
    .post("/users", on("manage:users", inviteUser), raw)
    .patch("/users/:id", on("manage:users", editUser), raw)
    .delete("/users/:id", on("manage:users", removeUser), raw)
    .post("/users/:id/reset", on("manage:users", resetUser), raw)
}

function showMe(people: People, { context: arrival, now }: PublicRequest): RouteResult {
  const { login, share } = callerIfAny(people, arrival.request, now) ?? {}
  const user = login ? userJson(login.user) : null
  return { body: { user, share: share ? linkJson(share) : null, hasUsers: hasUsers(people.db), version } }
}

async function logIn(people: People, call: PublicRequest): Promise<RouteResult> {
  const { db, settings } = people
  requireSameOrigin(call.context.request)
  const { email, password } = readLogin(await call.body())
  const address = addressOf(call.context, settings.trustedProxies)
  const attempt = people.loginLimits.begin(email, address)
  Object.assign(call.headers, rateLimitHeaders(attempt.allowance))
  const user = userWithEmail(db, email)
  const hash = user ? passwordOf(db, user.id) : null
  const isRight = await people.passwords
    .verify(password, hash, { address, isKnown: attempt.isKnown })
    .catch((error) => {
      attempt.refund()
      throw error
    })
  if (!user || !isRight) throw new RequestError("login_wrong")
  attempt.refund()
  const answer = await logInAs(people, call, () => {
    // Another may have been chosen while this one was compared.
    if (passwordOf(db, user.id) !== hash) throw new RequestError("login_wrong")
    return findUser(db, user.id)
  })
  attempt.succeed()
  return answer
}

async function logOut(people: People, { context: arrival, headers }: PublicRequest): Promise<RouteResult> {
  requireSameOrigin(arrival.request)
  const tokens = sessionTokensOf(arrival.request.headers)
  await people.batcher.run(() => {
    for (const token of tokens) endLoginSession(people.db, token)
  })
  setSessionCookie(headers, arrival, people, undefined)
  return {}
}

async function choosePassword(people: People, call: PublicRequest): Promise<RouteResult> {
  const { db, batcher, passwords } = people
  const login = requireLogin(people, call)
  const { id } = login.user
  const { current, password } = readPasswordChange(await call.body())
  const limited = `password of ${id}`
  enforceRateLimit(people.limiter.take(limited, passwordChanges), call.headers)
  const before = passwordOf(db, id)
  const wrong = invalidShape([{ field: "current", message: "is not the password of this login" }])
  const address = addressOf(call.context, people.settings.trustedProxies)
  if (!(await passwords.verify(current, before, { address, isKnown: true }))) throw wrong
  people.limiter.refund(limited, passwordChanges)
  const hash = await passwords.hash(password)
  await batcher.run(() => {
    if (passwordOf(db, id) !== before) throw wrong
    changePassword(db, id, hash, login)
  })
  return {}
}

function showInvite({ db }: People, { id: token, now }: PublicRequest): RouteResult {
  return { body: { invite: inviteJson(findInvite(db, token, now)) } }
}

async function acceptInvite(people: People, call: PublicRequest): Promise<RouteResult> {
  const { db, passwords, newId } = people
  const { context: arrival, id: token, now } = call
  requireSameOrigin(arrival.request)
  const invite = findInvite(db, token, now)
  const { email, password } = readAcceptance(await call.body(), invite)
  const hash = await passwords.hash(password)
  return await logInAs(people, call, () => {
    // Somebody may have used it meanwhile.
    const { user } = findInvite(db, token, now)
    if (!user) return addUser(db, newId(), { email, role: "owner", websites: null }, hash, now)
    changePassword(db, user.id, hash)
    return user
  })
}

/** Those who may do no more than who asks. */
function showUsers({ db }: People, { caller }: AuthenticatedRequest): RouteResult {
  const users = listUsers(db)
    .filter((user) => isWithin(grantOf(user), caller))
    .map(userJson)
  return { body: { users, total: users.length } }
}

async function inviteUser(people: People, { caller, now, body }: AuthenticatedRequest): Promise<RouteResult> {
  const { db, batcher, random, newId } = people
  const settings = readNewUser(await body())
  requireWithin(grantOf(settings), caller)
  const { user, invite } = await batcher.run(() => {
    const made = addUser(db, newId(), settings, null, now)
    return { user: made, invite: createInvite(db, "invite", made.id, random, now) }
  })
  return { status: 201, body: { user: userJson(user), invite: newInviteJson(invite) } }
}

async function editUser(
  { db, batcher }: People,
  { caller, id, body }: AuthenticatedRequest,
): Promise<RouteResult> {
  const changes = readUserChanges(await body())
  const user = await batcher.run(() => {
    withinGrant(db, id, caller)
    const changed = changeUser(db, id, changes)
    requireWithin(grantOf(changed), caller)
    return changed
  })
  return { body: { user: userJson(user) } }
}

async function removeUser(
  { db, batcher }: People,
  { caller, id }: AuthenticatedRequest,
): Promise<RouteResult> {
  await batcher.run(() => {
    withinGrant(db, id, caller)
    requireOtherOwner(db, id)
    deleteUser(db, id)
  })
  return {}
}

/** Whoever could let somebody choose a password who may do more would get hold of that. */
async function resetUser(
  { db, batcher, random }: People,
  { caller, id, now }: AuthenticatedRequest,
): Promise<RouteResult> {
  const invite = await batcher.run(() => {
    const user = withinGrant(db, id, caller)
    return createInvite(db, passwordOf(db, id) === null ? "invite" : "reset", user.id, random, now)
  })
  return { body: { invite: newInviteJson(invite) } }
}

/** Throws `user_not_found`, and `grant_too_wide` where the user may do more than `own`. */
function withinGrant(db: Db, id: string, own: Caller): User {
  const user = findUser(db, id)
  requireWithin(grantOf(user), own)
  return user
}

/** Starts a session for the user that `work` gives, in one transaction with it, and answers with who that is. */
async function logInAs(people: People, call: PublicRequest, work: () => User): Promise<RouteResult> {
  const { db, random, batcher } = people
  const { token, user } = await batcher.run(() => {
    const { id } = work()
    recordLogin(db, id, call.now)
    return { token: createLoginSession(db, id, random, call.now), user: findUser(db, id) }
  })
  setSessionCookie(call.headers, call.context, people, token)
  return { body: { user: userJson(user) } }
}

/** Throws `credential_missing` where the request is not of a person. */
function requireLogin(people: People, { context: arrival, now }: PublicRequest): LoginSession {
  const { login } = callerOf(people, arrival.request, now)
  if (login) return login
  throw new RequestError("credential_missing", { detail: "log in: this is about a person's own login" })
}

/** Undefined where what the request carries is no credential. */
function callerIfAny(people: People, request: Request, now: number): Caller | undefined {
  try {
    return callerOf(people, request, now)
  } catch (error) {
    if (error instanceof RequestError && rejections[error.reason].status === 401) return undefined
    throw error
  }
}
