import type { Command, Option } from "commander"

/** An option, as shown in completions and on the manual page. */
export interface OptionFacts {
  /** For example `--db <file>`. */
  flags: string
  /** For example `--db`. Undefined for an option that only has a short name. */
  long: string | undefined
  short: string | undefined
  takesValue: boolean
  choices: readonly string[]
  description: string
  /** The description, including the choices, the default and the environment variable. */
  details: string
}

export interface CommandFacts {
  /** The words after the program name, such as `website create`. '' for the program itself. */
  path: string
  /** The arguments, such as `<domain>`. */
  usage: string
  description: string
  options: readonly OptionFacts[]
  /** The possible values of arguments that have a fixed set of values. */
  choices: readonly string[]
  subcommands: readonly { name: string; description: string }[]
}

/** Lists the program and all its commands, in the order of --help. */
export function commandTree(command: Command, path = ""): CommandFacts[] {
  const help = command.createHelp()
  const facts: CommandFacts = {
    path,
    usage: command.usage(),
    description: command.description(),
    options: help.visibleOptions(command).map((option) => ({
      flags: option.flags,
      long: option.long ?? undefined,
      short: option.short ?? undefined,
      takesValue: takesValue(option),
      choices: option.argChoices ?? [],
      description: option.description,
      details: help.optionDescription(option),
    })),
    choices: command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
    subcommands: command.commands.map((sub) => ({ name: sub.name(), description: sub.description() })),
  }
  return [facts, ...command.commands.flatMap((sub) => commandTree(sub, `${path} ${sub.name()}`.trim()))]
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional
}
