import { type Command, Option } from "commander"
import type { Random } from "../environment.ts"
import { UserError } from "../errors.ts"
import { sections } from "../sections.ts"
import { addFlagsOfServe } from "../serve-options.ts"
import type { Db } from "../store/db/driver.ts"
import { createInvite } from "../store/invites.ts"
import { type Role, roles } from "../store/roles.ts"
import { deleteUser, hasOwner, listUsers, requireUserWithEmail, type User } from "../store/users.ts"
import type { Context } from "../terminal/context.ts"
import {
  addDataOptions,
  collect,
  type DataOptions,
  inTransaction,
  readDatabase,
  withDatabase,
} from "../terminal/database.ts"
import {
  printFields,
  printJson,
  printTable,
  requireVisibleOutput,
  shortTime,
  shown,
} from "../terminal/print.ts"
import { addUser, changePassword } from "../users/changes.ts"
import { parseNewUser, parsePassword } from "../users/input.ts"
import { PasswordHasher } from "../users/password-hash.ts"
import { newInviteJson, userJson } from "../users/responses.ts"
import type { UserJson } from "../users/schema.ts"

interface CreateOptions extends DataOptions {
  role?: Role
  website?: string[]
  section?: string[]
  passwordStdin?: boolean
}

interface ResetOptions extends DataOptions {
  basePath: string
  passwordStdin?: boolean
  link?: boolean
}

interface DeleteOptions extends DataOptions {
  yes?: boolean
}

/**
 * Number of random bytes in a generated password. The password has 20 characters, which makes it infeasible to guess,
 * but still short enough to type.
 */
const generatedPasswordBytes = 15
const passwordStdinHelp = "read the password from standard input (default: generate one, shown once)"

export function addUserCommands(root: Command, context: Context): void {
  const user = root.command("user").description("manage users, who can log in to the dashboard")

  const createCommand = user
    .command("create <email>")
    .description("create a user with a password")
    .addOption(
      new Option("--role <role>", "owner or viewer (default: owner for the first user, else viewer)").choices(
        roles,
      ),
    )
    .option(
      "--website <id>",
      "limit a viewer to this website; can be repeated (default: all websites)",
      collect,
    )
    .option(
      "--section <section>",
      `limit a viewer to this section: ${sections.join(", ")}; can be repeated (default: all sections)`,
      collect,
    )
    .option("--password-stdin", passwordStdinHelp)
  addDataOptions(createCommand, "user create ada@example.com --role viewer").action(
    (email: string, options: CreateOptions) => create(email, options, context),
  )

  const listCommand = user.command("list").description("list all users")
  addDataOptions(listCommand, "user list --json").action((options: DataOptions) => list(options, context))

  const resetCommand = user
    .command("reset <email>")
    .description("change a user's password and end their login sessions")
    .option("--password-stdin", passwordStdinHelp)
    .addOption(
      new Option(
        "--link",
        "print the path of a one-time link instead; the old password works until the link is used",
      ).conflicts("passwordStdin"),
    )
  addFlagsOfServe(resetCommand, ["--base-path"])
  addDataOptions(resetCommand, "user reset ada@example.com --link").action(
    (email: string, options: ResetOptions) => reset(email, options, context),
  )

  const deleteCommand = user
    .command("delete <email>")
    .description("delete a user and end their login sessions")
    .option("--yes", "delete; without it, only show who would be deleted")
  addDataOptions(deleteCommand, "user delete ada@example.com --yes").action(
    (email: string, options: DeleteOptions) => remove(email, options, context),
  )
}

async function create(email: string, options: CreateOptions, context: Context): Promise<void> {
  const { role, website: websites, section: sections, passwordStdin } = options
  const limits = { websites, sections }
  const isLimited = (websites ?? sections) !== undefined
  // Validates the input before the password is read.
  parseNewUser({ email, role: role ?? "viewer", ...limits })
  const { password, hash } = await choosePassword(passwordStdin, context)
  const create = (db: Db) =>
    inTransaction(db, () => {
      const first = hasOwner(db) || isLimited ? "viewer" : "owner"
      const settings = parseNewUser({ email, role: role ?? first, ...limits })
      const user = addUser(db, context.newId(), settings, hash, context.environment.now())
      // Prints inside the transaction, so that the user is not created if the password cannot be printed.
      print(user, options, context, passwordStdin ? undefined : password)
    })
  // A new database has no websites, so a user cannot be limited to one.
  await withDatabase(options, context, create, { createIfMissing: websites === undefined })
}

