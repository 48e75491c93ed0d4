/** The onwrite hook: asked after verification and before anything is written; its failure refuses that write alone. */
import { describe, expect } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FiberRef, Ref, TestClock } from "effect"
import { Feed, type Storage } from "../../src/index.js"
import {
  atOnce,
  bytes,
  ended,
  expectFailure,
  expectWaiting,
  failure,
  onEachStorage,
  openText,
  someBlocks,
  source,
  startWaiting,
  stored,
  transfer
} from "./harness.js"

const text = (block: Uint8Array): string => new TextDecoder().decode(block)

/** A hook that notes what it is asked and what is stored at that moment. */
const observing = Effect.gen(function* () {
  const services = yield* Effect.context<Storage>()
  const seen: Array<{
    readonly index: number
    readonly block: string
    readonly files: Record<string, string>
  }> = []
  const onwrite: Feed.OnWrite = (index, block) =>
    Effect.map(Effect.provide(stored(), services), (files) => {
      seen.push({ index, block: text(block), files })
    })
  return { seen, onwrite }
})

describe("onwrite of an author", () => {
  onEachStorage("is asked about every block in order, before anything of the group is stored", () =>
    Effect.gen(function* () {
      const { seen, onwrite } = yield* observing
      const feed = yield* openText({ onwrite })
      const empty = yield* stored()
      yield* feed.append("a")
      const one = yield* stored()
      yield* feed.appendBatch(["b", "", "c"])
      expect(seen.map(({ index, block }) => [index, block])).toEqual([
        [0, "a"],
        [1, "b"],
        [2, ""],
        [3, "c"]
      ])
      expect(seen.map(({ files }) => files)).toEqual([empty, one, one, one])
    })
  )

  onEachStorage("sees blocks, not values, and is not asked about a value that has no block", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const feed = yield* Feed.open({
        onwrite: (_, block) => Effect.sync(() => asked.push(text(block)))
      })
      yield* expectFailure(feed.append("no bytes" as unknown as Uint8Array), { _tag: "BadArgument" })
      yield* feed.append(bytes("x"))
      expect(asked).toEqual(["x"])
    })
  )

  onEachStorage("by failing refuses its own append only, whole, and says why", () =>
    Effect.gen(function* () {
      const cause = new Error("not this one")
      const feed = yield* openText({
        onwrite: (_, block) => (text(block) === "bad" ? Effect.fail(cause) : Effect.void)
      })
      const exits = yield* Effect.forEach(
        [["a"], ["bad"], ["b", "c"], ["d", "bad", "e"], ["f"]],
        (batch) => Effect.exit(feed.appendBatch(batch)),
        { concurrency: "unbounded" }
      )
      expect(exits.map((exit) => (Exit.isSuccess(exit) ? exit.value : exit.cause))).toMatchObject([
        0,
        { error: { _tag: "WriteRefused", index: 1, cause } },
        1,
        { error: { _tag: "WriteRefused", index: 4, cause } },
        3
      ])
      expect(yield* feed.getBatch(0, feed.length)).toEqual(["a", "b", "c", "f"])
      yield* feed.close
      const again = yield* openText()
      expect(yield* again.getBatch(0, 4)).toEqual(["a", "b", "c", "f"])
      expect(yield* again.audit()).toEqual({ valid: 4, invalid: 0 })
    })
  )

  onEachStorage("refusing everything leaves the files as they were", () =>
    Effect.gen(function* () {
      const feed = yield* openText({ onwrite: () => Effect.fail("never") })
      const before = yield* stored()
      yield* expectFailure(feed.append("a"), { _tag: "WriteRefused", index: 0, cause: "never" })
      yield* expectFailure(feed.appendBatch(["a", "b"]), { _tag: "WriteRefused", index: 0 })
      expect(feed.length).toBe(0)
      expect(yield* stored()).toEqual(before)
    })
  )

  onEachStorage("that dies takes its own append with it, and the feed goes on", () =>
    Effect.gen(function* () {
      const feed = yield* openText({
        onwrite: (_, block) => (text(block) === "bad" ? Effect.die("a bug") : Effect.void)
      })
      const [good, bad] = yield* Effect.all(
        [Effect.exit(feed.append("a")), Effect.exit(feed.append("bad"))],
        { concurrency: "unbounded" }
      )
      expect(good).toEqual(Exit.succeed(0))
      expect(bad).toEqual(Exit.die("a bug"))
      expect(yield* feed.append("b")).toBe(1)
    })
  )

  onEachStorage("that throws where it should have failed does too", () =>
    Effect.gen(function* () {
      const feed = yield* openText({
        onwrite: (index) => {
          if (index === 0) throw new Error("a bug")
          return Effect.void
        }
      })
      const exit = yield* atOnce(Effect.exit(feed.append("a")))
      expect(Exit.isFailure(exit)).toBe(true)
      yield* expectFailure(atOnce(Effect.sandbox(feed.append("a"))), { _tag: "Die" })
      expect(feed.length).toBe(0)
      yield* feed.close
    })
  )

  onEachStorage("may read the feed meanwhile", () =>
    Effect.gen(function* () {
      const ready = yield* Deferred.make<Feed.Feed<string, unknown>>()
      const found: Array<string> = []
      const feed = yield* openText({
        onwrite: (index) =>
          index === 0
            ? Effect.void
            : Effect.flatMap(Deferred.await(ready), (feed) =>
                Effect.map(feed.get(index - 1), (block) => void found.push(block))
              )
      })
      yield* Deferred.succeed(ready, feed)
      for (const block of ["a", "b", "c"]) yield* atOnce(feed.append(block))
      expect(found).toEqual(["a", "b"])
    })
  )

  onEachStorage("may give up after a time of its own", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const feed = yield* openText({ onwrite: () => Effect.timeout(Deferred.await(gate), "1 minute") })
      const append = yield* startWaiting(feed.append("a"))
      yield* TestClock.adjust("1 minute")
      yield* expectFailure(ended(append), { _tag: "WriteRefused", index: 0 }).pipe(
        // Else a hook that cannot give up keeps the feed from being closed.
        Effect.ensuring(Deferred.succeed(gate, undefined))
      )
      expect(feed.length).toBe(0)
    })
  )

  onEachStorage(
    "that waits does not hold up closing: the append ends with FeedClosed, the next opening is as before",
    () =>
      Effect.gen(function* () {
        const feed = yield* openText({ onwrite: (index) => (index === 0 ? Effect.void : Effect.never) })
        yield* feed.append("a")
        const appends = yield* startWaiting(
          Effect.forEach(["b", "c"], (text) => failure(feed.append(text)), { concurrency: "unbounded" })
        )
        const late = yield* startWaiting(failure(feed.append("d")))
        yield* atOnce(feed.close)
        expect([...(yield* ended(appends)), yield* ended(late)]).toMatchObject(
          ["b", "c", "d"].map(() => ({ _tag: "FeedClosed" }))
        )
        expect((yield* openText()).length).toBe(1)
      })
  )

  onEachStorage("may close the feed", () =>
    Effect.gen(function* () {
      const ready = yield* Deferred.make<Feed.Feed<string, unknown>>()
      const feed = yield* openText({
        onwrite: () => Effect.flatMap(Deferred.await(ready), (feed) => feed.close)
      })
      yield* Deferred.succeed(ready, feed)
      yield* expectFailure(atOnce(feed.append("a")), { _tag: "FeedClosed" })
      expect((yield* openText()).length).toBe(0)
    })
  )

  onEachStorage("that waits holds up writes, not reads", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const feed = yield* openText({ onwrite: (index) => (index === 0 ? Effect.void : Deferred.await(gate)) })
      yield* feed.append("a")
      const append = yield* startWaiting(feed.append("b"))
      expect(yield* atOnce(feed.get(0))).toBe("a")
      expect(feed.length).toBe(1)
      const clearing = yield* startWaiting(feed.clear(0))
      yield* expectWaiting(append)
      yield* Deferred.succeed(gate, undefined)
      expect(yield* ended(append)).toBe(1)
      yield* ended(clearing)
      expect(yield* feed.has(0)).toBe(false)
    })
  )

  onEachStorage("runs with the references of the fiber that opened the feed", () =>
    Effect.gen(function* () {
      const reference = yield* FiberRef.make("outside")
      const seen = yield* Ref.make<Array<string>>([])
      const onwrite = () =>
        Effect.flatMap(FiberRef.get(reference), (value) => Ref.update(seen, (all) => [...all, value]))
      const feed = yield* Effect.locally(openText({ onwrite }), reference, "opener")
      yield* Effect.locally(feed.append("a"), reference, "appender")
      expect(yield* Ref.get(seen)).toEqual(["opener"])
    })
  )
})

