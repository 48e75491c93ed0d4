/** What must hold of an open feed, whatever has happened to it, as checks that anybody can run on theirs. */
import { Effect, type Scope } from "effect"
import { equals } from "../domain/Bytes.js"
import * as StorageMemory from "../layers/StorageMemory.js"
import { Crypto } from "../services/Crypto.js"
import * as Feed from "../services/Feed.js"
import { Storage } from "../services/Storage.js"
import { InvariantBroken, type KnownLog } from "./KnownLog.js"

type Check<A = void> = Effect.Effect<A, InvariantBroken, Crypto>

const broken = (invariant: InvariantBroken["invariant"], detail: string) =>
  Effect.fail(new InvariantBroken({ invariant, detail }))

/** A failure of what must succeed. */
const must =
  (invariant: InvariantBroken["invariant"], what: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, InvariantBroken, R> =>
    Effect.mapError(
      effect,
      (error) => new InvariantBroken({ invariant, detail: `${what}: ${String(error)}` })
    )

/**
 * That an author's feed which was opened again has what it must: it is as long as was promised, or longer by what may have happened; it has every
 * block that was promised, and none whose clearing was. Answers the blocks that it has beyond those known.
 */
export const keepsPromises = (
  feed: Feed.Feed,
  known: KnownLog
): Effect.Effect<ReadonlyArray<Uint8Array>, InvariantBroken> =>
  Effect.gen(function* () {
    let candidates = known.after(feed.length)
    if (candidates.length === 0) {
      return yield* broken(
        "lost",
        `its length is ${feed.length}, of ${known.blocks.length} that were promised`
      )
    }
    yield* checkBlocks(feed, known, (index, block) => {
      const own = known.blocks[index]
      if (own !== undefined) return equals(own, block)
      candidates = candidates.filter((more) => equals(more[index - known.blocks.length]!, block))
      return candidates.length > 0
    })
    return candidates[0]!
  })

/** That a reader's feed has what it must: some of the author's log, `length` blocks of which were promised, and the blocks that were. */
export const keepsPromisesOf = (
  feed: Feed.Feed,
  author: KnownLog,
  reader: Pick<KnownLog, "promised" | "cleared"> & { readonly length: number }
): Effect.Effect<void, InvariantBroken> =>
  Effect.gen(function* () {
    if (feed.length < reader.length || feed.length > author.blocks.length) {
      const { length } = author.blocks
      return yield* broken("lost", `a length of ${feed.length}, after ${reader.length} of ${length}`)
    }
    yield* checkBlocks(feed, reader, (index, block) => equals(author.blocks[index]!, block))
  })

const checkBlocks = (
  feed: Feed.Feed,
  { cleared, promised }: Pick<KnownLog, "promised" | "cleared">,
  isRight: (index: number, block: Uint8Array) => boolean
) =>
  Effect.gen(function* () {
    for (let index = 0; index < feed.length; index++) {
      const isHeld = yield* must("lost", `block ${index}`)(feed.has(index))
      if (!isHeld && promised.has(index)) return yield* broken("lost", `block ${index} is not held`)
      if (isHeld && cleared.has(index)) {
        return yield* broken("wrong", `block ${index} was cleared, and is held`)
      }
      if (!isHeld) continue
      const block = yield* must("lost", `block ${index}`)(feed.get(index, { wait: false }))
      if (!isRight(index, block)) return yield* broken("wrong", `block ${index} reads as other bytes`)
    }
  })

/**
 * That every held block matches the tree, that the log is signed, and that the blocks given (all, when none are) can be proven, if they are
 * held, to somebody who has nothing but the key.
 */
export const isProvable = (feed: Feed.Feed, blocks?: ReadonlyArray<number>): Check =>
  Effect.gen(function* () {
    if (feed.length === 0) return
    const report = yield* must("unproven", "audit")(feed.audit())
    if (report.invalid > 0)
      return yield* broken("unproven", `${report.invalid} held blocks do not match the tree`)
    const { index, signature } = yield* must("unproven", "the last signature")(feed.signature())
    if (index !== feed.length - 1) {
      return yield* broken("unproven", `the last signature is for block ${index} of ${feed.length}`)
    }
    yield* must("unproven", "the last signature")(feed.verify(index, signature))
    const stranger = yield* strangerOf(feed)
    for (const block of blocks ?? Array.from({ length: feed.length }, (_, i) => i)) {
      if (!(yield* must("unproven", "has")(feed.has(block)))) continue
      const about = must("unproven", `block ${block}`)
      const proof = yield* about(feed.proof(block, { digest: yield* about(stranger.digest(block)) }))
      yield* about(stranger.put({ index: block, block: yield* about(feed.get(block)), proof }))
    }
  }).pipe(Effect.scoped)

const strangerOf = (feed: Feed.Feed): Effect.Effect<Feed.Feed, InvariantBroken, Crypto | Scope.Scope> =>
  Effect.flatMap(StorageMemory.make, (storage) =>
    must(
      "unproven",
      "a feed of the key"
    )(Feed.open({ key: feed.key, sparse: true })).pipe(Effect.provideService(Storage, storage))
  )
