/**
 * refresh: follows another process. A feed that was opened read-only holds what its files said then; this opens them once more
 * beside it and takes over what they say now.
 */
import { Effect } from "effect"
import type { HeldChange } from "../../domain/Bitfield.js"
import { FeedClosed } from "../../domain/Errors.js"
import type { FeedEvent } from "../../domain/FeedEvent.js"
import * as FlatTree from "../../domain/FlatTree.js"
import { announce } from "./commit.js"
import { type FeedCore, whileOpen } from "./FeedCore.js"
import { type OpenError, lookAgain } from "./open.js"
import { readNodes } from "./readNodes.js"

export type RefreshError = FeedClosed | OpenError

/** Answers whether anything has changed. */
export const refresh = (core: FeedCore): Effect.Effect<boolean, RefreshError> =>
  Effect.suspend(() => whileOpen(core)).pipe(
    Effect.zipRight(core.readOnly ? core.writer.exclusive(takeOver(core)) : Effect.succeed(false))
  )

const takeOver = (core: FeedCore): Effect.Effect<boolean, RefreshError> =>
  Effect.gen(function* () {
    if (core.closed) return yield* new FeedClosed()
    const now = yield* lookAgain(core)
    const before = core.tip.length
    // A log only grows: what is shorter is being written, or was destroyed.
    if (now.tip.length < before) return false
    const changes = core.bitfield.changesTo(now.bitfield)
    const grew = now.tip.length > before
    const arrivals = grew && isAppended(changes, before, now.tip.length) ? before : now.tip.length
    const events: Array<FeedEvent> = grew
      ? [{ _tag: "Append", length: now.tip.length, byteLength: now.tip.byteLength }]
      : []
    for (const { end, held, start } of changes) {
      if (!held) events.push({ _tag: "Clear", start, end })
      else events.push(...(yield* downloads(core, start, Math.min(end, arrivals))))
    }
    // Also when no block came or went: nodes may have.
    core.bitfield.become(now.bitfield)
    core.lost = now.lost
    if (!grew && changes.length === 0) return false
    announce(core, { tip: now.tip, events, origins: undefined, bits: changes.map(haveOf) })
    return true
  })

/** Whether all that the log grew by is held, so that saying it has grown says it all. */
const isAppended = (changes: ReadonlyArray<HeldChange>, before: number, length: number): boolean =>
  changes.some(({ end, held, start }) => held && start <= before && end >= length)

const downloads = (core: FeedCore, start: number, end: number) =>
  Effect.gen(function* () {
    const blocks = Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i)
    const leaves = yield* readNodes(core.files, blocks.map(FlatTree.leaf))
    return blocks.map((index, i): FeedEvent => ({ _tag: "Download", index, size: leaves[i]?.size ?? 0 }))
  })

const haveOf = ({ end, held, start }: HeldChange) => ({ _tag: "Have", start, end, held }) as const