describe("onwrite of a reader", () => {
  onEachStorage("that waits does not hold up closing", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(3))
      const feed = yield* Feed.open({ key: from.key, onwrite: () => Effect.never })
      const putting = yield* startWaiting(failure(transfer(from, feed, 1)))
      yield* atOnce(feed.close)
      expect(yield* ended(putting)).toMatchObject({ _tag: "FeedClosed" })
    })
  )

  onEachStorage("is asked after the proof was checked, before anything is stored", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(9))
      const { seen, onwrite } = yield* observing
      const feed = yield* Feed.open({ key: from.key, sparse: true, onwrite })
      const empty = yield* stored()
      const claim = { index: 5, proof: yield* from.proof(5), block: yield* from.get(5) }
      yield* expectFailure(feed.put({ ...claim, block: bytes("forged") }), { _tag: "InvalidSignature" })
      yield* expectFailure(feed.put({ ...claim, proof: { nodes: [] } }), { _tag: "InvalidProof" })
      expect(seen).toEqual([])
      yield* feed.put(claim)
      expect(seen).toEqual([{ index: 5, block: text(claim.block), files: empty }])
    })
  )

  onEachStorage("is not asked about a leaf without its block", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(9))
      const { seen, onwrite } = yield* observing
      const feed = yield* Feed.open({ key: from.key, sparse: true, onwrite })
      yield* feed.put({ index: 5, proof: yield* from.proof(5, { hash: true }) })
      expect([feed.length, seen]).toEqual([9, []])
    })
  )

  onEachStorage("by failing refuses the block: nothing is stored or announced, and it can come again", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(9))
      let refusing = true
      const feed = yield* Feed.open({
        key: from.key,
        sparse: true,
        onwrite: () => (refusing ? Effect.fail("later") : Effect.void)
      })
      const waiting = yield* startWaiting(feed.get(5))
      const before = yield* stored()
      yield* expectFailure(transfer(from, feed, 5), { _tag: "WriteRefused", index: 5, cause: "later" })
      expect([feed.length, yield* feed.has(5)]).toEqual([0, false])
      expect(yield* stored()).toEqual(before)
      yield* expectWaiting(waiting)
      refusing = false
      yield* transfer(from, feed, 5)
      expect(yield* ended(waiting)).toEqual(yield* from.get(5))
    })
  )

  onEachStorage("that is interrupted stores nothing and frees the feed", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(9))
      let waits = true
      const feed = yield* Feed.open({
        key: from.key,
        sparse: true,
        onwrite: () => Effect.suspend(() => (waits ? Effect.never : Effect.void))
      })
      const before = yield* stored()
      const putting = yield* startWaiting(transfer(from, feed, 2))
      yield* atOnce(Fiber.interrupt(putting))
      expect(yield* stored()).toEqual(before)
      waits = false
      yield* atOnce(transfer(from, feed, 2))
      expect(yield* feed.get(2)).toEqual(yield* from.get(2))
    })
  )
})
