/** A large batch is hashed in steps, between which the event loop has its turn: counted, not timed (see `WorkClock`). */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Crypto, Feed } from "../../src/index.js"
import { WorkClock } from "../replication/WorkClock.js"
import { inMemory } from "./harness.js"

/** Milliseconds of the clock's: what is done between two turns, and a step; one of an audit is a read of 512 KB. */
const MOST = 12
const LONGEST_AUDIT = 20

describe("a batch that takes half a second to hash", () => {
  inMemory("is appended whole, with turns of the event loop in between", () =>
    Effect.gen(function* () {
      const clock = new WorkClock()
      const crypto = clock.crypto(yield* Crypto)
      yield* Effect.gen(function* () {
        const feed = yield* Feed.open().pipe(Effect.provideService(Crypto, crypto))
        const blocks = Array.from({ length: 20_000 }, (_, i) => new Uint8Array(500).fill(i))
        const before = clock.now
        const first = yield* Effect.fork(feed.appendBatch(blocks))
        const second = yield* Effect.fork(feed.append(new Uint8Array([1, 2, 3])))
        expect(yield* Fiber.join(first)).toBe(0)
        expect(yield* Fiber.join(second)).toBe(20_000)
        expect(clock.now - before).toBeGreaterThan(400)
        expect(clock.longest).toBeLessThan(MOST)
        expect(yield* feed.get(19_999)).toEqual(blocks[19_999])
        expect(yield* feed.audit()).toEqual({ valid: 20_001, invalid: 0 })
        expect(clock.longest).toBeLessThan(LONGEST_AUDIT)
      }).pipe(Effect.withClock(clock))
    })
  )

  inMemory("does not hold up one who closes the feed for ever, nor is it lost", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open({ path: "closed" })
      const batch = yield* Effect.fork(
        feed.appendBatch(Array.from({ length: 20_000 }, () => new Uint8Array(64)))
      )
      yield* Effect.yieldNow()
      yield* feed.close
      const appended = yield* Fiber.await(batch)
      const again = yield* Feed.open({ path: "closed" })
      expect(again.length).toBe(appended._tag === "Success" ? 20_000 : 0)
    })
  )
})
