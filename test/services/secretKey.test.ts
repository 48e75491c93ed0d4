/** secretKey: what the owner has, for who asks for it; never by accident. */
import { describe, expect } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { inspect } from "node:util"
import { Feed, toHex } from "../../src/index.js"
import { keyPair, onEachStorage, stored } from "./harness.js"

describe("secretKey", () => {
  onEachStorage("of an owner is the one that is stored, and that a feed can be opened with", () =>
    Effect.gen(function* () {
      const made = yield* Feed.open()
      const secretKey = Redacted.value(made.secretKey!)
      expect(toHex(secretKey)).toBe((yield* stored()).secret_key)
      yield* made.close
      const again = yield* Feed.open()
      expect(again.secretKey).toEqual(made.secretKey)
      const other = yield* Feed.open({ path: "other", secretKey })
      expect([other.key, other.writable]).toEqual([made.key, true])
    })
  )

  onEachStorage("is the one that was given, where none is stored", () =>
    Effect.gen(function* () {
      const keys = yield* keyPair(1)
      const feed = yield* Feed.open({ secretKey: keys.secretKey, storeSecretKey: false })
      expect(Redacted.value(feed.secretKey!)).toEqual(keys.secretKey)
    })
  )

  onEachStorage("is a copy: what is done to it does nothing to the feed", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open({ secretKey: (yield* keyPair(1)).secretKey })
      Redacted.value(feed.secretKey!).fill(0)
      yield* feed.append(new Uint8Array(1))
      const { index, signature } = yield* feed.signature()
      yield* feed.verify(index, signature)
    })
  )

  onEachStorage("does not show when it, or the feed, is printed", () =>
    Effect.gen(function* () {
      const secretKey = new Uint8Array(64).fill(77)
      secretKey.set((yield* keyPair(77)).publicKey, 32)
      const feed = yield* Feed.open({ secretKey })
      expect(inspect(feed, { depth: 10, maxArrayLength: 100 })).not.toMatch(/77, +77/)
      expect(inspect(Redacted.value(feed.secretKey!))).toMatch(/77, +77/)
      expect(inspect(feed.secretKey)).toContain("redacted")
      expect(JSON.stringify(feed.secretKey)).toBe('"<redacted>"')
    })
  )

  onEachStorage("is not there for a reader, nor read for who only looks", () =>
    Effect.gen(function* () {
      const owner = yield* Feed.open({ path: "own" })
      const reader = yield* Feed.open({ path: "read", key: owner.key })
      expect(reader.secretKey).toBe(undefined)
      const looking = yield* Feed.open({ path: "own", readOnly: true })
      expect(looking.secretKey).toBe(undefined)
    })
  )
})
