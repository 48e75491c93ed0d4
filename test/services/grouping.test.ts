/** Appends at the same time: indexes, groups, signatures, interruption and closing, under many schedules. */
import { describe, expect } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { Crypto, Feed } from "../../src/index.js"
import { SCHEDULES, SeededScheduler } from "./SeededScheduler.js"
import {
  atOnce,
  bytes,
  ended,
  expectWaiting,
  onEachStorage,
  openText,
  quiet,
  signedIndexes,
  someBlocks,
  startWaiting,
  stored
} from "./harness.js"

const onEachSchedule = <A, E, R>(body: (path: string) => Effect.Effect<A, E, R>) =>
  Effect.forEach(SCHEDULES, (seed) =>
    Effect.withScheduler(body(`schedule-${seed}`), new SeededScheduler(seed))
  )

/** Blocks as they are found when the feed is opened again, after an audit. */
const reopened = (path: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const feed = yield* openText({ path })
      expect(yield* feed.audit()).toEqual({ valid: feed.length, invalid: 0 })
      return yield* feed.getBatch(0, feed.length)
    })
  )

describe("appends at the same time", () => {
  onEachStorage("get distinct consecutive indexes", () =>
    onEachSchedule((path) =>
      Effect.gen(function* () {
        const feed = yield* openText({ path })
        const texts = Array.from({ length: 100 }, (_, i) => `block ${i}`)
        const indexes = yield* atOnce(
          Effect.forEach(texts, (text) => feed.append(text), { concurrency: "unbounded" })
        )
        expect([...indexes].sort((a, b) => a - b)).toEqual(texts.map((_, i) => i))
        const all = yield* feed.getBatch(0, 100)
        expect(indexes.map((index) => all[index])).toEqual(texts)
        yield* feed.close
        expect(yield* reopened(path)).toEqual(all)
      })
    )
  )

  onEachStorage("are in the order of asking", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const texts = Array.from({ length: 100 }, (_, i) => `block ${i}`)
      const append = (text: string) => feed.append(text)
      const indexes = yield* Effect.forEach(texts, append, { concurrency: "unbounded" })
      expect(indexes).toEqual(texts.map((_, i) => i))
      expect(yield* feed.getBatch(0, 100)).toEqual(texts)
    })
  )

  onEachStorage("one after the other, each ends before the next begins", () =>
    onEachSchedule((path) =>
      Effect.gen(function* () {
        const feed = yield* openText({ path })
        for (let i = 0; i < 40; i++) expect(yield* atOnce(feed.append(`${i}`))).toBe(i)
        yield* feed.close
      })
    )
  )

  onEachStorage("share signatures: a thousand of them need only a few", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, i) => `${i}`),
        (text) => feed.append(text),
        {
          concurrency: "unbounded"
        }
      )
      const signed = signedIndexes((yield* stored()).signatures)
      expect(signed.length).toBeLessThanOrEqual(3)
      expect(signed.at(-1)).toBe(999)
      for (const index of [0, 500, 999]) {
        const { index: at, signature } = yield* feed.signature(index)
        yield* feed.verify(at, signature)
      }
    })
  )

  onEachStorage("one after the other have a signature each", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      for (let i = 0; i < 20; i++) yield* feed.append(`${i}`)
      expect(signedIndexes((yield* stored()).signatures)).toHaveLength(20)
    })
  )

  onEachStorage("a batch stays together", () =>
    onEachSchedule((path) =>
      Effect.gen(function* () {
        const feed = yield* openText({ path })
        const batches = Array.from({ length: 30 }, (_, i) =>
          Array.from({ length: i % 4 }, (_, j) => `${i}.${j}`)
        )
        const starts = yield* atOnce(
          Effect.forEach(batches, (batch) => feed.appendBatch(batch), { concurrency: "unbounded" })
        )
        expect(feed.length).toBe(batches.flat().length)
        for (const [i, batch] of batches.entries()) {
          if (batch.length === 0) continue
          expect(yield* feed.getBatch(starts[i]!, starts[i]! + batch.length)).toEqual(batch)
        }
        yield* feed.close
        expect([...(yield* reopened(path))].sort()).toEqual(batches.flat().sort())
      })
    )
  )

  onEachStorage("from many fibers, each one after the other: each sees its own blocks in order", () =>
    onEachSchedule((path) =>
      Effect.gen(function* () {
        const feed = yield* openText({ path })
        const writer = (name: number) =>
          Effect.forEach([0, 1, 2, 3, 4], (i) =>
            Effect.map(feed.append(`${name}:${i}`), (index) => [index, `${name}:${i}`] as const)
          )
        const written = yield* atOnce(
          Effect.forEach([0, 1, 2, 3, 4, 5, 6], writer, { concurrency: "unbounded" })
        )
        const all = written.flat().sort(([a], [b]) => a - b)
        expect(all.map(([index]) => index)).toEqual(Array.from({ length: 35 }, (_, i) => i))
        expect(yield* feed.getBatch(0, 35)).toEqual(all.map(([, text]) => text))
        for (const own of written) {
          const indexes = own.map(([index]) => index)
          expect(indexes).toEqual([...indexes].sort((a, b) => a - b))
        }
        yield* feed.close
      })
    )
  )

  onEachStorage("more than a group takes come in several groups, all there", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const batch = Array.from({ length: 3000 }, (_, i) => `${i}`)
      const starts = yield* Effect.all(
        Array.from({ length: 7 }, () => feed.appendBatch(batch)),
        { concurrency: "unbounded" }
      )
      expect(starts).toEqual([0, 3000, 6000, 9000, 12_000, 15_000, 18_000])
      const signed = signedIndexes((yield* stored()).signatures)
      expect(signed).toEqual([8999, 17_999, 20_999])
      expect(yield* feed.audit()).toEqual({ valid: 21_000, invalid: 0 })
    })
  )

  onEachStorage("a bad one among them fails alone", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      const values = [bytes("a"), "no bytes" as unknown as Uint8Array, bytes("b")]
      const exits = yield* Effect.forEach(values, (value) => Effect.exit(feed.append(value)), {
        concurrency: "unbounded"
      })
      expect(exits.map((exit) => exit._tag)).toEqual(["Success", "Failure", "Success"])
      expect(yield* feed.getBatch(0, 2)).toEqual([bytes("a"), bytes("b")])
    })
  )

  onEachStorage("beside clears, audits, reads and puts leave a sound feed", () =>
    onEachSchedule((path) =>
      Effect.gen(function* () {
        const feed = yield* Feed.open({ path })
        const blocks = someBlocks(60)
        yield* feed.appendBatch(blocks.slice(0, 20))
        yield* atOnce(
          Effect.all(
            [
              ...blocks.slice(20).map((block) => feed.append(block)),
              feed.clear(2, 5),
              feed.clear(10),
              feed.audit(),
              Effect.forEach([0, 7, 15], (index) => feed.get(index), { concurrency: "unbounded" }),
              feed.put({ index: 7, block: blocks[7], proof: { nodes: [] } }),
              feed.getBatch(11, 20)
            ],
            { concurrency: "unbounded" }
          )
        )
        expect([feed.length, yield* feed.downloaded()]).toEqual([60, 56])
        expect(yield* feed.audit()).toEqual({ valid: 56, invalid: 0 })
        yield* feed.close
        const again = yield* Feed.open({ path })
        expect([again.length, yield* again.downloaded()]).toEqual([60, 56])
        yield* again.close
      })
    )
  )
})

