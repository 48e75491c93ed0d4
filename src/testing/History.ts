/** An author's history, played on a machine that may fail: what was promised is written down, and checked each time the feed is opened. */
import { Effect, ExecutionStrategy, Exit, Scope } from "effect"
import type * as StorageFaulty from "../layers/StorageFaulty.js"
import type { Crypto } from "../services/Crypto.js"
import * as Feed from "../services/Feed.js"
import { Storage } from "../services/Storage.js"
import * as Invariants from "./Invariants.js"
import { InvariantBroken, KnownLog } from "./KnownLog.js"

export type Action =
  | { readonly _tag: "Append"; readonly blocks: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Clear"; readonly start: number; readonly count: number }
  | { readonly _tag: "Reopen" }
  /** The program or the machine ends: now, or at the so many-th step on the disk from now. */
  | { readonly _tag: "Crash"; readonly kind: StorageFaulty.CrashKind; readonly after?: number | undefined }

type Opening = Effect.Effect<Feed.Feed, Feed.OpenError, Crypto | Storage | Scope.Scope>

export interface Player {
  readonly machine: StorageFaulty.StorageFaulty
  /** Opens the feed. Called again after each close and crash. Default: the one at the root, with `durability: "power"`. */
  readonly open?: Opening
}

/**
 * Plays the actions one after the other, and answers what is known of the log then. Fails when the feed breaks a promise: it lost what was
 * appended, holds what is not its own or cannot be proven, signed a length twice, or cannot be opened. The feed must be open once: a crash before
 * that may leave half a secret key, which is refused.
 */
export const play = (
  actions: ReadonlyArray<Action>,
  { machine, open = Feed.open({ durability: "power" }) }: Player
): Effect.Effect<KnownLog, InvariantBroken, Crypto> =>
  Effect.gen(function* () {
    const known = new KnownLog()
    let { feed, life } = yield* start(machine, open, known)
    const again = Effect.gen(function* () {
      yield* machine.crashAfter(undefined, "process")
      yield* Scope.close(life, Exit.void)
      ;({ feed, life } = yield* start(machine, open, known))
    })
    for (const action of actions) {
      const { crashes } = machine.counts
      if (action._tag === "Crash") {
        yield* action.after === undefined
          ? machine.crash(action.kind)
          : machine.crashAfter(action.after, action.kind)
      } else if (action._tag === "Reopen") yield* Effect.ignore(feed.close)
      else if (action._tag === "Append") {
        const exit = yield* Effect.either(feed.appendBatch(action.blocks))
        if (exit._tag === "Left" || machine.counts.crashes > crashes) known.attempted([action.blocks])
        else known.appended(exit.right, action.blocks)
      } else {
        const end = action.start + action.count
        known.clearing(action.start, end)
        const exit = yield* Effect.either(feed.clear(action.start, end))
        if (exit._tag === "Right" && machine.counts.crashes === crashes) {
          known.hasCleared(action.start, Math.min(end, feed.length))
        }
      }
      if (machine.counts.crashes > crashes || !feed.readable) yield* again
    }
    yield* again
    return known
  }).pipe(
    Effect.scoped,
    Effect.catchAllDefect((defect) =>
      defect instanceof InvariantBroken ? Effect.fail(defect) : Effect.die(defect)
    )
  )

/** Opens the feed and holds it to what is known. */
const start = (machine: StorageFaulty.StorageFaulty, open: Opening, known: KnownLog) =>
  Effect.gen(function* () {
    const life = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const feed = yield* Scope.extend(Effect.provideService(open, Storage, machine.storage), life).pipe(
      Effect.mapError((error) => new InvariantBroken({ invariant: "refused", detail: error.message }))
    )
    known.settle(yield* Invariants.keepsPromises(feed, known))
    yield* Invariants.isProvable(feed)
    const last = yield* Effect.option(feed.signature())
    if (last._tag === "Some") known.signed(last.value.index + 1, last.value.signature)
    return { feed, life }
  })
