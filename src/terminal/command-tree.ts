import type { Command, Option } from "commander"

/** An option as completions and the manual page show it. */
export interface OptionFacts {
  /** Such as `--db <file>`. */
  flags: string
  /** `--db`, or undefined for an option with a short name only. */
  long: string | undefined
  short: string | undefined
  takesValue: boolean
  choices: readonly string[]
  description: string
  /** The description with choices, default and variable. */
  details: string
}

export interface CommandFacts {
  /** The words after the program name, such as `website create`; '' for the program. */
  path: string
  /** The arguments, such as `<domain>`. */
  usage: string
  description: string
  options: readonly OptionFacts[]
  /** The possible values of arguments that have a fixed set. */
  choices: readonly string[]
  subcommands: readonly { name: string; description: string }[]
}

/** Lists the program and all of its commands, in the order of --help. */
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
