import { Elysia } from "elysia"
import { Refusal, refusals } from "../errors.ts"
import { addressOf } from "../http/arrival.ts"
import { type Answer, forAnybody, type Managing, type OpenCall } from "../http/call.ts"
import { type Caller, callerOf } from "../http/caller.ts"
import { spend } from "../http/limits.ts"
import { requireOwnPage, setCookie, tokenIn } from "../http/login.ts"
import { endSession, startSession } from "../store/sessions.ts"
import { hasUsers, noteLogin, passwordOf, type User, userWithEmail } from "../store/users.ts"
import { version } from "../version.ts"
import { Passwords } from "./passwords.ts"
import { readLogin, userJson } from "./rules.ts"

/** Attempts to log in a minute. An office shares an address; nobody mistypes a password ten times a minute. */
const loginsByAddress = 30
const loginsByEmail = 10

/** Who people are: their logins. */
export function peopleRoutes(people: Managing) {
  const open = forAnybody(people)
  const passwords = new Passwords()
  const raw = { parse: "none" } as const
  return new Elysia({ prefix: "/v1" })
    .get("/me", open(showMe))
    .post(
      "/login",
      open((deps, call) => logIn(deps, call, passwords)),
      raw,
    )
    .post("/logout", open(logOut), raw)
}

function showMe(people: Managing, { arrival, now }: OpenCall): Answer {
  const user = callerIfAny(people, arrival.request, now)?.login?.user
  return { body: { user: user ? userJson(user) : null, hasUsers: hasUsers(people.db), version } }
}

async function logIn(people: Managing, call: OpenCall, passwords: Passwords): Promise<Answer> {
  const { db } = people
  requireOwnPage(call.arrival.request)
  const { email, password } = readLogin(await call.body())
  limitLogins(people, call, email)
  const user = userWithEmail(db, email)
  const hash = user ? passwordOf(db, user.id) : null
  const isRight = await passwords.verify(password, hash)
  if (!user || !isRight) throw new Refusal("login_wrong")
  return await logInAs(people, call, () => {
    // Another may have been chosen while this one was compared.
    if (passwordOf(db, user.id) !== hash) throw new Refusal("login_wrong")
    return user
  })
}

async function logOut(people: Managing, { arrival, headers }: OpenCall): Promise<Answer> {
  requireOwnPage(arrival.request)
  const token = tokenIn(arrival.request.headers)
  if (token !== undefined) await people.batcher.run(() => endSession(people.db, token))
  setCookie(headers, arrival, people, undefined)
  return {}
}

/** Throws `rate_limited`. */
function limitLogins({ limiter, settings }: Managing, { arrival, headers }: OpenCall, email: string): void {
  const address = addressOf(arrival, settings.trustedProxies)
  spend(limiter.take(`login from ${address}`, loginsByAddress), headers)
  spend(limiter.take(`login as ${email}`, loginsByEmail), headers)
}

/** Starts a session for the user that `work` gives, in one transaction with it, and answers with who that is. */
async function logInAs(people: Managing, call: OpenCall, work: () => User): Promise<Answer> {
  const { db, random, batcher } = people
  const { token, user } = await batcher.run(() => {
    const user = work()
    noteLogin(db, user.id, call.now)
    const token = startSession(db, user.id, random, call.now)
    return { token, user: { ...user, lastLoginAt: call.now } }
  })
  setCookie(call.headers, call.arrival, people, token)
  return { body: { user: userJson(user) } }
}

/** Undefined where what the request carries is no credential. */
function callerIfAny(people: Managing, request: Request, now: number): Caller | undefined {
  try {
    return callerOf(people, request, now)
  } catch (error) {
    if (error instanceof Refusal && refusals[error.reason].status === 401) return undefined
    throw error
  }
}
