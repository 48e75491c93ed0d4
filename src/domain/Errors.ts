/**
 * Everything that can go wrong, as types. A new tag exists only where a caller would act differently;
 * within a tag, `reason` says which case it is. All are schemas, so that they cross a wire or a log.
 */
import { Schema } from "effect"
import * as Evidence from "./Evidence.js"

const counts = Schema.Number

/** Operations of a storage, for people, where the name alone is none. */
const OPERATION: Record<string, string> = {
  size: "look at",
  remove: "free part of",
  truncate: "shorten",
  sync: "flush"
}

/** The storage refused or failed: `reason` is `locked` when another writer holds the feed, else the system's word. */
export class StorageError extends Schema.TaggedError<StorageError>()("StorageError", {
  reason: Schema.Literal("io", "full", "locked", "permission", "unsupported", "closed"),
  operation: Schema.String,
  file: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? `: ${this.cause.message}` : ""
    return this.reason === "locked"
      ? `${this.file} is in use by another writer`
      : `cannot ${OPERATION[this.operation] ?? this.operation} ${this.file} (${this.reason})${detail}`
  }
}

/** What is stored contradicts itself: `file` names where, `detail` what and what to do. Nothing was changed. */
export class CorruptStorage extends Schema.TaggedError<CorruptStorage>()("CorruptStorage", {
  file: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `corrupt feed: ${this.file}: ${this.detail}`
  }
}

/** Opening was refused and nothing was touched. */
export class OpenRefused extends Schema.TaggedError<OpenRefused>()("OpenRefused", {
  reason: Schema.Literal(
    "missing",
    "exists",
    "other-key",
    "wrong-secret-key",
    "bad-key",
    "lost-key",
    "signing-failed",
    "bad-path",
    "bad-evidence"
  ),
  detail: Schema.String
}) {
  override get message(): string {
    return `cannot open feed: ${this.detail}`
  }
}

/** A proof does not lead to what the feed trusts: it contradicts it (`wrong`), or does not reach it (`incomplete`). Nothing was stored. */
export class InvalidProof extends Schema.TaggedError<InvalidProof>()("InvalidProof", {
  index: counts,
  reason: Schema.Literal("wrong", "incomplete"),
  detail: Schema.String
}) {
  override get message(): string {
    return `invalid proof of block ${this.index}: ${this.detail}`
  }
}

/** A signature was not made by the feed's key over this log. */
export class InvalidSignature extends Schema.TaggedError<InvalidSignature>()("InvalidSignature", {
  /** Length of the log, in blocks, that the signature claims to sign. */
  length: counts
}) {
  override get message(): string {
    return `the signature for length ${this.length} was not made by this feed's key`
  }
}

const NOT_WRITABLE = {
  "no-secret-key": "this feed is not writable: its secret key is not here",
  "read-only": "this feed was opened read-only",
  finalized: "this feed is finalized: nothing can be added to it",
  "signing-failed": "the signature could not be made",
  "signed-length-unknown": "the record of the longest signed log could not be asked"
} as const

/**
 * The feed cannot be written: it has no secret key, was opened read-only, or is static and finalized; or its key did not sign this
 * once, or the record of signed lengths could not be asked, with why in `cause`.
 */
export class NotWritable extends Schema.TaggedError<NotWritable>()("NotWritable", {
  reason: Schema.Literal(
    "no-secret-key",
    "read-only",
    "finalized",
    "signing-failed",
    "signed-length-unknown"
  ),
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? `: ${this.cause.message}` : ""
    return `${NOT_WRITABLE[this.reason]}${detail}`
  }
}

/**
 * The key has signed two logs of which neither continues the other: whoever holds it lost its memory, or lies. `evidence` shows it to
 * anyone who has the public key (`Fork.verify`). What the feed holds stays as it is; nothing is added to it that may be of the other branch, and its owner signs no more.
 */
