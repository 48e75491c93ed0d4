/** Everyone meets everyone, two at a time and undisturbed: who must know of the other history afterwards does, and who has the same history has all of it. */
import { Effect, Fiber, type Scope } from "effect"
import type { Random } from "../../src/domain/Random.js"
import type { InvariantBroken } from "../../src/testing/KnownLog.js"
import type { Branch } from "./Branch.js"
import type { BranchReader } from "./BranchReader.js"
import type { Counts } from "./Counts.js"
import { heldBy, type NetHost } from "./NetHost.js"

/** A host: a writer, of a history; or a reader. */
export interface Party {
  readonly host: NetHost
  readonly writes: Branch | undefined
  readonly reader: BranchReader | undefined
}

type Step = Effect.Effect<void, InvariantBroken, Scope.Scope>

/** Simulated time for two to tell each other all: a question that is given up takes less. */
const MEETING = "10 seconds"

interface Standing {
  readonly branch: Branch | undefined
  readonly length: number
  readonly isSound: boolean
  readonly knew: boolean
}

const standingOf = ({ host, reader, writes }: Party): Standing => {
  const feed = host.feed!
  return {
    branch: writes ?? reader!.branch,
    length: feed.length,
    isSound: heldBy(feed).length === feed.length && reader?.isExposed !== true,
    knew: feed.fork !== undefined
  }
}

export const finalMeetings = (
  random: Random,
  parties: ReadonlyArray<Party>,
  counts: Counts,
  note: (what: string) => void
): Step =>
  Effect.gen(function* () {
    const up = parties.filter(({ host }) => host.feed !== undefined)
    const pairs = up.flatMap((a, i) => up.slice(i + 1).map((b) => [a, b] as const))
    while (pairs.length > 0) {
      const [pair] = pairs.splice(random.below(pairs.length), 1)
      yield* meet(pair!, counts, note)
    }
  })

const meet = ([a, b]: readonly [Party, Party], counts: Counts, note: (what: string) => void): Step =>
  Effect.gen(function* () {
    const [before, others] = [standingOf(a), standingOf(b)]
    note(
      `undisturbed, ${a.host.options.name} (${before.length}) meets ${b.host.options.name} (${others.length})`
    )
    const dialing = yield* Effect.fork(a.host.station.dial(a.host.feed!, b.host.options.name))
    yield* Effect.sleep(MEETING)
    yield* Fiber.interrupt(dialing)
    yield* Effect.sleep("1 second")
    for (const { host, reader } of [a, b]) yield* reader?.see() ?? host.see()
    if (!before.isSound || !others.isSound) return
    if (before.branch === undefined || others.branch === undefined) return
    if (before.branch === others.branch) {
      yield* expectAlike(a, before, others)
      return yield* expectAlike(b, others, before)
    }
    counts.meetings++
    if (a.host.feed!.fork === undefined && b.host.feed!.fork === undefined)
      return yield* a.host.broken("fork", `nobody knows that ${b.host.options.name} has another history`)
    yield* expectFork(a, before, others)
    yield* expectFork(b, others, before)
  })

/** Two of one history: both have the longer log, and no alarm. */
const expectAlike = ({ host }: Party, own: Standing, other: Standing): Step =>
  Effect.gen(function* () {
    const feed = host.feed!
    if (feed.length < Math.max(own.length, other.length))
      return yield* host.broken("stuck", `its own history does not go on at ${feed.length}`)
    if (!own.knew && feed.fork !== undefined && !other.knew)
      return yield* host.broken("fork", "it found a fork where both have one history")
  })

/** A writer always finds it, and so does a reader of the shorter log. */
const expectFork = ({ host, writes }: Party, own: Standing, other: Standing): Step =>
  Effect.gen(function* () {
    if (writes === undefined && own.length >= other.length) return
    if (host.feed!.fork === undefined)
      return yield* host.broken(
        "fork",
        `at ${own.length}, it met another history of ${other.length} and does not know it`
      )
  })
