import { serveOptions } from "./serve-options.ts"

/**
 * Trims DATABUDDY_ variables, because CRLF line endings and trailing spaces in a file are hard to see and would make
 * values invalid.
 */
export function trimVariables(env: NodeJS.ProcessEnv): void {
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith("DATABUDDY_") && value !== undefined) env[name] = value.trim()
  }
}

const on = new Set(["1", "true", "yes", "on"])
const off = new Set(["", "0", "false", "no", "off"])

/**
 * Deletes the variables of disabled `serve` switches from `env`, because Commander turns a switch on if its variable
 * has any value, even 0. Returns the name of the first variable whose value means neither on nor off, or undefined if
 * there is none.
 */
export function deleteDisabledSwitches(env: NodeJS.ProcessEnv): string | undefined {
  for (const { envVar: name, required, optional } of serveOptions()) {
    // Flags with a value are not switches.
    if (!name || required || optional) continue
    const value = env[name]?.toLowerCase()
    if (value === undefined || on.has(value)) continue
    if (!off.has(value)) return name
    delete env[name]
  }
  return undefined
}
