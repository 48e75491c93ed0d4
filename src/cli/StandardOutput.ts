/** Standard output with back-pressure: each write ends when the reader's end has taken it. */
import { Effect } from "effect"
import { type CommandFailed, OutputClosed, failed } from "./Failure.js"

export type OutputError = CommandFailed | OutputClosed

/** Failures come back from `write`; without a listener Node would also throw them, stack trace and all. */
export const silenceStreamErrors = Effect.sync(() => {
  process.stdout.on("error", () => {})
  process.stderr.on("error", () => {})
})

export const write = (content: Uint8Array | string): Effect.Effect<void, OutputError> =>
  Effect.async((resume) => {
    process.stdout.write(content, (error) => resume(error ? Effect.fail(toOutputError(error)) : Effect.void))
  })

/** Writes many parts as one, with `separator` after each. */
export const writeParts = (
  parts: ReadonlyArray<Uint8Array>,
  separator?: Uint8Array
): Effect.Effect<void, OutputError> => {
  if (separator !== undefined) return write(Buffer.concat(parts.flatMap((part) => [part, separator])))
  return write(parts.length === 1 ? parts[0]! : Buffer.concat(parts))
}

/** Writes rows of a name and a value, aligned. */
export const writeRows = (
  rows: ReadonlyArray<readonly [name: string, value: string]>
): Effect.Effect<void, OutputError> => {
  const width = Math.max(...rows.map(([name]) => name.length))
  return write(rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join(""))
}

const toOutputError = (error: NodeJS.ErrnoException): OutputError =>
  error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED"
    ? new OutputClosed()
    : failed(`cannot write to standard output: ${error.message}`)
