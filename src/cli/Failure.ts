/**
 * How a command ends badly: one line on standard error and an exit code, whatever went wrong.
 *
 *     1  it failed        2  it was called wrongly        128 + n  it was ended by signal n
 */
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import { Cause, Data } from "effect"
import { stripVTControlCharacters } from "node:util"

const FAILED = 1
const MISUSED = 2

/** An end that is explained already: `message` is what the user reads. */
export class CommandFailed extends Data.TaggedError("CommandFailed")<{
  readonly message: string
  readonly exitCode: number
}> {}

/** Nobody reads our standard output any more (`hypercore cat feed | head`): the end, but no failure. */
export class OutputClosed extends Data.TaggedError("OutputClosed")<{}> {}

export const failed = (message: string): CommandFailed => new CommandFailed({ message, exitCode: FAILED })

export const misused = (message: string): CommandFailed => new CommandFailed({ message, exitCode: MISUSED })

/** What is said of a failure: nothing at all when `message` is empty. */
export interface Report {
  readonly message: string
  readonly exitCode: number
}

/** The report on a cause that is not an interruption. */
export const report = (cause: Cause.Cause<unknown>): Report => {
  const error = Cause.squash(cause)
  if (error instanceof OutputClosed) return { message: "", exitCode: 0 }
  if (error instanceof CommandFailed) {
    return { message: oneLine(error.message), exitCode: error.exitCode }
  }
  if (ValidationError.isValidationError(error)) {
    return { message: oneLine(HelpDoc.toAnsiText(error.error)), exitCode: MISUSED }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { message: oneLine(`unexpected failure: ${message}`), exitCode: FAILED }
}

const oneLine = (text: string): string => stripVTControlCharacters(text).replace(/\s+/g, " ").trim()
