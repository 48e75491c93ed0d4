/** What a peer is asked of the log as a whole, when it does not answer, or lies: nobody is stopped by it, and all ends. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Crypto, Feed, NetworkMemory, Replication } from "../../src/index.js"
import { bytes, memory, quiet, source } from "../services/harness.js"
import * as BitfieldRle from "../../src/domain/BitfieldRle.js"
import { REGION_BLOCKS } from "../../src/domain/Peer.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { history, reading, signing } from "../services/forks.js"
import {
  BLOCKS,
  data,
  eventually,
  have,
  Hostile,
  info,
  outcome,
  underAttack,
  unhave,
  want
} from "./Hostile.js"

/** A reader or an author, and a hostile peer that has what `has` has. */
const facing = (victim: Feed.Feed, has: Feed.Feed, options: Replication.Options = {}) =>
  Effect.gen(function* () {
    const [ours, theirs] = yield* NetworkMemory.pair()
    const session = yield* Effect.fork(
      Replication.replicate(victim, ours, { live: true, encrypt: false, ...options })
    )
    const hostile = new Hostile(theirs, has, yield* Crypto, false)
    yield* hostile.open
    yield* hostile.until(() => hostile.all("Want").length > 0)
    return { session, hostile }
  })

const blockRequests = (hostile: Hostile) => hostile.all("Request").filter(({ hash }) => !hash)

/** Answers all requests of blocks, as they come, and none of leaves. */
const answerBlocks = (hostile: Hostile, answered = 0): Effect.Effect<never, unknown> =>
  Effect.gen(function* () {
    yield* hostile.until(() => blockRequests(hostile).length > answered)
    const request = blockRequests(hostile)[answered]!
    yield* hostile.say(yield* hostile.answer(request))
    return yield* answerBlocks(hostile, answered + 1)
  })

const questions = (hostile: Hostile) => hostile.all("Request").filter(({ hash }) => hash)

describe("an author", () => {
  for (const [what, answers] of [
    ["says nothing more", () => []],
    ["has no such block", () => [unhave(0, 10 * BLOCKS)]],
    ["answers with a proof that nobody signed", () => [data(10 * BLOCKS - 1, undefined)]],
    [
      "answers with another key's signature",
      () => [data(10 * BLOCKS - 1, undefined, { signature: new Uint8Array(64).fill(1) })]
    ]
  ] as const) {
    it.effect(`appends on, whatever a peer says that it has, when that ${what}`, () =>
      Effect.gen(function* () {
        const result = yield* underAttack("author", ({ hostile }) =>
          Effect.gen(function* () {
            yield* hostile.open
            yield* hostile.until(() => hostile.all("Want").length > 0)
            yield* hostile.say(have(0, 10 * BLOCKS))
            yield* hostile.until(() => questions(hostile).length > 0)
            expect(questions(hostile)).toMatchObject([{ index: 10 * BLOCKS - 1, nodes: 0 }])
            yield* hostile.say(...answers())
          })
        )
        expect(result).toBe("goes on")
      }).pipe(Effect.scoped, Effect.provide(memory))
    )
  }

  it.scoped("asks one question at a time, however often the log is said to have grown", () =>
    Effect.gen(function* () {
      const author = yield* source([bytes("a")])
      const { hostile, session } = yield* facing(author, author)
      for (let length = 2; length < 300; length++) yield* hostile.say(have(0, length))
      yield* hostile.until(() => questions(hostile).length > 0)
      expect(yield* outcome(session)).toBe("goes on")
      expect(questions(hostile).length).toBeLessThanOrEqual(2)
      yield* Fiber.interrupt(session)
    }).pipe(Effect.provide(memory))
  )
})

describe("a peer that nothing is learned of", () => {
  it.scoped("is asked no more after a while, however often it makes itself longer", () =>
    Effect.gen(function* () {
      const author = yield* source([bytes("a")])
      const { hostile, session } = yield* facing(author, author)
      yield* Effect.forkScoped(hostile.until(() => false))
      for (let length = 2; length < 300; length++) {
        yield* hostile.say(have(length - 1))
        yield* quiet
        yield* hostile.say(unhave(length - 1))
        yield* quiet
      }
      expect(yield* outcome(session)).toBe("goes on")
      expect(questions(hostile).length).toBe(256)
      expect(yield* author.append(bytes("b"))).toBe(1)
      yield* Fiber.interrupt(session)
    }).pipe(Effect.provide(memory))
  )
})

