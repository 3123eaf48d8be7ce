import { Argument, type Command } from "commander"
import { commandTree } from "../terminal/command-tree.ts"
import { completionScript, type Shell, shells } from "../terminal/completions.ts"
import type { Context } from "../terminal/context.ts"
import { manualPage } from "../terminal/manual.ts"

/** Adds `completions` and `man`, which describe all commands. `exitCodes`: the meaning of each exit code. */
export function addCompletionsCommands(
  root: Command,
  exitCodes: Record<number, string>,
  context: Context,
): void {
  root
    .command("completions")
    .description("print a script that completes commands and flags in a shell")
    .addArgument(new Argument("<shell>", "the shell").choices(shells))
    .addHelpText(
      "after",
      `
Examples:
  source <(databuddy completions bash)
  databuddy completions zsh > ~/.zfunc/_databuddy
  databuddy completions fish > ~/.config/fish/completions/databuddy.fish`,
    )
    .action((shell: Shell) => context.outAndWait(completionScript(shell, commandTree(root))))
  root
    .command("man")
    .description("print the manual page: databuddy man | man -l -")
    .action(() => context.outAndWait(manualPage(commandTree(root), exitCodes)))
}