function list(options: DataOptions, context: Context): void {
  const users = readDatabase(options, listUsers).map(userJson)
  if (options.json) printJson(users, context)
  else if (users.length === 0) context.out("no users yet; create one with `databuddy user create <email>`\n")
  else {
    const rows = users.map((user) => [
      user.email,
      user.role,
      websitesOf(user),
      sectionsOf(user),
      shortTime(user.createdAt, ""),
      shortTime(user.lastLoginAt, "never"),
    ])
    printTable(["EMAIL", "ROLE", "WEBSITES", "SECTIONS", "CREATED", "LAST LOGIN"], rows, context)
  }
}

async function reset(email: string, options: ResetOptions, context: Context): Promise<void> {
  if (options.link) return await link(email, options, context)
  const { password, hash } = await choosePassword(options.passwordStdin, context)
  await withDatabase(options, context, (db) =>
    inTransaction(db, () => {
      const user = requireUserWithEmail(db, email.toLowerCase())
      changePassword(db, user.id, hash)
      print(user, options, context, options.passwordStdin ? undefined : password)
    }),
  )
}

async function link(email: string, options: ResetOptions, context: Context): Promise<void> {
  const { now, random } = context.environment
  requireVisibleOutput("link", context)
  await withDatabase(options, context, (db) =>
    inTransaction(db, () => {
      const { id } = requireUserWithEmail(db, email.toLowerCase())
      const invite = newInviteJson(createInvite(db, "reset", id, random, now()))
      if (options.json) printJson(invite, context)
      else {
        // The base path is known only if the server's environment variable is set here as well.
        const end = options.basePath === "" ? "" : `, which ends with ${options.basePath}`
        context.out(
          `${invite.path}\n\nAppend it to the URL of the server${end}. The link works once and expires on ${shortTime(invite.expiresAt, "")}.\n`,
        )
      }
    }),
  )
}

async function remove(email: string, options: DeleteOptions, context: Context): Promise<void> {
  await withDatabase(options, context, (db) =>
    inTransaction(db, () => {
      const user = requireUserWithEmail(db, email.toLowerCase())
      const isLast = user.role === "owner" && !hasOwner(db, user.id)
      const last = isLast ? "; no owner would be left" : ""
      const what = `${shown(user.email)}, ${user.role}${last}`
      if (!options.yes) throw new UserError(`this would delete ${what}`, "add --yes to confirm")
      deleteUser(db, user.id)
      if (options.json) printJson({ id: user.id, email: user.email }, context)
      else context.out(`deleted ${what}\n`)
    }),
  )
}

/** Reads the password from standard input, or generates one. Throws `invalid_shape`. */
async function choosePassword(
  passwordStdin: boolean | undefined,
  context: Context,
): Promise<{ password: string; hash: string }> {
  const password = passwordStdin
    ? parsePassword((await context.input()).replace(/\r?\n$/, ""))
    : generatePassword(context.environment.random)
  return { password, hash: await new PasswordHasher().hash(password) }
}

function generatePassword(random: Random): string {
  return Buffer.from(random(new Uint8Array(generatedPasswordBytes))).toString("base64url")
}

function print(user: User, options: DataOptions, context: Context, password?: string): void {
  if (password !== undefined) requireVisibleOutput("password", context)
  const json = userJson(user)
  if (options.json) {
    printJson(password === undefined ? json : { ...json, password }, context)
    return
  }
  printFields(
    {
      email: json.email,
      role: json.role,
      websites: websitesOf(json),
      sections: sectionsOf(json),
      ...(password === undefined ? {} : { password }),
      created: shortTime(json.createdAt, ""),
      "last login": shortTime(json.lastLoginAt, "never"),
    },
    context,
  )
  if (password !== undefined) context.out("\nCopy the password now. It is not shown again.\n")
}

function websitesOf({ websites }: UserJson): string {
  return websites?.join(" ") ?? "all"
}

function sectionsOf({ sections }: UserJson): string {
  return sections?.join(" ") ?? "all"
}
