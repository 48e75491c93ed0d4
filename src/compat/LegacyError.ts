/** Errors as the peer's callers know them: an `Error` with the peer's message and code, and the typed error as `cause`. */
import { Cause } from "effect"
import type {
  BadArgument,
  BlockUnavailable,
  CorruptStorage,
  FeedClosed,
  ForkDetected,
  InvalidProof,
  InvalidSignature,
  NetworkError,
  NotWritable,
  OpenRefused,
  ProtocolError,
  StaleWriter,
  StorageError,
  WriteRefused
} from "../index.js"

/** What a callback is given. */
export interface LegacyError extends Error {
  code?: string
  errno?: number
}

type TypedError =
  | BadArgument
  | BlockUnavailable
  | CorruptStorage
  | FeedClosed
  | ForkDetected
  | InvalidProof
  | InvalidSignature
  | NetworkError
  | NotWritable
  | OpenRefused
  | ProtocolError
  | StaleWriter
  | StorageError
  | WriteRefused

/** Messages of a failure to find a block, where an operation of the peer's has its own. */
export interface Words {
  readonly notHeld?: string
  readonly outOfRange?: string
  readonly noPeerHasIt?: string
  readonly invalidSignature?: string
  readonly forked?: string
  readonly badArgument?: string
  readonly closed?: string
}

export const closed = "Feed is closed"
export const notWritable = "This feed is not writable. Did you create it?"

const OPEN: Partial<Record<OpenRefused["reason"], string>> = {
  missing: "No hypercore is stored here",
  "other-key": "Another hypercore is stored here"
}

const unavailable = ({ reason }: BlockUnavailable, words: Words): string => {
  switch (reason) {
    case "timeout":
      return "ETIMEDOUT"
    case "cancelled":
      return "Request cancelled"
    case "out-of-range":
      return words.outOfRange ?? "Block not downloaded"
    case "not-held":
      return words.notHeld ?? "Block not downloaded"
    default:
      return words.noPeerHasIt ?? "Block not available from peers"
  }
}

const proofMessage = (error: InvalidProof): string => {
  if (error.reason === "wrong") return "Remote checksum failed"
  return error.detail.includes("no signature")
    ? "Remote did not include a signature"
    : "Missing tree roots needed for verify"
}

const messageOf = (error: TypedError, words: Words): string => {
  switch (error._tag) {
    case "FeedClosed":
      return words.closed ?? closed
    case "NotWritable":
      return error.reason === "no-secret-key" ? notWritable : error.message
    case "BlockUnavailable":
      return unavailable(error, words)
    case "OpenRefused":
      return OPEN[error.reason] ?? error.message
    case "BadArgument":
      return words.badArgument ?? error.message
    case "InvalidProof":
      return proofMessage(error)
    case "InvalidSignature":
      return words.invalidSignature ?? "Remote signature could not be verified"
    case "ForkDetected":
      // To the peer, another history is a signature that does not fit.
      return words.forked ?? "Remote signature could not be verified"
    case "StorageError":
      return error.reason === "locked" ? "ELOCKED: File is locked" : (causeMessage(error) ?? error.message)
    default:
      return error.message
  }
}

const causeMessage = ({ cause }: StorageError): string | undefined =>
  cause instanceof Error ? cause.message : undefined

const codeOf = (error: TypedError): string | undefined => {
  if (error._tag === "BlockUnavailable" && error.reason === "timeout") return "ETIMEDOUT"
  if (error._tag !== "StorageError") return undefined
  if (error.reason === "locked") return "ELOCKED"
  const { cause } = error
  const code = cause instanceof Error ? (cause as LegacyError).code : undefined
  return code ?? (error.reason === "full" ? "ENOSPC" : undefined)
}

const isTyped = (error: unknown): error is TypedError =>
  typeof error === "object" && error !== null && "_tag" in error && error instanceof Error

/** What the peer would call back with for what failed here. An `onwrite` hook's own error is handed on as it is. */
export const toLegacyError = (error: unknown, words: Words = {}): LegacyError => {
  if (!isTyped(error)) return error instanceof Error ? error : new Error(String(error))
  if (error._tag === "WriteRefused") return toLegacyError(error.cause)
  if (error._tag === "NotWritable" && error.cause !== undefined) return toLegacyError(error.cause)
  const legacy: LegacyError = new Error(messageOf(error, words), { cause: error })
  const code = codeOf(error)
  if (code !== undefined) legacy.code = code
  return legacy
}

/** The same for how a fiber ended: a defect is handed on as it is; who is interrupted was closed. */
export const ofCause = (cause: Cause.Cause<unknown>, words: Words = {}): LegacyError =>
  Cause.isInterruptedOnly(cause) ? new Error(closed) : toLegacyError(Cause.squash(cause), words)

export const withCode = (message: string, code: string, errno: number): LegacyError =>
  Object.assign(new Error(message), { code, errno })
