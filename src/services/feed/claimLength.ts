/**
 * claimLength: before a log is signed, its length is claimed in the record that is kept outside the feed's files (`SignedLength`): of two
 * writers that would sign the same length, one is refused.
 *
 *     the record says          and the log is claimed
 *     our length               it says the new one from then on
 *     less                     the same: it is new, or the log grew without it
 *     more                     `StaleWriter`: somebody has claimed that length
 */
import { Effect } from "effect"
import { type FeedClosed, NotWritable, StaleWriter } from "../../domain/Errors.js"
import { type FeedCore, isIndex, type SignedLength, untilClosing } from "./FeedCore.js"

/** A record that is raised by others each time we ask is asked no more often: there is a limit to everything. */
const MOST_TRIES = 8

/** Claims the log of `next` blocks, which continues the one that is held. Whoever closes the feed does not wait for the record's answer. */
export const claimLength = (
  core: FeedCore,
  next: number
): Effect.Effect<void, FeedClosed | NotWritable | StaleWriter> =>
  core.signedLength === undefined
    ? Effect.void
    : untilClosing(core, claim(core.signedLength, core.tip.length, next))

const claim: (
  record: SignedLength,
  length: number,
  next: number
) => Effect.Effect<void, NotWritable | StaleWriter> = Effect.fnUntraced(function* (
  record: SignedLength,
  length: number,
  next: number
) {
  let expected = length
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const before = yield* Effect.mapError(record.compareAndSet(expected, next), unanswered)
    if (before === expected) return
    if (!isIndex(before)) return yield* unanswered(new TypeError(`${before} is no length`))
    if (before > length) return yield* new StaleWriter({ length, signedLength: before })
    expected = before
  }
  return yield* unanswered(new Error(`it changed ${MOST_TRIES} times`))
})

const unanswered = (cause: unknown): NotWritable =>
  new NotWritable({ reason: "signed-length-unknown", cause })

/** Nothing was signed, or the signature is gone: what was claimed is given back, if that can be. */
export const unclaimLength = (core: FeedCore, claimed: number): Effect.Effect<void> =>
  core.signedLength === undefined || core.broken !== undefined
    ? Effect.void
    : Effect.ignore(untilClosing(core, core.signedLength.compareAndSet(claimed, core.tip.length)))
