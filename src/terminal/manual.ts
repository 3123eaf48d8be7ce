import type { CommandFacts } from "./command-tree.ts"

/** Returns the manual page in roff format. `exitCodes` contains the meaning of each exit code. */
export function manualPage(commands: readonly CommandFacts[], exitCodes: Record<number, string>): string {
  const [program, ...others] = commands
  return [
    '.TH DATABUDDY 1 "" "databuddy" "User Commands"',
    ".SH NAME",
    `databuddy \\- self\\-hosted web and product analytics`,
    ".SH SYNOPSIS",
    ".B databuddy",
    "\\fIcommand\\fR [\\fIoptions\\fR]",
    ".SH DESCRIPTION",
    roff(program?.description ?? ""),
    ".PP",
    "Every flag of \\fBserve\\fR can also be set with the environment variable shown in parentheses.",
    ".SH COMMANDS",
    ...others.filter(({ subcommands }) => subcommands.length === 0).flatMap(section),
    ".SH EXIT STATUS",
    ...Object.entries(exitCodes).flatMap(([code, meaning]) => [".TP", `.B ${code}`, roff(meaning)]),
    "",
  ].join("\n")
}

function section({ path, usage, description, options }: CommandFacts): string[] {
  return [
    `.SS "databuddy ${roff(path)} ${roff(usage)}"`,
    roff(description),
    ...options.flatMap(({ flags, details }) => [".TP", `.B ${roff(flags)}`, roff(details)]),
  ]
}

/**
 * Escapes characters that roff would interpret. A plain '-' would become a hyphen, which does not work when copied into
 * a terminal.
 */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll('"', "\\(dq")
    .replace(/[^ -~\n]/gu, (character) => `\\[u${hex(character)}]`)
    .replace(/^(?=[.'])/gm, "\\&")
}

function hex(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")
}
