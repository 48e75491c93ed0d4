/** The feed in a directory: how commands name it, open it, and tell what went wrong with it. */
import * as Args from "@effect/cli/Args"
import { Effect, type Scope } from "effect"
import { Feed, OpenRefused } from "../index.js"
import { layer } from "../node.js"
import { CommandFailed, failed } from "./Failure.js"
import * as Operand from "./Operand.js"
import * as Parser from "./Parser.js"
import { complain } from "./StandardError.js"
import * as StoredFork from "./StoredFork.js"

const directoryOf = (description: string, name = "dir") =>
  Args.directory({ name, exists: "either" }).pipe(
    Args.withDescription(description),
    Args.mapEffect(Parser.forArgument(Operand.parse))
  )

/** The argument `<dir>`. Whether there is a feed is for opening to say. */
export const directory = directoryOf("The feed's directory.")

/** The argument `<name>`, of a directory that is another's copy, or is to be. */
export const directoryNamed = (name: string, description: string) => directoryOf(description, name)

/** The arguments `<dir>...`, at least one. */
export const directories = directoryOf("The feeds' directories.").pipe(Args.atLeast(1))

/** What any operation of a feed fails with: tagged, and explained by its message. */
export interface FeedFailure {
  readonly _tag: string
  readonly message: string
  readonly reason?: string
  readonly detail?: string
  readonly index?: number
  readonly cause?: unknown
}

/** What a user can do about a refusal; the command knows. */
export interface Hints {
  readonly missing?: string
  readonly locked?: string
}

const because = (text: string, hint: string | undefined): string =>
  hint === undefined ? text : `${text}; ${hint}`

const isCode = (cause: unknown, code: string): boolean =>
  cause instanceof Error && "code" in cause && cause.code === code

/** A feed's failure, said of its directory. */
export const explain =
  (directory: string, hints: Hints = {}) =>
  (error: FeedFailure): CommandFailed => {
    if (error instanceof CommandFailed) return error
    switch (`${error._tag} ${error.reason ?? ""}`) {
      case "OpenRefused missing":
        return failed(because(`${directory}: no feed is stored here`, hints.missing))
      case "StorageError full":
        return failed(`${directory}: the disk is full`)
      case "OpenRefused exists":
        return failed(`${directory}: ${error.detail}`)
      case "StorageError locked":
        return failed(because(`${directory}: another process is writing to this feed`, hints.locked))
      case "BlockUnavailable not-held":
        return failed(`${directory}: block ${error.index} is not stored`)
    }
    if (isCode(error.cause, "ENOTDIR")) return failed(`${directory}: is not a directory`)
    // A storage error names its file, which lies in the directory.
    return failed(error._tag === "StorageError" ? error.message : `${directory}: ${error.message}`)
  }

const CREATE_HINT = "make one with 'hypercore create'"

/** Opens the feed, failing with the library's own errors; it is closed with the scope. */
export const attempt = (
  directory: string,
  options: Feed.OpenOptions
): Effect.Effect<Feed.Feed, Feed.OpenError, Scope.Scope> =>
  Effect.suspend(() => {
    const fork = StoredFork.read(directory)
    const given: Feed.OpenOptions = { createIfMissing: false, ...options }
    const isKnown = fork !== undefined && fork !== "unreadable"
    const opened =
      fork === "unreadable" ? unusable(directory) : Feed.open(isKnown ? { ...given, fork } : given)
    return opened.pipe(
      Effect.catchIf(isUnusable, () => withoutFork(directory, given)),
      Effect.provide(layer({ directory })),
      Effect.tap((feed) =>
        Effect.addFinalizer(() =>
          Effect.sync(() => {
            if (feed.fork !== undefined && fork === undefined) StoredFork.save(directory, feed.fork)
          })
        )
      )
    )
  })

const unusable = (directory: string) =>
  Effect.fail(
    new OpenRefused({
      reason: "bad-evidence",
      detail: `${StoredFork.fileOf(directory)}, which shows that its key has signed two histories, is damaged or of another feed; remove it to go on as if it had not`
    })
  )

/** Evidence that cannot be read, or does not hold: the feed may be read, but not written to, as if there were none. A new one is another. */
const withoutFork = (directory: string, given: Feed.OpenOptions) => {
  if (given.readOnly !== true && given.createIfMissing !== true) return unusable(directory)
  const warned =
    given.readOnly === true
      ? complain(`${StoredFork.fileOf(directory)} is damaged or of another feed: it shows nothing`)
      : Effect.void
  return Effect.zipRight(warned, Feed.open(given))
}

const isUnusable = (error: Feed.OpenError): boolean =>
  error._tag === "OpenRefused" && error.reason === "bad-evidence"

/** Opens the feed; it is closed with the scope. */
export const open = (
  directory: string,
  options: Feed.OpenOptions,
  hints: Hints = {}
): Effect.Effect<Feed.Feed, CommandFailed, Scope.Scope> =>
  Effect.mapError(attempt(directory, options), explain(directory, { missing: CREATE_HINT, ...hints }))

/** Opens the feed for reading, also while another process writes to it. */
export const openReadOnly = (
  directory: string,
  options: Feed.OpenOptions = {}
): Effect.Effect<Feed.Feed, CommandFailed, Scope.Scope> => open(directory, { ...options, readOnly: true })
