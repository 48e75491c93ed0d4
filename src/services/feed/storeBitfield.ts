/**
 * When, and in which order, the bitfield's pages are stored. A crash must never leave the tree-bit of a leaf without the have-bit that came
 * with it: that is how a block looks that was cleared.
 *
 * With `process` a change's pages are stored at once, the have-bits of all before the tree-bits of any. A loss of power keeps to no order: with
 * `power` a sync lies between them. An append does not wait for it: its bits can be derived from what is signed, and are stored once so
 * many wait for it (`UNSETTLED_BLOCKS`), when something is cleared, and on closing.
 */
import { Effect } from "effect"
import { type Piece, haveFirst } from "../../domain/BitfieldPages.js"
import type { Change } from "../../domain/Change.js"
import type { StorageError } from "../../domain/Errors.js"
import * as Sleep from "../../domain/Sleep.js"
import { type FeedCore, isAuthor, isUnfinalized } from "./FeedCore.js"

/** Blocks whose bits may wait, and bytes of them: opening hashes them again after a crash. */
const UNSETTLED_BLOCKS = 256
const UNSETTLED_BYTES = 4 * 1024 * 1024

/**
 * Stores what bits the change leaves. After an append a failure is no failure: reopening derives these bits from the signed tree, and the
 * pages stay dirty, so that the next commit stores them. In a static feed `finalize` sees to them: until then it cannot be reopened.
 * Otherwise the bits are all there is.
 */
export const storeBitfield = (core: FeedCore, change: Change): Effect.Effect<void, StorageError> => {
  if (isUnfinalized(core)) return Effect.ignore(storePages(core))
  const isAppend = change.bits.some(({ _tag }) => _tag === "Leaves")
  if (core.durability === "process") {
    return isAppend ? Effect.ignore(storePages(core)) : storePages(core)
  }
  if (!isAppend) return settle(core, true)
  const { byteLength, length } = change.tip ?? core.tip
  const isDue =
    length - core.settled.length >= UNSETTLED_BLOCKS ||
    byteLength - core.settled.byteLength >= UNSETTLED_BYTES
  if (!isDue) return Effect.void
  return Effect.ignore(Effect.map(settle(core, false), () => void (core.settled = { byteLength, length })))
}

/** Stores the bitfield's changed pages, which stay so until that, and what is to follow it, has succeeded. */
export const storePages = (
  core: FeedCore,
  after: Effect.Effect<void, StorageError> = Effect.void
): Effect.Effect<void, StorageError> =>
  Effect.suspend(() => {
    const { pages } = core.bitfield
    const dirty = pages.dirty()
    if (dirty.length === 0) return Effect.void
    const stored = writePieces(core, haveFirst(dirty))
    return Effect.map(after === Effect.void ? stored : Effect.zipRight(stored, after), () => pages.clean())
  })

/**
 * Stores them so that no have-bit is lost whose leaf's tree-bit is not; `lasting`: so that none of either is lost. Of a reader a lost have-bit
 * is that of a block which it was not told that it has.
 */
const settle = (core: FeedCore, lasting: boolean): Effect.Effect<void, StorageError> =>
  Effect.suspend(() => {
    const { pages } = core.bitfield
    if (pages.dirty().length === 0) return Effect.void
    const sync = core.files.sync(["bitfield"])
    const all = storePages(core, lasting ? sync : Effect.void)
    if (!isAuthor(core) || !pages.hasDirtyTree) return all
    return Effect.zipRight(Effect.zipRight(writePieces(core, pages.dirtyHaves()), sync), all)
  })

const writePieces = (core: FeedCore, pieces: ReadonlyArray<Piece>): Effect.Effect<void, StorageError> =>
  pieces.length === 0
    ? Effect.void
    : core.files.write(
        pieces.map(({ offset, bytes }) => ({
          file: "bitfield",
          offset: Sleep.HEADER_SIZE + offset,
          parts: [bytes]
        }))
      )
