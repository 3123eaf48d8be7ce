import { type Command, Option } from "commander"
import { UserError } from "../errors.ts"
import type { Db } from "../store/db/driver.ts"
import { createInvite } from "../store/invites.ts"
import type { Random } from "../store/keys.ts"
import { deleteUser, hasOwner, listUsers, type Role, roles, type User, userNamed } from "../store/users.ts"
import type { Context } from "../terminal/context.ts"
import {
  addDataOptions,
  collect,
  type DataOptions,
  inTransaction,
  withDatabase,
} from "../terminal/database.ts"
import { printFields, printJson, printTable, shortTime, shown } from "../terminal/print.ts"
import {
  addUser,
  changePassword,
  newInviteJson,
  readNewUser,
  readPassword,
  userJson,
} from "../users/input.ts"
import { Passwords } from "../users/passwords.ts"
import type { UserJson } from "../users/schema.ts"

interface CreateOptions extends DataOptions {
  role?: Role
  website?: string[]
  passwordStdin?: boolean
}

interface ResetOptions extends DataOptions {
  passwordStdin?: boolean
  link?: boolean
}

interface DeleteOptions extends DataOptions {
  yes?: boolean
}

/** 120 bits, 20 characters: nobody guesses it, and it can be typed. */
const madePasswordBytes = 15
const fromStdin = "take the password from standard input (default: make one and show it, this once)"

export function addUserCommands(root: Command, context: Context): void {
  const user = root.command("user").description("look after the people who may log in")

  const creating = user
    .command("create <email>")
    .description("make a user with a password")
    .addOption(
      new Option(
        "--role <role>",
        "owner or viewer (default: owner where there is none yet, else viewer)",
      ).choices(roles),
    )
    .option("--website <id>", "limit a viewer to it; can be repeated (default: all websites)", collect)
    .option("--password-stdin", fromStdin)
  addDataOptions(creating, "user create ada@example.com --role viewer").action(
    (email: string, options: CreateOptions) => create(email, options, context),
  )

  const listing = user.command("list").description("show all users")
  addDataOptions(listing, "user list --json").action((options: DataOptions) => list(options, context))

  const resetting = user
    .command("reset <email>")
    .description("give a user another password and end all logins of theirs")
    .option("--password-stdin", fromStdin)
    .addOption(
      new Option(
        "--link",
        "print the path of a one-time link instead; the old password works until it is used",
      ).conflicts("passwordStdin"),
    )
  addDataOptions(resetting, "user reset ada@example.com --link").action(
    (email: string, options: ResetOptions) => reset(email, options, context),
  )

  const deleting = user
    .command("delete <email>")
    .description("delete a user and end all logins of theirs")
    .option("--yes", "do it; without this it only says who would be deleted")
  addDataOptions(deleting, "user delete ada@example.com --yes").action(
    (email: string, options: DeleteOptions) => remove(email, options, context),
  )
}

async function create(email: string, options: CreateOptions, context: Context): Promise<void> {
  const { role, website: websites, passwordStdin } = options
  // What can be wrong is found before anybody types a password.
  readNewUser({ email, role: role ?? "viewer", websites })
  const { password, hash } = await choosePassword(passwordStdin, context)
  const make = (db: Db) =>
    inTransaction(db, () => {
      const first = hasOwner(db) || websites ? "viewer" : "owner"
      const settings = readNewUser({ email, role: role ?? first, websites })
      const user = addUser(db, context.newId(), settings, hash, context.world.now())
      // Inside the transaction: a user whose password could not be shown is not made.
      print(user, options, context, passwordStdin ? undefined : password)
    })
  // Nobody is limited to a website of a database that is yet to be made.
  await withDatabase(options, context, make, { make: websites === undefined })
}

async function list(options: DataOptions, context: Context): Promise<void> {
  const users = (await withDatabase(options, context, listUsers)).map(userJson)
  if (options.json) printJson(users, context)
  else if (users.length === 0) context.out("no users: databuddy user create <email> makes one\n")
  else {
    const rows = users.map((one) => [
      one.email,
      one.role,
      websitesOf(one),
      shortTime(one.createdAt, ""),
      shortTime(one.lastLoginAt, "never"),
    ])
    printTable(["EMAIL", "ROLE", "WEBSITES", "CREATED", "LAST LOGIN"], rows, context)
  }
}

async function reset(email: string, options: ResetOptions, context: Context): Promise<void> {
  if (options.link) return await link(email, options, context)
  const { password, hash } = await choosePassword(options.passwordStdin, context)
  await withDatabase(options, context, (db) =>
    inTransaction(db, () => {
      const user = userNamed(db, email.toLowerCase())
      changePassword(db, user.id, hash)
      print(user, options, context, options.passwordStdin ? undefined : password)
    }),
  )
}

async function link(email: string, options: ResetOptions, context: Context): Promise<void> {
  const { now, random } = context.world
  await withDatabase(options, context, (db) =>
    inTransaction(db, () => {
      const { id } = userNamed(db, email.toLowerCase())
      const invite = newInviteJson(createInvite(db, "reset", id, random, now()))
      if (options.json) printJson(invite, context)
      else {
        context.out(
          `${invite.path}\n\nOpen it behind the server's address: it works once, until ${shortTime(invite.expiresAt, "")}.\n`,
        )
      }
    }),
  )
}

async function remove(email: string, options: DeleteOptions, context: Context): Promise<void> {
  await withDatabase(options, context, (db) =>
    inTransaction(db, () => {
      const user = userNamed(db, email.toLowerCase())
      const isLast = user.role === "owner" && !hasOwner(db, user.id)
      const last = isLast ? "; no other owner can log in then" : ""
      const what = `${shown(user.email)}, ${user.role}${last}`
      if (!options.yes) throw new UserError(`this would delete ${what}`, "add --yes to do it")
      deleteUser(db, user.id)
      if (options.json) printJson({ id: user.id, email: user.email }, context)
      else context.out(`deleted ${what}\n`)
    }),
  )
}

/** The password that is typed or piped in, else a new one. Throws `invalid_shape`. */
async function choosePassword(
  passwordStdin: boolean | undefined,
  context: Context,
): Promise<{ password: string; hash: string }> {
  const password = passwordStdin
    ? readPassword((await context.input()).replace(/\r?\n$/, ""))
    : makePassword(context.world.random)
  return { password, hash: await new Passwords().hash(password) }
}

function makePassword(random: Random): string {
  return Buffer.from(random(new Uint8Array(madePasswordBytes))).toString("base64url")
}

function print(user: User, options: DataOptions, context: Context, password?: string): void {
  const one = userJson(user)
  if (options.json) {
    printJson(password === undefined ? one : { ...one, password }, context)
    return
  }
  printFields(
    {
      email: one.email,
      role: one.role,
      websites: websitesOf(one),
      ...(password === undefined ? {} : { password }),
      created: shortTime(one.createdAt, ""),
      "last login": shortTime(one.lastLoginAt, "never"),
    },
    context,
  )
  if (password !== undefined) context.out("\nThe password is shown this once: keep it now.\n")
}

function websitesOf({ websites }: UserJson): string {
  return websites?.join(" ") ?? "all"
}