export class ForkDetected extends Schema.TaggedError<ForkDetected>()("ForkDetected", {
  evidence: Evidence.schema
}) {
  override get message(): string {
    const [a, b] = this.evidence.logs
    return `the feed's key has signed two histories: a log of ${a.length} blocks and one of ${b.length} contradict each other`
  }
}

/**
 * The log is longer elsewhere: to append here would sign a second history. It can be appended to again once it has caught up, which it
 * does by itself while a peer has what is missing.
 */
export class StaleWriter extends Schema.TaggedError<StaleWriter>()("StaleWriter", {
  /** Blocks in the log here. */
  length: counts,
  /** Blocks in the longest log that the key is known to have signed. */
  signedLength: counts
}) {
  override get message(): string {
    return this.signedLength > this.length
      ? `a log of ${this.signedLength} blocks was signed elsewhere, and here are ${this.length}: catch up first`
      : `some of the ${this.signedLength} blocks that were signed elsewhere are not here yet: catch up first`
  }
}

/** A block (or the byte, node or signature asked for) is not here, and the wait for it ended. */
export class BlockUnavailable extends Schema.TaggedError<BlockUnavailable>()("BlockUnavailable", {
  index: counts,
  reason: Schema.Literal("not-held", "timeout", "out-of-range", "cancelled", "no-peer-has-it")
}) {
  override get message(): string {
    return `block ${this.index} is not available: ${this.reason}`
  }
}

/** The feed was closed before or during the operation. */
export class FeedClosed extends Schema.TaggedError<FeedClosed>()("FeedClosed", {}) {
  override get message(): string {
    return "the feed is closed"
  }
}

/** An argument is outside what the operation takes: a negative index, an oversized block, an inverted range. */
export class BadArgument extends Schema.TaggedError<BadArgument>()("BadArgument", {
  operation: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.operation}: ${this.detail}`
  }
}

/** A value cannot be turned into bytes, or stored bytes into a value (utf-8, json and abstract encodings). */
export class EncodingError extends Schema.TaggedError<EncodingError>()("EncodingError", {
  encoding: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.encoding}: ${this.detail}`
  }
}

/** The `onwrite` hook failed, which refused the write. */
export class WriteRefused extends Schema.TaggedError<WriteRefused>()("WriteRefused", {
  index: counts,
  cause: Schema.Defect
}) {
  override get message(): string {
    return `the onwrite hook refused block ${this.index}: ${String(this.cause)}`
  }
}

/** A peer broke the protocol, lied, or stayed silent: its connection was ended, and nothing unverified was stored. */
export class ProtocolError extends Schema.TaggedError<ProtocolError>()("ProtocolError", {
  reason: Schema.Literal(
    "malformed", // bytes that are no message
    "too-large", // a frame, a bitfield or a message above its limit
    "too-many", // channels, or messages on a channel that is not open, above their limit
    "other-feed", // both sides opened the connection with different feeds
    "no-key", // a static feed is not finalized: there is nothing to know it by
    "no-nonce", // encryption was agreed on, but no nonce came
    "invalid-data", // a block or proof that does not verify
    "timeout", // nothing was heard for too long
    "ended-early" // the connection ended in the middle of a frame, or of what was asked for
  ),
  detail: Schema.String,
  /** What it is about, where one reason has several: a frame or its header, a channel's number, its opening, or its not being open here. */
  about: Schema.optional(Schema.Literal("frame", "header", "channel", "opening", "unopened")),
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `protocol error (${this.reason}): ${this.detail}`
  }
}

/** A connection could not be made, or broke. */
export class NetworkError extends Schema.TaggedError<NetworkError>()("NetworkError", {
  reason: Schema.Literal("refused", "reset", "closed", "unreachable", "address", "timeout", "io"),
  operation: Schema.Literal("connect", "listen", "accept", "pull", "push", "end"),
  address: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? `: ${this.cause.message}` : ""
    return `cannot ${this.operation} ${this.address} (${this.reason})${detail}`
  }
}
