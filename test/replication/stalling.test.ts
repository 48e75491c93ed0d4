/** Peers that break no rule of the moment but never get on: what they cost, and when it is over. */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Either } from "effect"
import * as BitfieldRle from "../../src/domain/BitfieldRle.js"
import type * as Wire from "../../src/domain/Wire.js"
import { Feed, NetworkMemory, Replication } from "../../src/index.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { ended, inMemory, memory, quiet, someBlocks, source, transfer } from "../services/harness.js"
import {
  BLOCKS,
  arena,
  data,
  eventually,
  expectNothingLeft,
  frame,
  have,
  honest,
  info,
  later,
  outcome,
  pass,
  request,
  reserved,
  Hostile,
  want
} from "./Hostile.js"

const zero = Uint8Array.of(0)

/** Sends `bytes` once a second, for so long. */
const drip = (hostile: Hostile, seconds: number, bytes: (second: number) => Uint8Array) =>
  Effect.gen(function* () {
    for (let second = 0; second < seconds; second++) {
      yield* Effect.fork(hostile.raw(bytes(second)))
      yield* pass(1)
    }
  })

describe("time", () => {
  inMemory("silence from the start is a timeout", () =>
    Effect.gen(function* () {
      const { session } = yield* arena("reader")
      yield* pass(6)
      expect(yield* outcome(session)).toBe("goes on")
      yield* pass(3)
      expect(yield* outcome(session)).toBe("timeout")
    })
  )

  inMemory("silence after the handshake is a timeout", () =>
    Effect.gen(function* () {
      const { hostile, session, victim } = yield* arena("reader")
      yield* hostile.open
      yield* hostile.asked(10)
      yield* pass(10)
      expect(yield* outcome(session)).toBe("timeout")
      yield* expectNothingLeft(victim)
    })
  )

  inMemory("who opens the feed and never shakes hands is a timeout, whatever else it says", () =>
    Effect.gen(function* () {
      const { hostile, session, victim } = yield* arena("reader")
      yield* hostile.raw(frame(0, 0, [0x0a, 32, ...victim.discoveryKey]))
      yield* drip(hostile, 12, () => zero)
      expect(yield* outcome(session)).toBe("timeout")
    })
  )

  inMemory("a frame that comes a byte a second is a timeout", () =>
    Effect.gen(function* () {
      const { hostile, session } = yield* arena("reader")
      yield* hostile.open
      yield* quiet
      yield* hostile.raw(frame(0, 15, new Uint8Array(1000)).subarray(0, 10))
      yield* drip(hostile, 12, () => zero)
      expect(yield* outcome(session)).toBe("timeout")
    })
  )

  inMemory("a frame that comes slowly, but comes, is waited for", () =>
    Effect.gen(function* () {
      const { hostile, session } = yield* arena("reader")
      yield* hostile.open
      yield* quiet
      const large = frame(0, 15, new Uint8Array(60_000))
      yield* drip(hostile, 60, (second) => large.subarray(1000 * second, 1000 * (second + 1)))
      expect(yield* outcome(session)).toBe("goes on")
      yield* Fiber.interrupt(session)
    })
  )
})

