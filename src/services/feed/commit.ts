/**
 * The only writer. Applies a `Change` in the order that lets a crash at any point be judged on reopening:
 *
 *     1 cut torn remains   2 keys, headers, blocks, nodes   (sync)   3 signature   (sync)
 *     4 bitfield   5 freed bytes   6 state in memory   7 events and waits
 *
 * Before 3 nothing has happened: the bytes lie past the end of the log and are overwritten. From 3 on the change has
 * happened: reopening finds the signature and rolls forward. ARCHITECTURE.md lists each crash point.
 */
import { Effect } from "effect"
import type { Change, Write } from "../../domain/Change.js"
import type { StorageError } from "../../domain/Errors.js"
import type { FeedEvent, Origin } from "../../domain/FeedEvent.js"
import * as Sleep from "../../domain/Sleep.js"
import { type Blocks, type FeedCore, isAuthor } from "./FeedCore.js"
import { setBits } from "./setBits.js"
import { storeBitfield } from "./storeBitfield.js"

/** Stores `change` and makes it so. The caller holds `core.writer`. Never interrupted half-way. */
export const commit: (core: FeedCore, change: Change) => Effect.Effect<void, StorageError> =
  Effect.fnUntraced(function* (core: FeedCore, change: Change) {
    for (const { file, size } of change.cut) yield* core.files.truncate(file, size)
    if (change.writes.length > 0) yield* storeWrites(core, change)
    if (change.signature !== undefined) yield* storeSignature(core, change, change.signature)
    const fresh = freshIn(core, change)
    core.unstored = fresh
    yield* setBits(core, change.bits)
    const stored = yield* Effect.exit(storeBitfield(core, change))
    core.unstored = none
    if (stored._tag === "Failure" && fresh.length > 0) {
      // The log may be longer now, but of its blocks those are not held that nobody would find again.
      forget(core, fresh)
      announce(core, {
        tip: change.tip,
        bits: [],
        events: change.events.filter(isAppend),
        origins: undefined
      })
      return yield* stored
    }
    // Of all else the bits say it: what fails now is told to the caller, but it has happened all the same.
    const freed =
      change.freed === undefined || stored._tag === "Failure"
        ? stored
        : yield* Effect.exit(core.files.remove("data", change.freed.offset, change.freed.length))
    announce(core, change)
    yield* freed
  }, Effect.uninterruptible)

const none: ReadonlyArray<Blocks> = []

/**
 * The blocks that a change brings, and that only the stored bitfield will know: others are told of them when it does. What is appended is known by
 * its signature.
 */
const freshIn = ({ bitfield }: FeedCore, { bits }: Change): ReadonlyArray<Blocks> => {
  if (bits.some(({ _tag }) => _tag === "Leaves")) return none
  const fresh: Array<Blocks> = []
  for (const bit of bits) {
    if (bit._tag !== "Have" || !bit.held) continue
    for (let start = bit.start; (start = bitfield.nextMissing(start, bit.end)) < bit.end;) {
      const end = Math.min(bit.end, bitfield.nextHeld(start, bit.end))
      fresh.push({ start, end })
      start = end
    }
  }
  return fresh
}

const forget = ({ bitfield }: FeedCore, blocks: ReadonlyArray<Blocks>): void => {
  for (const { end, start } of blocks) bitfield.setHave(start, end, false)
}

const isAppend = ({ _tag }: FeedEvent): boolean => _tag === "Append"

/** What comes next, a signature or have-bits, speaks of these bytes: it must not survive a loss of power without them. */
const storeWrites = (core: FeedCore, change: Change) => {
  const stored = core.files.write(change.writes)
  if (core.durability === "process") return stored
  const files = new Set(change.writes.map(({ file }) => file))
  return Effect.zipRight(stored, core.files.sync([...files]))
}

const storeSignature = (core: FeedCore, change: Change, signature: Write) => {
  // A signature of an older, shorter log (a put's) lies before others, which cutting it off would take along; it is not ours.
  const stored = Effect.tapError(core.files.write([signature]), (error) =>
    change.tip === undefined ? Effect.void : takeBack(core, error)
  )
  return core.durability === "process"
    ? stored
    : Effect.zipRight(
        stored,
        Effect.tapError(core.files.sync(["signatures"]), (error) => breakFeed(core, error))
      )
}

/**
 * A signature that may be half written must not be found later, nor the blank entries of its batch, which would read as lost ones: cut
 * them off. Where that fails, or would take along what speaks of a longer log, nothing is signed until reopening.
 */
const takeBack = (core: FeedCore, error: StorageError) =>
  core.claimedLength > core.tip.length
    ? breakFeed(core, error)
    : Effect.catchAll(cutSignatures(core), () => breakFeed(core, error))

/** With `power` at once for good: what comes instead would else meet it again after a loss of power. */
const cutSignatures = (core: FeedCore) => {
  const cut = core.files.truncate("signatures", Sleep.signatureOffset(core.tip.length))
  return core.durability === "process" ? cut : Effect.zipRight(cut, core.files.sync(["signatures"]))
}

const breakFeed = (core: FeedCore, error: StorageError) =>
  Effect.sync(() => {
    core.broken = error
  })

/** The change has happened: the state in memory follows, and everyone who listens or waits is told. */
export const announce = (
  core: FeedCore,
  change: Pick<Change, "bits" | "events" | "origins" | "tip">
): void => {
  if (change.tip !== undefined) core.tip = change.tip
  for (let i = 0; i < change.events.length; i++) publish(core, change.events[i]!, change.origins?.[i])
  const held: Array<{ readonly start: number; readonly end: number }> = []
  for (const bit of change.bits) {
    if (bit._tag !== "Have") continue
    if (bit.held) held.push(bit)
    else core.contiguous = Math.min(core.contiguous, bit.start)
  }
  if (!isAuthor(core) && held.length > 0) announceSync(core)
  core.demand.settle(held)
}

/** Tells when the last block that was missing has come. */
const announceSync = (core: FeedCore): void => {
  const before = core.contiguous
  core.contiguous = core.bitfield.nextMissing(before, core.tip.length)
  if (before < core.contiguous && core.contiguous === core.tip.length) {
    publish(core, { _tag: "Sync", length: core.tip.length })
  }
}

/** Tells those who listen, without waiting for any. No origin need be made while `core.originListeners` is 0. */
export const publish = (core: Pick<FeedCore, "listeners">, event: FeedEvent, origin?: Origin): void => {
  for (const listener of core.listeners) listener(event, origin)
}
