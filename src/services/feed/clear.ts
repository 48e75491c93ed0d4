/**
 * clear: drops blocks from the storage. Their nodes stay, so that they can be fetched and verified again, and so that
 * the rest can still be proven.
 */
import { Effect } from "effect"
import * as Change from "../../domain/Change.js"
import type { BadArgument, FeedClosed, NotWritable, StorageError } from "../../domain/Errors.js"
import { commit } from "./commit.js"
import { extentOf } from "./readBlocks.js"
import { type FeedCore, checkRange, whileStorable } from "./FeedCore.js"

export type ClearError = BadArgument | FeedClosed | NotWritable | StorageError

export interface ClearOptions {
  /** Give the bytes back to the storage (the default), or only forget that the blocks are held. */
  readonly free?: boolean
}

/** Drops the blocks of [start, end), as far as they are held; their bytes go back to the storage, unless they are only indexed. */
export const clear = (
  core: FeedCore,
  start: number,
  end: number = start + 1,
  options: ClearOptions = {}
): Effect.Effect<void, ClearError> =>
  Effect.zipRight(
    checkRange("clear", start, end),
    core.writer.exclusive(
      Effect.gen(function* () {
        yield* whileStorable(core)
        const first = core.bitfield.nextHeld(start, Math.min(end, core.tip.length))
        // Nothing is held; but whether that is stored is another question, when an earlier clear failed.
        if (first >= Math.min(end, core.tip.length)) return yield* commit(core, Change.none)
        const isFreed = options.free !== false && !core.indexing
        yield* commit(core, {
          ...Change.none,
          bits: [{ _tag: "Have", start, end: Math.min(end, core.tip.length), held: false }],
          freed: isFreed ? yield* freedBytes(core, start, first, Math.min(end, core.tip.length)) : undefined,
          events: [{ _tag: "Clear", start, end }]
        })
      })
    )
  )

/**
 * The bytes of [start, end), as far as the tree can tell where they are: in a sparse feed the range's ends may be
 * unknown, but those of its first and last held blocks are not.
 */
const freedBytes = (core: FeedCore, start: number, firstHeld: number, end: number) =>
  Effect.gen(function* () {
    const from = (yield* extentOf(core, start)) ?? (yield* extentOf(core, firstHeld))
    const to = yield* endOffset(core, start, end)
    return from === undefined || to === undefined || to <= from.offset
      ? undefined
      : { offset: from.offset, length: to - from.offset }
  })

const endOffset = (core: FeedCore, start: number, end: number) =>
  Effect.gen(function* () {
    if (end === core.tip.length) return core.tip.byteLength
    const after = yield* extentOf(core, end)
    if (after !== undefined) return after.offset
    const lastHeld = core.bitfield.lastHeld(start, end)
    const last = lastHeld === undefined ? undefined : yield* extentOf(core, lastHeld)
    return last?.size === undefined ? undefined : last.offset + last.size
  })