describe("requests of ours that are not answered", () => {
  inMemory("are given up, and others are asked", () =>
    Effect.gen(function* () {
      const all = yield* arena("reader")
      const { author, hostile, session, victim } = all
      yield* hostile.open
      yield* hostile.asked(10)
      const { fiber } = yield* honest(all)
      yield* eventually(
        "all has come from elsewhere",
        () => coreOf(victim).bitfield.count(0, BLOCKS) === BLOCKS
      )
      yield* author.appendBatch(later)
      yield* eventually("and what was appended", () => victim.length === BLOCKS + later.length)
      yield* Fiber.interruptAll([fiber, session])
      yield* expectNothingLeft(victim)
    })
  )

  inMemory("nor Wants: not live, it ends all the same", () =>
    Effect.gen(function* () {
      const { hostile, session, victim } = yield* arena("reader", { live: false })
      yield* hostile.open
      yield* hostile.say(info(false))
      yield* drip(hostile, 30, () => zero)
      expect(yield* outcome(session)).toBe("ended")
      yield* expectNothingLeft(victim)
    })
  )

  inMemory("are not asked for ever of who says again and again that it has the blocks", () =>
    Effect.gen(function* () {
      const { hostile, session, victim } = yield* arena("reader", { live: false })
      yield* hostile.open
      yield* hostile.asked(10)
      const hearing = yield* Effect.fork(hostile.until(() => false))
      yield* quiet
      const before = hostile.all("Request").length
      const again = Effect.fork(hostile.say(have(0, BLOCKS)))
      yield* Effect.repeatN(Effect.zipRight(again, pass(1)), 50)
      expect(yield* outcome(session)).toBe("goes on")
      // One at a time, each for as long as a request may take.
      expect(hostile.all("Request").length - before).toBeLessThan(10)
      yield* Effect.repeatN(Effect.zipRight(again, pass(1)), 20)
      expect(yield* outcome(session)).toBe("timeout")
      yield* expectNothingLeft(victim)
      yield* Fiber.interrupt(hearing)
    })
  )

  inMemory("go to and fro between two who do not answer, but not for ever", () =>
    Effect.gen(function* () {
      const { author, hostile, session, victim } = yield* arena("reader", { live: false })
      const [ours, theirs] = yield* NetworkMemory.pair()
      const second = yield* Effect.fork(Replication.replicate(victim, ours, { live: false, encrypt: false }))
      const other = new Hostile(theirs, author, hostile.crypto, false)
      for (const one of [hostile, other]) {
        yield* one.open
        yield* one.until(() => one.all("Want").length > 0)
        yield* one.say(have(0, 20))
        yield* Effect.fork(one.until(() => false))
      }
      const alive = Effect.forEach([hostile, other], (one) => Effect.fork(one.raw(zero)))
      yield* Effect.repeatN(Effect.zipRight(alive, pass(1)), 30)
      // Each block at most once of each: what the one leaves lying the other is asked for, and neither a second time.
      for (const one of [hostile, other]) {
        const asked = one.all("Request").map(({ index }) => index)
        expect(asked.length).toBeGreaterThan(0)
        expect(asked.length).toBe(new Set(asked).size)
      }
      expect(reserved(victim)).toBe(0)
      yield* Fiber.interruptAll([session, second])
    })
  )

  inMemory("one in ten is answered: the others come from elsewhere", () =>
    Effect.gen(function* () {
      const all = yield* arena("reader")
      const { hostile, session, victim } = all
      yield* hostile.open
      const answering = yield* Effect.fork(
        Effect.gen(function* () {
          yield* hostile.asked()
          for (let next = 0; ; next++) {
            yield* hostile.until(() => hostile.all("Request").length > next)
            const asked = hostile.all("Request")[next]
            if (asked === undefined) return
            if (next % 10 === 0) yield* hostile.say(yield* hostile.answer(asked))
          }
        })
      )
      const { fiber } = yield* honest(all)
      yield* eventually("all has come", () => coreOf(victim).bitfield.count(0, BLOCKS) === BLOCKS)
      expect(yield* outcome(session)).toBe("goes on")
      yield* Fiber.interruptAll([fiber, session, answering])
      yield* expectNothingLeft(victim)
    })
  )

  inMemory("nothing stays reserved for who answers and then breaks the rules in one breath", () =>
    Effect.gen(function* () {
      const { hostile, session, victim } = yield* arena("reader")
      const [left] = yield* NetworkMemory.pair()
      const other = yield* Effect.fork(Replication.replicate(victim, left, { live: true }))
      yield* hostile.open
      const asked = yield* hostile.asked(20)
      const answers = yield* Effect.forEach(asked, (one) => hostile.answer(one))
      for (const one of answers) hostile.multiplexer.send(hostile.channel!, one)
      yield* hostile.say(have(2 ** 50))
      expect(yield* outcome(session)).toBe("malformed")
      expect(reserved(victim)).toBe(0)
      yield* Fiber.interrupt(other)
    })
  )

  inMemory("a slow link's answers are not refused as too late", () =>
    Effect.gen(function* () {
      const net = yield* NetworkMemory.make({ seed: 1, bandwidth: 100_000, latency: 10 })
      const large = Array.from({ length: 40 }, (_, i) => new Uint8Array(60_000).fill(i + 1))
      const author = yield* source(large)
      const reader = yield* Effect.provide(Feed.open({ key: author.key }), memory)
      yield* net.host("a").listen({ port: 1 }, (connection) => Replication.replicate(author, connection))
      const connection = yield* net.host("b").connect({ host: "a", port: 1 }).pipe(Effect.fork)
      yield* pass(1)
      const fiber = yield* Effect.fork(Replication.replicate(reader, yield* ended(connection)))
      yield* Effect.repeatN(pass(5), 12)
      yield* ended(fiber)
      expect(yield* reader.downloaded()).toBe(40)
      expect(Replication.stats(reader).peers).toEqual([])
    })
  )
})

