/**
 * The options that @effect/cli adds to every command. It looks for them first and ignores those that it cannot read, so that
 * `--completions ksh` would be reported as an unknown command; and its `--wizard` hangs where there is no terminal.
 */
import { LogLevel } from "effect"
import { ownArguments } from "./Operand.js"

/** A map: an object would have `valueOf` too. */
const VALUES = new Map<string, ReadonlyArray<string>>([
  ["--completions", ["bash", "fish", "zsh"]],
  ["--log-level", LogLevel.allLevels.map((level) => level._tag.toLowerCase())]
])

/** What is wrong with the built-in options among `args`, if anything. */
export const problem = (args: ReadonlyArray<string>): string | undefined => {
  const own = ownArguments(args)
  for (const [i, arg] of own.entries()) {
    if (arg === "--wizard") return "unknown option '--wizard'"
    const [name, value = own[i + 1]] = arg.split("=", 2)
    const values = VALUES.get(name!)
    if (values !== undefined && !values.includes(value ?? "")) {
      return `${name}: give one of ${values.join(", ")}`
    }
  }
  return undefined
}

/** A completion script without what is refused here: `--wizard`, and `sh` among the shells. */
export const offerable = (script: string): string =>
  script
    .split("\n")
    .filter((line) => !/ -l wizard |'--wizard\[/.test(line))
    .map((line) => line.replace(" --wizard", "").replace("{sh'',", "{").replace("(sh bash ", "(bash "))
    .join("\n")

export const asksForCompletions = (args: ReadonlyArray<string>): boolean =>
  ownArguments(args).some((arg) => arg.split("=", 1)[0] === "--completions")
