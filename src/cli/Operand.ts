/** What stands on the command line without a name: directories and files. */
import { Either } from "effect"
import type { Parser } from "./Parser.js"

/**
 * @effect/cli hands over an option that it does not know as if it were a file's name. A file whose name begins with a
 * dash is written `./-name`, as for other commands.
 */
export const parse: Parser<string> = (operand) => {
  if (operand === "") return Either.left("a file or directory has an empty name")
  return operand.startsWith("-") && operand !== "-"
    ? Either.left(`unknown option '${operand}' (a file of that name is './${operand}')`)
    : Either.right(operand)
}

/** The arguments before `--`: after it all are operands. */
export const ownArguments = (args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args.includes("--") ? args.slice(0, args.indexOf("--")) : args

/** A flag such as `--lines` takes no value, but @effect/cli takes these words after it for one. */
const TRUTH_WORDS = new Set(["true", "1", "y", "yes", "on", "false", "0", "n", "no", "off"])

/** Arguments in which no operand can be mistaken for the value of one of `flags`. */
export const shieldFlags = (args: ReadonlyArray<string>, flags: ReadonlySet<string>): Array<string> => {
  const own = ownArguments(args).length
  return args.map((arg, i) =>
    i < own && flags.has(arg) && TRUTH_WORDS.has(args[i + 1] ?? "") ? `${arg}=true` : arg
  )
}