describe("a reader that has some blocks", () => {
  const peerless = Effect.gen(function* () {
    const author = yield* signing(history("a", 99, 60))
    const older = yield* signing(history("a", 99, 20))
    return { author, reader: yield* reading(older) }
  })
  const whole = (reader: Feed.Feed) => () => coreOf(reader).bitfield.count(0, 60) === 60

  for (const options of [{}, { timeout: 0 }]) {
    it.scoped(
      `gets the rest of a peer that does not answer what it is asked of the log, after a while: ${JSON.stringify(options)}`,
      () =>
        Effect.gen(function* () {
          const { author, reader } = yield* peerless
          const { hostile, session } = yield* facing(reader, author, options)
          yield* hostile.say(have(0, 60))
          yield* Effect.forkScoped(answerBlocks(hostile))
          expect(yield* outcome(session)).toBe("goes on")
          expect(reader.length).toBe(20)
          yield* eventually("all has come", whole(reader))
          yield* Fiber.interrupt(session)
        }).pipe(Effect.provide(memory))
    )
  }

  it.scoped("does not wait for that answer with more than it keeps", () =>
    Effect.gen(function* () {
      const blocks = Array.from({ length: 30 }, (_, i) => new Uint8Array(300_000).fill(i))
      const [author, older] = [yield* signing(blocks), yield* signing(blocks.slice(0, 5))]
      const reader = yield* reading(older)
      const { hostile, session } = yield* facing(reader, author)
      yield* hostile.say(have(0, 30))
      yield* Effect.forkScoped(answerBlocks(hostile))
      yield* outcome(session)
      expect(yield* reader.downloaded()).toBeGreaterThanOrEqual(5 + 13)
      yield* Fiber.interrupt(session)
    }).pipe(Effect.provide(memory))
  )

  it.scoped("ends with what was wrong when the peer that sent it does not say more, or goes", () =>
    Effect.gen(function* () {
      for (const goes of [true, false]) {
        const { author, reader } = yield* peerless
        const { hostile, session } = yield* facing(reader, author)
        yield* hostile.say(have(0, 60))
        yield* hostile.until(() => blockRequests(hostile).length > 1)
        const [question] = questions(hostile)
        yield* hostile.say(unhave(question!.index))
        const request = blockRequests(hostile).find(({ index }) => index !== question!.index)!
        const { nodes, signature } = yield* hostile.answer(request)
        yield* hostile.say(data(request.index, bytes("forged"), { nodes, signature }))
        expect(yield* outcome(session)).toBe("goes on")
        yield* hostile.until(() => questions(hostile).length === 2)
        if (goes) yield* hostile.connection.end
        else yield* eventually("it has ended", () => session.unsafePoll() !== null)
        expect(yield* outcome(session)).toBe("invalid-data")
        expect(reader.fork).toBeUndefined()
      }
    }).pipe(Effect.provide(memory))
  )
})

describe("a reader that wants nothing of a peer", () => {
  const meeting = (readerLength: number, length: number, options: Replication.Options = {}) =>
    Effect.gen(function* () {
      const reader = yield* reading(yield* signing(history("a", 99, readerLength)))
      const { hostile, session } = yield* facing(reader, yield* signing(history("a", 99, length)), options)
      const described = BitfieldRle.encode(new Uint8Array(Math.ceil(length / 8)))
      yield* hostile.say(want(0, REGION_BLOCKS), have(0, REGION_BLOCKS, described), have(0, length))
      yield* hostile.until(() => questions(hostile).length > 0)
      return { reader, hostile, session }
    })

  it.scoped("asks it once to compare the logs, whatever it says and how often", () =>
    Effect.gen(function* () {
      for (const length of [20, 12]) {
        const { hostile, reader, session } = yield* meeting(20, length)
        expect(questions(hostile)).toMatchObject([{ index: length - 1, nodes: 0 }])
        yield* hostile.say(yield* hostile.answer(questions(hostile)[0]!))
        for (let i = 0; i < 100; i++) yield* hostile.say(unhave(0, length), have(0, length))
        expect(yield* outcome(session)).toBe("goes on")
        expect(hostile.all("Request").length).toBe(1)
        expect(reader.fork).toBeUndefined()
        yield* Fiber.interrupt(session)
      }
    }).pipe(Effect.provide(memory))
  )

  it.scoped("takes new blocks of it while it does not answer", () =>
    Effect.gen(function* () {
      const { hostile, reader, session } = yield* meeting(20, 20)
      yield* hostile.author.append(bytes("later"))
      yield* hostile.say(have(20))
      yield* hostile.until(() => questions(hostile).length > 1 && blockRequests(hostile).length > 0)
      // The question that matters now took the place of the other.
      expect(questions(hostile)[1]).toMatchObject({ index: 20 })
      yield* hostile.say(yield* hostile.answer(questions(hostile)[1]!))
      yield* hostile.say(yield* hostile.answer(blockRequests(hostile)[0]!))
      yield* eventually("it has come", () => coreOf(reader).bitfield.has(20))
      yield* Fiber.interrupt(session)
    }).pipe(Effect.provide(memory))
  )

  for (const [what, options, answers] of [
    ["is given up", { timeout: 40_000 }, []],
    ["is given up where silence is borne for ever", { timeout: 0 }, []],
    ["is told that it has no such block", { timeout: 0 }, [unhave(19)]],
    ["is told nothing more of", { timeout: 0 }, [info(true, false)]]
  ] as const) {
    it.scoped(`ends when the question ${what}`, () =>
      Effect.gen(function* () {
        const { hostile, session } = yield* meeting(20, 20, { live: false, ...options })
        expect(yield* outcome(session)).toBe("goes on")
        expect(hostile.all("Info").every(({ downloading }) => downloading)).toBe(true)
        yield* hostile.say(...answers)
        const heard = yield* Effect.fork(
          hostile.until(() => hostile.all("Info").some(({ downloading }) => !downloading))
        )
        yield* eventually("it is over", () => heard.unsafePoll() !== null)
        yield* hostile.say(info(false))
        yield* Effect.forkScoped(hostile.until(() => false))
        yield* hostile.connection.end
        yield* eventually("it has ended", () => session.unsafePoll() !== null)
        expect(yield* outcome(session)).toBe("ended")
      }).pipe(Effect.provide(memory))
    )
  }

  it.scoped("is not cut short when the peer goes without an answer", () =>
    Effect.gen(function* () {
      const { hostile, session } = yield* meeting(20, 20, { live: false })
      yield* hostile.connection.end
      yield* eventually("it has ended", () => session.unsafePoll() !== null)
      expect(yield* outcome(session)).toBe("ended")
    }).pipe(Effect.provide(memory))
  )
})
