/**
 * append: blocks -> Append.plan -> sign -> Change -> commit.
 *
 * Appends are grouped: the first to arrive leads, gives the scheduler one turn so that others can join, and commits all
 * that wait with one signature; what arrives meanwhile is led by the next in line. Each caller learns the index of its
 * first block, or its own failure.
 */
import { Effect } from "effect"
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

/** One caller's batch: it waits in line, is chosen to lead, is being committed, and is settled. */
interface Request {
  readonly blocks: ReadonlyArray<Uint8Array>
  state: "waiting" | "leading" | "committing" | "settled"
  result: Result | undefined
  resume: ((result: Result) => void) | undefined
}

/** The appends in line, and whether someone leads. */
export class AppendQueue {
  waiting: Array<Request> = []
  led = false
}

/** A group takes no more requests once it has this many blocks or bytes: one commit stays short. */
const GROUP_BLOCKS = 8192
const GROUP_BYTES = 16 * 1024 * 1024

/** Appends `blocks` as one batch; answers the index of the first (the length, when there are none). */
export const append = (core: FeedCore, queue: AppendQueue, blocks: ReadonlyArray<Uint8Array>): Result =>
  Effect.suspend(() => {
    const refused = refusal(blocks)
    if (refused !== undefined) return Effect.fail(refused)
    if (blocks.length === 0) return Effect.map(whileWritable(core), () => core.tip.length)
    const request: Request = { blocks, state: "waiting", result: undefined, resume: undefined }
    queue.waiting.push(request)
    if (queue.led) return follow(core, queue, request)
    queue.led = true
    return lead(core, queue, request)
  })

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

const settled = (request: Request): Result =>
  Effect.async((resume) => {
    if (request.result === undefined) request.resume = resume
    else resume(request.result)
  })

/** Waits for the group's leader, or to lead. Interrupted, it leaves the line; once it is being committed it waits for the end. */
const follow = (core: FeedCore, queue: AppendQueue, request: Request): Result =>
  Effect.onInterrupt(settled(request), () =>
    Effect.suspend(() => {
      if (request.state === "committing") return Effect.ignore(settled(request))
      const place = queue.waiting.indexOf(request)
      if (place >= 0) queue.waiting.splice(place, 1)
      if (request.state === "leading") handOver(core, queue)
      return Effect.void
    })
  )

const lead = (core: FeedCore, queue: AppendQueue, request: Request): Result =>
  Effect.uninterruptible(
    Effect.yieldNow().pipe(
      Effect.zipRight(core.writer.withPermits(1)(Effect.suspend(() => appendGroup(core, takeGroup(queue))))),
      Effect.zipRight(
        Effect.suspend(() => {
          handOver(core, queue)
          return request.result!
        })
      )
    )
  )

/** Lets the next in line lead, in its own fiber. */
const handOver = (core: FeedCore, queue: AppendQueue): void => {
  const next = queue.waiting[0]
  if (next === undefined) {
    queue.led = false
    return
  }
  next.state = "leading"
  next.resume!(lead(core, queue, next))
}

const takeGroup = (queue: AppendQueue): ReadonlyArray<Request> => {
  let blocks = 0
  let bytes = 0
  let end = 0
  for (; end < queue.waiting.length && blocks < GROUP_BLOCKS && bytes < GROUP_BYTES; end++) {
    const request = queue.waiting[end]!
    blocks += request.blocks.length
    bytes += totalLength(request.blocks)
    request.state = "committing"
  }
  return queue.waiting.splice(0, end)
}

const settle = (request: Request, result: Result): void => {
  request.state = "settled"
  request.result = result
  request.resume?.(result)
}

/** Commits the requests as one batch and settles each. */
const appendGroup = (core: FeedCore, requests: ReadonlyArray<Request>): Effect.Effect<void> =>
  Effect.gen(function* () {
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
  }).pipe(
    Effect.catchAllCause((cause) =>
      Effect.sync(() => {
        for (const request of requests) {
          if (request.state === "committing") settle(request, Effect.failCause(cause))
        }
      })
    )
  )

/** Asks `onwrite` about each block; a refusal settles its own request and leaves the others. */
const askHook = (core: FeedCore, requests: ReadonlyArray<Request>): Effect.Effect<ReadonlyArray<Request>> =>
  Effect.gen(function* () {
    const accepted: Array<Request> = []
    let index = core.tip.length
    for (const request of requests) {
      const asked = Effect.forEach(request.blocks, (block, i) => askOne(core, index + i, block), {
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
