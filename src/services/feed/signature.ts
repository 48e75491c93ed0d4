/** signature, verify, rootHashes: the signed tree seen from outside. */
import { Effect } from "effect"
import { isBlank } from "../../domain/Bytes.js"
import {
  BadArgument,
  BlockUnavailable,
  type FeedClosed,
  InvalidSignature,
  type StorageError
} from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import * as Hash from "../../domain/Hash.js"
import type { TreeNode } from "../../domain/Node.js"
import * as Sleep from "../../domain/Sleep.js"
import { type FeedCore, isIndex, whileOpen } from "./FeedCore.js"
import { readNodes } from "./readNodes.js"

/** `signature`: 64 bytes over the root hash of the log of `index + 1` blocks. */
export interface IndexedSignature {
  readonly index: number
  readonly signature: Uint8Array
}

export type TreeError = BadArgument | BlockUnavailable | FeedClosed | StorageError

const checkIndex = (core: FeedCore, operation: string, index: number): Effect.Effect<void, TreeError> => {
  if (!isIndex(index)) {
    return Effect.fail(new BadArgument({ operation, detail: `${index} is not a block index` }))
  }
  return index < core.tip.length
    ? Effect.void
    : Effect.fail(new BlockUnavailable({ index, reason: "out-of-range" }))
}

/** Entries read at a time: a batch of a million blocks has one signature at its end. */
const SCAN_ENTRIES = 4096

/** The signature for block `index`: the first that is stored at or after it (a batch is signed once, at its end). */
export const signature = (
  core: FeedCore,
  index: number = Math.max(core.tip.length - 1, 0)
): Effect.Effect<IndexedSignature, TreeError> =>
  Effect.gen(function* () {
    yield* whileOpen(core)
    yield* checkIndex(core, "signature", index)
    for (let from = index; from < core.tip.length; from += SCAN_ENTRIES) {
      const entries = Math.min(SCAN_ENTRIES, core.tip.length - from)
      const [bytes] = yield* core.files.read([
        { file: "signatures", offset: Sleep.signatureOffset(from), length: entries * Sleep.SIGNATURE_SIZE }
      ])
      for (let i = 0; i < Math.floor(bytes!.length / Sleep.SIGNATURE_SIZE); i++) {
        const entry = bytes!.slice(i * Sleep.SIGNATURE_SIZE, (i + 1) * Sleep.SIGNATURE_SIZE)
        if (!isBlank(entry)) return { index: from + i, signature: entry }
      }
    }
    return yield* new BlockUnavailable({ index, reason: "not-held" })
  })

/** The roots of the log of `index + 1` blocks, left to right. */
export const rootHashes = (
  core: FeedCore,
  index: number
): Effect.Effect<ReadonlyArray<TreeNode>, TreeError> =>
  Effect.gen(function* () {
    yield* whileOpen(core)
    yield* checkIndex(core, "rootHashes", index)
    const roots: Array<TreeNode> = []
    for (const node of yield* readNodes(core.files, FlatTree.fullRoots(index + 1))) {
      if (node === undefined) return yield* new BlockUnavailable({ index, reason: "not-held" })
      roots.push(node)
    }
    return roots
  })

/** Succeeds when `signature` is the feed key's over the log of `index + 1` blocks. */
export const verify = (
  core: FeedCore,
  index: number,
  signature: Uint8Array
): Effect.Effect<void, TreeError | InvalidSignature> =>
  Effect.gen(function* () {
    if (!(signature instanceof Uint8Array)) {
      return yield* new BadArgument({ operation: "verify", detail: "a signature is 64 bytes" })
    }
    const roots = yield* rootHashes(core, index)
    const message = Hash.rootHash(core.crypto.blake2b256, roots)
    const valid = yield* core.crypto.verify(message, signature, core.key)
    if (!valid) return yield* new InvalidSignature({ length: index + 1 })
  })
