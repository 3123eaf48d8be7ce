import type { CommandFacts, OptionFacts } from "./command-tree.ts"

export const shells = ["bash", "zsh", "fish"] as const
export type Shell = (typeof shells)[number]

/** Returns a script that completes commands, flags, and the values of flags with fixed choices. */
export function completionScript(shell: Shell, commands: readonly CommandFacts[]): string {
  return scripts[shell](commands)
}

const scripts: Record<Shell, (commands: readonly CommandFacts[]) => string> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
}

/**
 * Each script determines the command from the words before the cursor, and then offers the words that can follow the
 * command.
 */
function bashScript(commands: readonly CommandFacts[]): string {
  return `# bash completion for databuddy: source <(databuddy completions bash)
_databuddy() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} place= words= index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "$place \${COMP_WORDS[index]}" in
${steps(commands, (pattern) => `      ${pattern}) place="\${place:+$place }\${COMP_WORDS[index]}" ;;`)}
    esac
  done
  case "$place $previous" in
${values(
  commands,
  (pattern, choices) => `    ${pattern}) words=${quote(choices.join(" "))} ;;`,
  (pattern) => `    ${pattern}) return ;;`,
)}
    *)
      case "$place" in
${commands.map((command) => `        ${quote(command.path)}) words=${quote(wordsOf(command).join(" "))} ;;`).join("\n")}
      esac
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _databuddy databuddy
`
}

function zshScript(commands: readonly CommandFacts[]): string {
  return `#compdef databuddy
# zsh completion for databuddy: source <(databuddy completions zsh), or save it as _databuddy in a folder listed in fpath
_databuddy() {
  local place= word previous=\${words[CURRENT-1]}
  local -a entries
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$place $word" in
${steps(commands, (pattern) => `      (${pattern}) place="\${place:+$place }$word" ;;`)}
    esac
  done
  case "$place $previous" in
${values(
  commands,
  (pattern, choices) => `    (${pattern}) compadd -- ${choices.map(quote).join(" ")}; return ;;`,
  (pattern) => `    (${pattern}) _files; return ;;`,
)}
  esac
  case "$place" in
${commands.map((command) => `    (${quote(command.path)}) entries=(${entriesOf(command).join(" ")}) ;;`).join("\n")}
  esac
  _describe databuddy entries || _files
}
if [[ $funcstack[1] = _databuddy ]]; then _databuddy "$@"; else compdef _databuddy databuddy; fi
`
}

function fishScript(commands: readonly CommandFacts[]): string {
  const paths = commands.slice(1).map(({ path }) => quote(path))
  const lines = commands.flatMap(({ path, options, choices, subcommands }) => {
    const start = `complete -c databuddy -n ${quote(`__databuddy_at '${path}'`)}`
    return [
      ...subcommands.map(({ name, description }) => `${start} -f -a ${quote(name)} -d ${quote(description)}`),
      ...(choices.length > 0 ? [`${start} -f -a ${quote(choices.join(" "))}`] : []),
      ...options.map((option) => `${start} ${fishOption(option)} -d ${quote(option.description)}`),
    ]
  })
  return `# fish completion for databuddy: databuddy completions fish | source
function __databuddy_at
  set -l known ${paths.join(" ")}
  set -l words (commandline -opc)
  set -l place ""
  for word in $words[2..]
    set -l next (string trim -- "$place $word")
    if contains -- "$next" $known
      set place $next
    end
  end
  test "$place" = "$argv[1]"
end
${lines.join("\n")}
`
}

function fishOption({ long, short, takesValue, choices }: OptionFacts): string {
  const names = [...(long ? [`-l ${long.slice(2)}`] : []), ...(short ? [`-s ${short.slice(1)}`] : [])]
  if (!takesValue) return names.join(" ")
  return [...names, choices.length > 0 ? `-x -a ${quote(choices.join(" "))}` : "-r -F"].join(" ")
}

/** Returns case patterns for commands. Each pattern consists of the parent command and the name. */
function steps(commands: readonly CommandFacts[], line: (pattern: string) => string): string {
  return line(
    commands
      .flatMap(({ path, subcommands }) => subcommands.map(({ name }) => quote(`${path} ${name}`)))
      .join(" | "),
  )
}

/**
 * Returns case patterns for flags that take a value. Each pattern consists of the command and the flag. `withChoices`
 * formats a flag with fixed choices, and `others` formats all other flags.
 */
function values(
  commands: readonly CommandFacts[],
  withChoices: (pattern: string, choices: readonly string[]) => string,
  others: (pattern: string) => string,
): string {
  const flags = commands.flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .flatMap(({ long, short, choices }) =>
        namesOf({ long, short }).map((name) => ({ pattern: quote(`${path} ${name}`), choices })),
      ),
  )
  const free = flags.filter(({ choices }) => choices.length === 0)
  return [
    ...flags
      .filter(({ choices }) => choices.length > 0)
      .map(({ pattern, choices }) => withChoices(pattern, choices)),
    others(free.map(({ pattern }) => pattern).join(" | ")),
  ].join("\n")
}

function namesOf({ long, short }: Pick<OptionFacts, "long" | "short">): string[] {
  return [long, short].filter((name) => name !== undefined)
}

function wordsOf({ subcommands, choices, options }: CommandFacts): string[] {
  return [...subcommands.map(({ name }) => name), ...choices, ...options.flatMap(namesOf)]
}

/** Returns the words that can follow a command, with their descriptions, in the format of zsh's _describe. */
function entriesOf({ subcommands, choices, options }: CommandFacts): string[] {
  const entry = (name: string, description: string) => quote(`${name.replaceAll(":", "\\:")}:${description}`)
  return [
    ...subcommands.map(({ name, description }) => entry(name, description)),
    ...choices.map(quote),
    ...options.flatMap((option) => namesOf(option).map((name) => entry(name, option.description))),
  ]
}

/** Returns a word in single quotes, which bash and zsh read literally. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