describe("interrupting", () => {
  onEachStorage("an append ends its fiber; its block is there whole, or not at all", () =>
    onEachSchedule((path) =>
      Effect.gen(function* () {
        for (let turns = 0; turns < 12; turns++) {
          const feed = yield* openText({ path: `${path}/${turns}` })
          yield* feed.append("first")
          const fibers = yield* Effect.forEach(["a", "b", "c", "d"], (text) =>
            Effect.fork(feed.appendBatch([`${text}1`, `${text}2`]))
          )
          yield* Effect.repeatN(Effect.yieldNow(), turns)
          const exits = [
            yield* atOnce(Fiber.interrupt(fibers[1]!)),
            yield* atOnce(Fiber.interrupt(fibers[0]!))
          ]
          const others = [yield* ended(fibers[2]!), yield* ended(fibers[3]!)]
          expect(yield* atOnce(feed.append("last"))).toBe(feed.length - 1)
          const all = yield* feed.getBatch(0, feed.length)
          for (const text of ["a", "b", "c", "d"]) {
            const at = all.indexOf(`${text}1`)
            if (at < 0) expect(all).not.toContain(`${text}2`)
            else expect(all.slice(at, at + 2)).toEqual([`${text}1`, `${text}2`])
            expect(all.lastIndexOf(`${text}1`)).toBe(at)
          }
          expect(others.map((start) => all[start])).toEqual(["c1", "d1"])
          for (const [i, exit] of exits.entries()) {
            if (Exit.isSuccess(exit)) expect(all[exit.value]).toBe(["b1", "a1"][i])
          }
          yield* feed.close
          expect(yield* reopened(`${path}/${turns}`)).toEqual(all)
        }
      })
    )
  )

  onEachStorage("every append leaves a feed that goes on", () =>
    onEachSchedule((path) =>
      Effect.gen(function* () {
        const feed = yield* openText({ path })
        const fibers = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, i) => `${i}`),
          (text) => Effect.fork(feed.append(text))
        )
        yield* Effect.yieldNow()
        yield* atOnce(Fiber.interruptAll(fibers))
        yield* quiet
        // Those that stood in line are still committed, before it.
        const next = yield* atOnce(feed.append("next"))
        const all = yield* feed.getBatch(0, feed.length)
        expect([next, all[next]]).toEqual([feed.length - 1, "next"])
        expect(new Set(all).size).toBe(all.length)
        yield* feed.close
        expect(yield* reopened(path)).toEqual(all)
      })
    )
  )

  onEachStorage("puts, clears and audits at any moment leaves the lock free", () =>
    onEachSchedule((path) =>
      Effect.gen(function* () {
        const blocks = someBlocks(8)
        const feed = yield* Feed.open({ path })
        yield* feed.appendBatch(blocks)
        for (let turns = 0; turns < 20; turns++) {
          const fibers = yield* Effect.forEach(
            [
              feed.put({ index: 2, block: blocks[2], proof: { nodes: [] } }),
              feed.clear(2),
              feed.audit(),
              feed.clear(3, 5),
              feed.put({ index: 4, block: blocks[4], proof: { nodes: [] } })
            ],
            (operation: Effect.Effect<unknown, unknown>) => Effect.fork(operation)
          )
          yield* Effect.repeatN(Effect.yieldNow(), turns)
          for (const fiber of [3, 0, 4, 1, 2]) yield* Fiber.interruptFork(fibers[fiber]!)
          yield* atOnce(Effect.forEach(fibers, (fiber) => Fiber.await(fiber)))
          yield* atOnce(feed.clear(7))
          yield* atOnce(feed.put({ index: 7, block: blocks[7], proof: { nodes: [] } }))
          const held = yield* feed.downloaded()
          expect(yield* atOnce(feed.audit())).toEqual({ valid: held, invalid: 0 })
        }
        yield* feed.close
      })
    )
  )
})

