/**
 * append: blocks -> Append.plan -> sign -> Change -> commit.
 *
 * Appends are grouped. Callers stand in line; while there is a line, one fiber of the feed takes all that wait, commits them
 * with one signature, tells each the index of its first block (or its own failure), and looks again.
 */
import { Effect, Runtime } from "effect"
import * as Append from "../../domain/Append.js"
import { totalLength } from "../../domain/Bytes.js"
import {
  BadArgument,
  type FeedClosed,
  type NotWritable,
  type StorageError,
  WriteRefused
} from "../../domain/Errors.js"
import { commit } from "./commit.js"
import { type FeedCore, whileWritable } from "./FeedCore.js"

export type AppendError = BadArgument | FeedClosed | NotWritable | StorageError | WriteRefused

type Result = Effect.Effect<number, AppendError>

/** One caller's batch; `settle` gives it its result, and is `undefined` from then on. */
interface Request {
  readonly blocks: ReadonlyArray<Uint8Array>
  settle: ((result: Result) => void) | undefined
}

/** The appends in line, and whether the fiber that commits them runs. */
export class AppendQueue {
  waiting: Array<Request> = []
  draining = false
}

/** A group takes no more requests once it has this many blocks or bytes: one commit stays short. */
const GROUP_BLOCKS = 8192
const GROUP_BYTES = 16 * 1024 * 1024

/**
 * Appends `blocks` as one batch; answers the index of the first (the length, when there are none). Interrupting it ends the
 * wait, not the append: a batch that stands in line is still committed, whole.
 */
export const append = (core: FeedCore, queue: AppendQueue, blocks: ReadonlyArray<Uint8Array>): Result => {
  const refused = refusal(blocks)
  if (refused !== undefined) return Effect.fail(refused)
  if (blocks.length === 0) return Effect.map(whileWritable(core), () => core.tip.length)
  // No clean-up on interruption: registering one would cost more than all the rest of a grouped append.
  return Effect.async((resume) => {
    queue.waiting.push({ blocks, settle: resume })
    if (queue.draining) return
    queue.draining = true
    Runtime.runFork(core.runtime)(drain(core, queue))
  })
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

/** Commits group after group until nobody waits. The turn before each lets fibers that are ready now join the group. */
const drain: (core: FeedCore, queue: AppendQueue) => Effect.Effect<void> = Effect.fnUntraced(function* (
  core: FeedCore,
  queue: AppendQueue
) {
  while (queue.waiting.length > 0) {
    yield* Effect.yieldNow()
    yield* core.writer.withPermits(1)(Effect.suspend(() => appendGroup(core, takeGroup(queue))))
  }
  queue.draining = false
})

const takeGroup = (queue: AppendQueue): ReadonlyArray<Request> => {
  let blocks = 0
  let bytes = 0
  let end = 0
  for (; end < queue.waiting.length && blocks < GROUP_BLOCKS && bytes < GROUP_BYTES; end++) {
    const request = queue.waiting[end]!
    blocks += request.blocks.length
    bytes += totalLength(request.blocks)
  }
  if (end < queue.waiting.length) return queue.waiting.splice(0, end)
  const all = queue.waiting
  queue.waiting = []
  return all
}

const settle = (request: Request, result: Result): void => {
  const { settle: resume } = request
  request.settle = undefined
  resume?.(result)
}

/** Commits the requests as one batch and settles each. */
const appendGroup = (core: FeedCore, requests: ReadonlyArray<Request>): Effect.Effect<void> =>
  Effect.catchAllCause(commitGroup(core, requests), (cause) =>
    Effect.sync(() => {
      for (const request of requests) settle(request, Effect.failCause(cause))
    })
  )

const commitGroup = Effect.fnUntraced(function* (core: FeedCore, requests: ReadonlyArray<Request>) {
  yield* whileWritable(core)
  const accepted = core.onwrite === undefined ? requests : yield* askHook(core, requests)
  if (accepted.length === 0) return
  const blocks = accepted.length === 1 ? accepted[0]!.blocks : accepted.flatMap((request) => request.blocks)
  const plan = Append.plan(core.crypto.blake2b256, core.tip, blocks)
  const signature = yield* core.crypto.sign(plan.rootHash, core.secretKey!)
  yield* commit(core, Append.change(plan, signature))
  let start = plan.start
  for (const request of accepted) {
    settle(request, Effect.succeed(start))
    start += request.blocks.length
  }
})

/** Asks `onwrite` about each block; a refusal settles its own request and leaves the others. */
const askHook = (core: FeedCore, requests: ReadonlyArray<Request>): Effect.Effect<ReadonlyArray<Request>> =>
  Effect.gen(function* () {
    const accepted: Array<Request> = []
    let index = core.tip.length
    for (const request of requests) {
      const first = index
      const asked = Effect.forEach(request.blocks, (block, i) => askOne(core, first + i, block), {
        discard: true
      })
      const answer = yield* Effect.exit(asked)
      if (answer._tag === "Failure") {
        settle(request, Effect.failCause(answer.cause))
        continue
      }
      accepted.push(request)
      index += request.blocks.length
    }
    return accepted
  })

/** Runs the `onwrite` hook, if there is one, for a verified block that is about to be written. */
export const askOne = (core: FeedCore, index: number, block: Uint8Array): Effect.Effect<void, WriteRefused> =>
  core.onwrite === undefined
    ? Effect.void
    : Effect.mapError(core.onwrite(index, block), (cause) => new WriteRefused({ index, cause }))
