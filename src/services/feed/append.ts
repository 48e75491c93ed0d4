/**
 * append: blocks -> Append.plan -> sign -> Change -> commit.
 *
 * Appends are grouped. Callers stand in line; while there is a line, one fiber of the feed takes all that wait, commits them
 * with one signature, tells each the index of its first block (or its own failure), and looks again.
 */
import { Effect, Exit, Runtime } from "effect"
import * as Append from "../../domain/Append.js"
import { BadArgument, WriteRefused } from "../../domain/Errors.js"
import type { AppendError, AppendRequest } from "./AppendQueue.js"
import { claimLength, unclaimLength } from "./claimLength.js"
import { commit } from "./commit.js"
import { type FeedCore, isUnfinalized, untilClosing, whileWritable } from "./FeedCore.js"
import { hashAhead } from "./hashAhead.js"
import { sign } from "./sign.js"

/** Bytes that are planned before others have their turn, if it is theirs: 5 ms where crypto is slow, 0.2 ms where it is native. */
const STEP_BYTES = 128 * 1024
/** Blocks of a group that take milliseconds to be looked at, and to be written. */
const LARGE_BLOCKS = 16 * 1024

type Result = Effect.Effect<number, AppendError>

/**
 * Appends `blocks` as one batch; answers the index of the first (the length, when there are none: whose turn comes after all that was
 * appended before). Interrupting it ends the wait, not the append: a batch that stands in line is still committed, whole.
 */
export const append = (core: FeedCore, blocks: ReadonlyArray<Uint8Array>): Result =>
  // No clean-up on interruption: registering one would cost more than all the rest of a grouped append.
  Effect.async((resume) => appendInLine(core, blocks, resume))

/** The same as a call: `settle` is called once, with how the append ended. */
export const appendInLine = (
  core: FeedCore,
  blocks: ReadonlyArray<Uint8Array>,
  settle: (exit: Exit.Exit<number, AppendError>) => void
): void => {
  const queue = core.appends
  const refused = refusal(blocks)
  if (refused !== undefined) return settle(Exit.fail(refused))
  queue.waiting.push({ blocks, settle })
  if (queue.started) return queue.wake?.()
  queue.started = true
  Runtime.runFork(core.runtime)(drain(core))
}

const refusal = (blocks: ReadonlyArray<Uint8Array>): BadArgument | undefined => {
  for (const block of blocks) {
    if (!(block instanceof Uint8Array)) {
      return new BadArgument({ operation: "append", detail: "a block is a Uint8Array" })
    }
    if (block.length > Append.MAX_BLOCK_SIZE) {
      return new BadArgument({
        operation: "append",
        detail: `a block of ${block.length} bytes: no peer can carry more than ${Append.MAX_BLOCK_SIZE}`
      })
    }
  }
  return undefined
}

/**
 * Commits group after group; ends when the feed is closed. Between groups it waits to be woken, which goes through the
 * scheduler: fibers that are ready to append by then join the group.
 */
const drain: (core: FeedCore) => Effect.Effect<void> = Effect.fnUntraced(function* (core: FeedCore) {
  const queue = core.appends
  const line = Effect.async<void>((resume) => {
    // Someone may have joined since the line was found empty: a fiber can lose its turn between any two operations.
    if (queue.waiting.length > 0 || core.closed) return resume(Effect.void)
    queue.wake = () => {
      queue.wake = undefined
      resume(Effect.void)
    }
  })
  // The first group too gives the others that start with it the time to join.
  yield* Effect.yieldNow()
  while (queue.waiting.length > 0 || !core.closed) {
    if (queue.waiting.length === 0) {
      yield* line
      continue
    }
    yield* core.writer.take
    yield* appendGroup(core, queue.takeGroup())
    core.writer.release()
  }
  queue.started = false
}, Effect.uninterruptible)

const settle = (request: AppendRequest, result: Exit.Exit<number, AppendError>): void => {
  const { settle: resume } = request
  request.settle = undefined
  resume?.(result)
}