/** A crypto whose signing waits until the gate opens, and that counts. */
const gated = Effect.gen(function* () {
  const crypto = yield* Crypto
  const gate = yield* Deferred.make<void>()
  let signatures = 0
  const sign = (message: Uint8Array, secretKey: Uint8Array) =>
    Effect.suspend(() => {
      signatures++
      return Effect.zipRight(Deferred.await(gate), crypto.sign(message, secretKey))
    })
  const open = Effect.provideService(openText(), Crypto, { ...crypto, sign })
  return { open, gate: Deferred.succeed(gate, undefined), signatures: () => signatures }
})

describe("while a group is being committed", () => {
  onEachStorage("appends wait and become one group, with one signature", () =>
    Effect.gen(function* () {
      const { open, gate, signatures } = yield* gated
      const feed = yield* open
      const first = yield* startWaiting(feed.append("a"))
      const others = yield* Effect.forEach(["b", "c", "d"], (text) => startWaiting(feed.append(text)))
      expect([feed.length, signatures()]).toEqual([0, 1])
      yield* gate
      expect(yield* ended(first)).toBe(0)
      expect(yield* Effect.forEach(others, ended)).toEqual([1, 2, 3])
      expect(signatures()).toBe(2)
      expect(signedIndexes((yield* stored()).signatures)).toEqual([0, 3])
    })
  )

  onEachStorage("an interrupted append ends at once and does not hold up the others", () =>
    Effect.gen(function* () {
      const { open, gate } = yield* gated
      const feed = yield* open
      const first = yield* startWaiting(feed.append("a"))
      const second = yield* startWaiting(feed.append("b"))
      const third = yield* startWaiting(feed.append("c"))
      yield* atOnce(Fiber.interrupt(second))
      yield* expectWaiting(first)
      yield* gate
      yield* ended(first)
      const index = yield* ended(third)
      expect(yield* feed.get(index)).toBe("c")
      expect(yield* feed.getBatch(0, feed.length)).toEqual(feed.length === 3 ? ["a", "b", "c"] : ["a", "c"])
    })
  )

  onEachStorage("reads are answered, close waits and what came later is FeedClosed", () =>
    Effect.gen(function* () {
      const { open, gate } = yield* gated
      const feed = yield* open
      const first = yield* startWaiting(feed.append("a"))
      expect(yield* atOnce(feed.has(0))).toBe(false)
      expect(yield* atOnce(feed.downloaded())).toBe(0)
      const second = yield* startWaiting(feed.append("b"))
      const closing = yield* startWaiting(feed.close)
      const third = yield* Effect.fork(feed.append("c"))
      yield* gate
      expect(yield* ended(first)).toBe(0)
      yield* ended(closing)
      for (const append of [second, third]) {
        const exit = yield* atOnce(Fiber.await(append))
        if (Exit.isFailure(exit)) expect(exit.cause).toMatchObject({ error: { _tag: "FeedClosed" } })
      }
      const again = yield* openText()
      const all = yield* again.getBatch(0, again.length)
      expect(all).toEqual(["a", "b", "c"].slice(0, all.length))
      expect(again.length).toBe(feed.length)
    })
  )
})

describe("closing under every schedule", () => {
  onEachStorage("appends end with an index or with FeedClosed, and what was told is there", () =>
    onEachSchedule((path) =>
      Effect.gen(function* () {
        for (let turns = 0; turns < 15; turns++) {
          const feed = yield* openText({ path: `${path}/${turns}` })
          const fibers = yield* Effect.forEach(["a", "b", "c"], (text) => Effect.fork(feed.append(text)))
          yield* Effect.repeatN(Effect.yieldNow(), turns)
          const late = yield* Effect.fork(Effect.zipRight(feed.append("d"), feed.append("e")))
          yield* atOnce(feed.close)
          const exits = yield* atOnce(Effect.forEach([...fibers, late], (fiber) => Fiber.await(fiber)))
          const all = yield* reopened(`${path}/${turns}`)
          expect(new Set(all).size).toBe(all.length)
          for (const [i, exit] of exits.entries()) {
            if (Exit.isSuccess(exit)) expect(all[exit.value]).toBe(["a", "b", "c", "e"][i])
            else expect(exit.cause).toMatchObject({ error: { _tag: "FeedClosed" } })
          }
        }
      })
    )
  )
})
