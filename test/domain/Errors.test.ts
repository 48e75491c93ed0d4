/** Errors are data: each crosses a wire or a log and comes back the same, and says in its message what happened. */
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Errors from "../../src/domain/Errors.js"

const hashed = (fill: number) => ({ hash: new Uint8Array(32).fill(fill), size: 5 })
const signed = (fill: number, length: number) => ({
  length,
  roots: [hashed(fill)],
  signature: new Uint8Array(64).fill(fill),
  path: [hashed(fill)]
})

const CASES = [
  [
    Errors.StorageError,
    new Errors.StorageError({
      reason: "full",
      operation: "write",
      file: "/f/data",
      cause: new Error("ENOSPC")
    }),
    "cannot write /f/data (full): ENOSPC"
  ],
  [
    Errors.StorageError,
    new Errors.StorageError({ reason: "locked", operation: "lock", file: "/f/bitfield" }),
    "/f/bitfield is in use by another writer"
  ],
  [
    Errors.StorageError,
    new Errors.StorageError({ reason: "permission", operation: "size", file: "/f/data" }),
    "cannot look at /f/data (permission)"
  ],
  [
    Errors.CorruptStorage,
    new Errors.CorruptStorage({ file: "tree", detail: "node 4 is missing" }),
    "corrupt feed: tree: node 4 is missing"
  ],
  [
    Errors.OpenRefused,
    new Errors.OpenRefused({ reason: "missing", detail: "no feed is stored here" }),
    "cannot open feed: no feed is stored here"
  ],
  [
    Errors.InvalidProof,
    new Errors.InvalidProof({ index: 7, reason: "wrong", detail: "a node has no position" }),
    "invalid proof of block 7: a node has no position"
  ],
  [
    Errors.InvalidSignature,
    new Errors.InvalidSignature({ length: 3 }),
    "the signature for length 3 was not made by this feed's key"
  ],
  [
    Errors.ProtocolError,
    new Errors.ProtocolError({ reason: "timeout", detail: "nothing was heard for 7500 ms" }),
    "protocol error (timeout): nothing was heard for 7500 ms"
  ],
  [
    Errors.NetworkError,
    new Errors.NetworkError({ reason: "refused", operation: "connect", address: "127.0.0.1:1" }),
    "cannot connect 127.0.0.1:1 (refused)"
  ],
  [
    Errors.NotWritable,
    new Errors.NotWritable({ reason: "no-secret-key" }),
    "this feed is not writable: its secret key is not here"
  ],
  [Errors.NotWritable, new Errors.NotWritable({ reason: "read-only" }), "this feed was opened read-only"],
  [
    Errors.ForkDetected,
    new Errors.ForkDetected({ evidence: { position: 0, logs: [signed(1, 1), signed(2, 4)] } }),
    "the feed's key has signed two histories: a log of 1 blocks and one of 4 contradict each other"
  ],
  [
    Errors.StaleWriter,
    new Errors.StaleWriter({ length: 3, signedLength: 9 }),
    "a log of 9 blocks was signed elsewhere, and here are 3: catch up first"
  ],
  [
    Errors.StaleWriter,
    new Errors.StaleWriter({ length: 9, signedLength: 9 }),
    "some of the 9 blocks that were signed elsewhere are not here yet: catch up first"
  ],
  [
    Errors.BlockUnavailable,
    new Errors.BlockUnavailable({ index: 5, reason: "timeout" }),
    "block 5 is not available: timeout"
  ],
  [Errors.FeedClosed, new Errors.FeedClosed(), "the feed is closed"],
  [
    Errors.BadArgument,
    new Errors.BadArgument({ operation: "seek", detail: "-1 is not a byte offset" }),
    "seek: -1 is not a byte offset"
  ],
  [
    Errors.EncodingError,
    new Errors.EncodingError({ encoding: "json", detail: "no JSON form" }),
    "json: no JSON form"
  ],
  [
    Errors.WriteRefused,
    new Errors.WriteRefused({ index: 2, cause: new Error("no") }),
    "the onwrite hook refused block 2: Error: no"
  ]
] as const

describe("each error", () => {
  it.each(
    CASES.map(([schema, error, message]) => [`${error._tag}: ${message}`, schema, error, message] as const)
  )("%s", (_, schema, error, message) => {
    expect(error).toBeInstanceOf(Error)
    expect(error.message).toBe(message)
    const any = schema as unknown as Schema.Schema<typeof error, unknown>
    const wire = JSON.stringify(Schema.encodeSync(any)(error))
    const back = Schema.decodeUnknownSync(any)(JSON.parse(wire))
    expect(back).toBeInstanceOf(schema)
    expect(back._tag).toBe(error._tag)
    expect(back.message).toBe(message)
  })

  it("has a case here", () => {
    const tested = new Set<unknown>(CASES.map(([schema]) => schema))
    expect(Object.values(Errors).filter((schema) => !tested.has(schema))).toEqual([])
  })
})