/** Commits the requests as one batch and settles each. */
const appendGroup = (core: FeedCore, requests: ReadonlyArray<AppendRequest>): Effect.Effect<void> =>
  Effect.catchAllCause(commitGroup(core, requests), (cause) =>
    Effect.sync(() => {
      for (const request of requests) settle(request, Exit.failCause(cause))
    })
  )

const commitGroup = Effect.fnUntraced(function* (core: FeedCore, requests: ReadonlyArray<AppendRequest>) {
  yield* whileWritable(core)
  const accepted = core.onwrite === undefined ? requests : yield* untilClosing(core, askHook(core, requests))
  if (accepted.length === 0) return
  const blocks = accepted.length === 1 ? accepted[0]!.blocks : blocksOf(accepted)
  if (blocks.length === 0) {
    for (const request of accepted) settle(request, Exit.succeed(core.tip.length))
    return
  }
  const { turn } = core.appends
  const isLarge = blocks.length > LARGE_BLOCKS
  if (isLarge) yield* turn.pass
  const ahead = hashAhead(core.crypto, blocks)
  const blake2b = ahead === undefined ? core.crypto.blake2b256 : yield* ahead
  const planning = new Append.Planning(blake2b, core.tip, blocks, core.indexing)
  while (!planning.proceed(STEP_BYTES)) yield* turn.giveWay
  const { plan } = planning
  if (isLarge) yield* turn.pass
  if (isUnfinalized(core)) yield* commit(core, Append.change(plan, undefined))
  else if (core.signedLength === undefined) yield* signAndCommit(core, plan)
  else yield* claimed(core, plan)
  planning.release()
  let start = plan.start
  for (const request of accepted) {
    settle(request, Exit.succeed(start))
    start += request.blocks.length
  }
})

/** All of them, in order. (`flatMap` takes five times as long.) */
const blocksOf = (requests: ReadonlyArray<AppendRequest>): ReadonlyArray<Uint8Array> => {
  const all: Array<Uint8Array> = []
  for (const { blocks } of requests) for (let i = 0; i < blocks.length; i++) all.push(blocks[i]!)
  return all
}

const signAndCommit = (core: FeedCore, plan: Append.Plan): Effect.Effect<void, AppendError> =>
  Effect.flatMap(sign(core, plan.rootHash), (signature) => commit(core, Append.change(plan, signature)))

/** The same once the new length is claimed, where that is wanted. */
const claimed = (core: FeedCore, plan: Append.Plan): Effect.Effect<void, AppendError> => {
  const { length } = plan.tip
  const signed = Effect.tapErrorCause(signAndCommit(core, plan), () => unclaimLength(core, length))
  return Effect.zipRight(claimLength(core, length), signed)
}

/** Asks `onwrite` about each block; a refusal settles its own request and leaves the others. */
const askHook = (
  core: FeedCore,
  requests: ReadonlyArray<AppendRequest>
): Effect.Effect<ReadonlyArray<AppendRequest>> =>
  Effect.gen(function* () {
    const accepted: Array<AppendRequest> = []
    let index = core.tip.length
    for (const request of requests) {
      const first = index
      const asked = Effect.forEach(request.blocks, (block, i) => askOne(core, first + i, block), {
        discard: true
      })
      const answer = yield* Effect.exit(asked)
      if (answer._tag === "Failure") {
        settle(request, Exit.failCause(answer.cause))
        continue
      }
      accepted.push(request)
      index += request.blocks.length
    }
    return accepted
  })

/** Runs the `onwrite` hook, if there is one, for a verified block that is about to be written. */
export const askOne = (
  core: FeedCore,
  index: number,
  block: Uint8Array,
  from?: unknown
): Effect.Effect<void, WriteRefused> =>
  core.onwrite === undefined
    ? Effect.void
    : Effect.mapError(core.onwrite(index, block, from), (cause) => new WriteRefused({ index, cause }))
