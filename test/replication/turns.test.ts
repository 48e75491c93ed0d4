/**
 * Whatever peers send, and however many of them, the event loop has its turn after a bounded amount of work. The work is counted, not timed:
 * see `WorkClock`.
 */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type * as Wire from "../../src/domain/Wire.js"
import { Crypto, Feed, NetworkMemory, Replication } from "../../src/index.js"
import { withInstrument } from "../services/InstrumentedStorage.js"
import { inMemory, memory, quiet, source } from "../services/harness.js"
import { Hostile, cancel, data, frame, have, info, request, unhave, want } from "./Hostile.js"
import { WorkClock } from "./WorkClock.js"

/** Milliseconds of the clock's: what is done between two turns, and a step. */
const MOST = 18
const BLOCKS = 2000

interface Flood {
  readonly about: string
  readonly victim: "author" | "reader"
  readonly blockSize?: number
  readonly does: Attack
}

/** What each of `connections` does of it. */
type Attack = (hostile: Hostile, connections: number) => Effect.Effect<unknown, unknown>

const times = <A>(count: number, make: (i: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, i) => make(i))

const says =
  (count: number, make: (i: number) => Wire.Message): Attack =>
  (hostile, connections) =>
    hostile.say(...times(connections === 1 ? count : count / 4, make))

/** Answers what is asked with the truth, and all that proves it. */
const answersAll = (hostile: Hostile) =>
  Effect.gen(function* () {
    yield* hostile.until(() => hostile.all("Want").length > 0)
    yield* hostile.say(have(0, hostile.author.length))
    for (let next = 0; next < hostile.author.length && !hostile.ended;) {
      yield* hostile.until(() => hostile.all("Request").length > next)
      const asked = hostile.all("Request").slice(next)
      next += asked.length
      const answers = yield* Effect.forEach(asked, (one) => hostile.answer({ ...one, nodes: 0 }))
      yield* hostile.say(...answers)
    }
  })

const far = (i: number): number => (i * 7919) % BLOCKS

const floods: ReadonlyArray<Flood> = [
  {
    about: "keep-alives",
    victim: "author",
    does: (hostile, connections) => hostile.raw(...times(256 / connections, () => new Uint8Array(65_536)))
  },
  {
    about: "frames that mean nothing",
    victim: "author",
    does: (hostile) => hostile.raw(...times(16_000, () => frame(0, 12, new Uint8Array(60))))
  },
  { about: "Info", victim: "author", does: says(20_000, (i) => info(i % 2 === 0)) },
  { about: "Have of everything", victim: "reader", does: says(20_000, () => have(0, 2 ** 46)) },
  { about: "Unhave of everything", victim: "reader", does: says(20_000, () => unhave(0, 2 ** 46)) },
  { about: "requests of blocks", victim: "author", does: says(4000, (i) => request(far(i))) },
  {
    about: "requests of leaves",
    victim: "author",
    does: says(4000, (i) => request(far(i), { hash: true }))
  },
  {
    about: "requests of bytes",
    victim: "author",
    does: says(1000, (i) => request(0, { bytes: 1 + i, hash: true }))
  },
  {
    about: "requests of what there is not",
    victim: "author",
    does: says(16_000, (i) => request(2 ** 40 + i))
  },
  {
    about: "requests, taken back",
    victim: "author",
    does: says(30_000, (i) => (i % 2 === 0 ? request(i) : cancel(i - 1)))
  },
  { about: "Want", victim: "author", does: says(16_000, (i) => want(8192 * i, 8192)) },
  {
    about: "blocks that nobody asked for",
    victim: "reader",
    does: says(20_000, (i) => data(2 ** 30 + i, new Uint8Array(1)))
  },
  { about: "blocks of 50 KB with all their proofs", victim: "reader", blockSize: 50_000, does: answersAll }
]

const victimOf = ({ victim }: Flood, author: Feed.Feed, clock: WorkClock, crypto: Crypto["Type"]) =>
  victim === "author"
    ? Effect.succeed(author)
    : Feed.open({ key: author.key }).pipe(
        withInstrument(clock.instrument),
        Effect.provideService(Crypto, clock.crypto(crypto)),
        Effect.provide(memory)
      )

/** Our feed, written by us, in storage that counts. */
const authorOf = ({ blockSize = 20, victim }: Flood, clock: WorkClock) =>
  Effect.gen(function* () {
    const block = new Uint8Array(blockSize).fill(7)
    const blocks = times(blockSize > 1000 ? 400 : BLOCKS, () => block)
    if (victim === "reader") return yield* source(blocks)
    const author = yield* Feed.open({}).pipe(withInstrument(clock.instrument))
    yield* author.appendBatch(blocks)
    return author
  })

const attack = (flood: Flood, connections: number, victim: Feed.Feed, author: Feed.Feed, clock: WorkClock) =>
  Effect.gen(function* () {
    const [ours, theirs] = yield* NetworkMemory.pair()
    const session = yield* Effect.fork(
      Effect.exit(Replication.replicate(victim, ours, { live: true, encrypt: false }))
    )
    const hostile = new Hostile(theirs, author, yield* Crypto, false)
    clock.others.add(hostile.multiplexer)
    yield* hostile.open
    yield* Effect.fork(Effect.ignore(hostile.until(() => false)))
    return { session, attacking: yield* Effect.fork(Effect.ignore(flood.does(hostile, connections))) }
  })

/** Until nothing more is done. */
const settled = (clock: WorkClock): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let before = -1; before < clock.now;) {
      before = clock.now
      for (let turn = 0; turn < 10; turn++) yield* quiet
    }
  })

describe("the work between two turns of the event loop", () => {
  for (const flood of floods) {
    for (const connections of [1, 16]) {
      inMemory(`is bounded: ${flood.about}, ${connections} at a time (${flood.victim})`, () => {
        const clock = new WorkClock()
        return Effect.gen(function* () {
          const author = yield* authorOf(flood, clock)
          const victim = yield* victimOf(flood, author, clock, yield* Crypto)
          yield* Effect.sleep(0)
          clock.longest = 0
          const before = clock.now
          yield* clock.watchMessages
          const all = yield* Effect.all(
            times(connections, () => attack(flood, connections, victim, author, clock))
          )
          yield* settled(clock)
          expect(clock.now - before).toBeGreaterThan(2 * MOST)
          expect(clock.longest).toBeLessThan(MOST)
          for (const { attacking, session } of all) {
            yield* Fiber.interrupt(attacking)
            yield* Fiber.interrupt(session)
          }
        }).pipe(Effect.withClock(clock))
      })
    }
  }
})
