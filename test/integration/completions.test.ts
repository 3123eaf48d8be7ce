import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { run } from "../../src/cli.ts"
import { temporaryFolder } from "../harness.ts"
import { commandContext } from "../support/command-context.ts"
import { repository } from "../support/repository.ts"

// The shells run the scripts and complete a command line. A shell that is not installed is skipped.

const folder = temporaryFolder()
const shells = ["bash", "zsh", "fish"] as const
const main = join(repository, "src/main.ts")

function databuddy(...args: string[]): string {
  const { success, stdout, stderr } = Bun.spawnSync([process.execPath, main, ...args])
  if (!success) throw new Error(stderr.toString())
  return stdout.toString()
}

beforeAll(() => {
  for (const shell of shells) writeFileSync(folder.file(shell), databuddy("completions", shell))
})
afterAll(() => folder[Symbol.dispose]())

/** For each shell, a script that takes the words of a command line as arguments and prints completions of the last. */
const complete = {
  bash: `
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
complete -p databuddy >/dev/null && _databuddy
printf '%s\\n' "\${COMPREPLY[@]}"`,
  // Completion in zsh needs a terminal, so its functions are replaced by functions that print their arguments.
  zsh: `
compdef() { }
_describe() { local entry; for entry in "\${(@P)2}"; do print -r -- "\${entry%%:*}"; done }
_files() { print -- FILES }
compadd() { shift; print -rl -- "$@" }
source "$1"; shift
words=("$@"); CURRENT=$#
_databuddy`,
  fish: `
source $argv[1]
complete -C (string join ' ' -- $argv[2..])`,
}

function completionsIn(shell: (typeof shells)[number], words: string[]): string[] {
  const script = folder.file(`${shell}-test`)
  writeFileSync(script, complete[shell])
  const { stdout, stderr } = Bun.spawnSync([shell, script, folder.file(shell), "databuddy", ...words], {
    env: { ...process.env, HOME: folder.path },
  })
  expect(stderr.toString()).toBe("")
  const lines = stdout.toString().trim().split("\n")
  return lines.map((line) => line.split("\t")[0] ?? "").filter((line) => line !== "")
}

const lines: { sentence: string; words: string[]; some: string[]; none: string[] }[] = [
  {
    sentence: "commands after the program",
    words: [""],
    some: ["serve", "website", "doctor", "completions"],
    none: ["create", "--port"],
  },
  {
    sentence: "subcommands after a command",
    words: ["website", ""],
    some: ["create", "list", "delete"],
    none: ["serve"],
  },
  { sentence: "flags of a command", words: ["serve", "--"], some: ["--port", "--tls-cert"], none: ["--url"] },
  {
    sentence: "flags of a subcommand, after an argument and a flag with a value",
    words: ["website", "create", "shop.example", "--name", "Shop", "--"],
    some: ["--anonymize", "--allowed-origin"],
    none: ["--port"],
  },
  {
    sentence: "the values of a flag with choices",
    words: ["serve", "--durability", ""],
    some: ["fsync", "os"],
    none: ["--port", "serve"],
  },
  {
    sentence: "the values of an argument with choices",
    words: ["completions", ""],
    some: ["bash", "zsh", "fish"],
    none: ["serve"],
  },
]

describe.each(shells)("%s", (shell) => {
  test.skipIf(!Bun.which(shell)).each(lines)("completes $sentence", ({ words, some, none }) => {
    const found = completionsIn(shell, words)
    // bash and zsh filter the list of flags themselves, or list flags with the commands. fish only lists matches.
    expect(found).toEqual(expect.arrayContaining(some))
    const isFlag = (word: string) => word.startsWith("-")
    expect(found.filter((word) => none.includes(word) && (shell === "fish" || !isFlag(word)))).toEqual([])
  })

  test.skipIf(!Bun.which(shell))("completes only file names where a file is expected", () => {
    writeFileSync(folder.file("a-file"), "")
    const found = completionsIn(shell, ["serve", "--db", `${folder.path}/a-`])
    expect(found.filter((word) => !/FILES|a-file$/.test(word))).toEqual([])
  })
})

test("completes all commands and flags that are in the help", () => {
  const flags = [...databuddy("serve", "--help").matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(
    (match) => match[1],
  )
  expect(flags.length).toBeGreaterThan(25)
  expect(completionsIn("bash", ["serve", "--"]).sort()).toEqual(flags.sort() as string[])
})

test("the help of each command is the same, whether it is loaded alone or with all others", async () => {
  const print = async (...args: string[]) => {
    const output = { out: "", err: "" }
    await run(args, commandContext({ now: Date.now, env: {}, output }))
    return output.out
  }
  const names = completionsIn("bash", [""]).filter((name) => !name.startsWith("-"))
  expect(names).toContain("website")
  for (const name of names) {
    expect(await print(name, "--help")).toStartWith(`Usage: databuddy ${name} `)
    expect(await print(name, "--help")).toBe(await print("help", name))
  }
})

describe("the manual page", () => {
  test("describes every command and its flags", () => {
    const page = databuddy("man")
    for (const text of [
      '.SS "databuddy website create [options] <domain>"',
      ".B \\-\\-port <number>",
      "env: DATABUDDY_PORT",
      ".B 141",
    ]) {
      expect(page).toContain(text)
    }
    // Lines that start with a dot are requests to the formatter.
    const instructions = page.split("\n").filter((line) => line.startsWith("."))
    expect(instructions.filter((line) => !/^\.(?:TH|SH|SS|TP|PP|B)(?: |$)/.test(line))).toEqual([])
  })

  test.skipIf(!Bun.which("groff"))("is accepted by groff", () => {
    writeFileSync(folder.file("databuddy.1"), databuddy("man"))
    const args = ["-man", "-Tutf8", "-ww", "-z", folder.file("databuddy.1")]
    const { stderr, success } = Bun.spawnSync(["groff", ...args])
    expect(stderr.toString()).toBe("")
    expect(success).toBe(true)
  })
})