describe("who never reads", () => {
  inMemory("has no more answers made than the connection takes", () =>
    Effect.gen(function* () {
      const { hostile, session } = yield* arena("author")
      yield* hostile.open
      const large = Array.from({ length: 16_000 }, (_, i) => request(i % BLOCKS, { hash: true }))
      yield* Effect.fork(hostile.say(...large))
      yield* drip(hostile, 30, () => zero)
      expect(yield* outcome(session)).toBe("goes on")
      let waiting = 0
      for (const bytes of yield* hostile.connection.pull) waiting += bytes.length
      expect(waiting).toBeLessThan(4 * 1024 * 1024)
      yield* Fiber.interrupt(session)
    })
  )

  inMemory("is refused when it makes us speak on and on", () =>
    Effect.gen(function* () {
      const { hostile, session } = yield* arena("reader")
      yield* hostile.open
      yield* quiet
      const pushed = Array.from({ length: 100_000 }, (_, i) => data(i, Uint8Array.of(1)))
      yield* Effect.fork(hostile.say(...pushed))
      expect(yield* outcome(session)).toBe("too-many")
    })
  )

  inMemory("is told of everything when it reads at last, in few words", () =>
    Effect.gen(function* () {
      const author = yield* source(someBlocks(6000))
      const victim = yield* Effect.provide(Feed.open({ key: author.key, sparse: true }), memory)
      const all = yield* arena("reader")
      const [ours, theirs] = yield* NetworkMemory.pair({ bufferSize: 1 })
      const session = yield* Effect.fork(Replication.replicate(victim, ours, { live: true, encrypt: false }))
      const hostile = new Hostile(theirs, author, all.hostile.crypto, false)
      yield* Effect.fork(hostile.open)
      yield* Effect.fork(hostile.until(() => hostile.all("Want").length > 0))
      yield* quiet
      yield* Effect.fork(hostile.say(want(0, 1_048_576)))
      yield* quiet
      for (let block = 0; block < 6000; block += 2) yield* transfer(author, victim, block)
      yield* victim.clear(100, 200)
      const told = new Set<number>()
      const isTold = () =>
        hostile.all("Have").some(({ bitfield, length }) => bitfield !== undefined && length > 1)
      const hearing = yield* Effect.fork(hostile.until(() => false))
      yield* eventually("it is told", isTold)
      yield* quiet
      for (const message of hostile.heard) tellOf(told, message)
      const held = Array.from({ length: 6000 }, (_, i) => i).filter((i) => coreOf(victim).bitfield.has(i))
      expect([...told].sort((a, b) => a - b)).toEqual(held)
      expect(hostile.heard.length).toBeLessThan(1200)
      yield* Fiber.interruptAll([session, hearing])
    })
  )
})

/** What a peer knows after a message: of bitfields those that are literal or runs, decoded by hand. */
const tellOf = (told: Set<number>, message: Wire.Message): void => {
  if (message._tag === "Unhave") {
    for (let i = 0; i < message.length; i++) told.delete(message.start + i)
  } else if (message._tag === "Have" && message.bitfield === undefined) {
    for (let i = 0; i < message.length; i++) told.add(message.start + i)
  } else if (message._tag === "Have") {
    told.clear()
    const bits = Either.getOrThrow(BitfieldRle.decode(message.bitfield!, 131_072))
    for (let i = 0; i < 8 * bits.length; i++) if ((bits[i >> 3]! & (128 >> (i & 7))) !== 0) told.add(i)
  }
}
