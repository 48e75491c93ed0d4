/** A key that does not sign, as one in a device or behind a callback can: who appended is told, nothing is stored, the feed goes on. */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { Crypto, type CryptoService, Feed, NotWritable } from "../../src/index.js"
import { cutFile, expectFailure, onEachStorage, openText, signedIndexes, stored } from "./harness.js"

type Sign = CryptoService["sign"]

/** Opens what `open` does with a crypto whose `sign` can be set. */
const withSigning = <A, E, R>(open: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const crypto = yield* Crypto
    const signing: { sign: Sign } = { sign: crypto.sign }
    const feed = yield* Effect.provideService(open, Crypto, {
      ...crypto,
      sign: (message, secretKey) => signing.sign(message, secretKey)
    })
    return { feed, works: crypto.sign, signing }
  })

const unplugged = new Error("the device is not plugged in")
const fails: Sign = () => Effect.fail(new NotWritable({ reason: "signing-failed", cause: unplugged }))
const failed = { _tag: "NotWritable", reason: "signing-failed", cause: unplugged }

describe("an append whose signature cannot be made", () => {
  onEachStorage("fails with why, and stores nothing; the feed goes on when the key signs again", () =>
    Effect.gen(function* () {
      const { feed, signing, works } = yield* withSigning(openText())
      yield* feed.append("a")
      const before = yield* stored()
      signing.sign = fails
      const error = yield* expectFailure(feed.append("lost"), failed)
      expect(error.message).toBe("the signature could not be made: the device is not plugged in")
      yield* expectFailure(feed.appendBatch(["lost", "too"]), failed)
      expect([yield* stored(), feed.length, feed.byteLength, feed.writable]).toEqual([before, 1, 1, true])
      signing.sign = works
      expect(yield* feed.append("b")).toBe(1)
      expect(yield* feed.getBatch(0, 2)).toEqual(["a", "b"])
      expect(signedIndexes((yield* stored()).signatures)).toEqual([0, 1])
      yield* feed.close
      const again = yield* openText()
      expect([yield* again.getBatch(0, 2), again.length]).toEqual([["a", "b"], 2])
    })
  )

  onEachStorage("fails all that would have shared it, and none after them", () =>
    Effect.gen(function* () {
      const { feed, signing, works } = yield* withSigning(openText())
      let signatures = 0
      signing.sign = (message, secretKey) =>
        signatures++ === 0 ? fails(message, secretKey) : works(message, secretKey)
      const appends = ["a", "b", "c"].map((text) => Effect.flip(feed.append(text)))
      const errors = yield* Effect.all(appends, { concurrency: "unbounded" })
      expect(errors).toMatchObject([failed, failed, failed])
      expect([yield* feed.append("d"), signatures]).toEqual([0, 2])
    })
  )

  for (const [what, signature] of [
    ["too short", new Uint8Array(63)],
    ["too long", new Uint8Array(65)],
    ["no bytes at all", "signed" as unknown as Uint8Array]
  ] as const) {
    onEachStorage(`fails the same when what was made is ${what}`, () =>
      Effect.gen(function* () {
        const { feed, signing } = yield* withSigning(openText())
        signing.sign = () => Effect.succeed(signature)
        yield* expectFailure(feed.append("lost"), { _tag: "NotWritable", reason: "signing-failed" })
        expect([feed.length, (yield* stored()).data]).toEqual([0, ""])
      })
    )
  }

  onEachStorage("fails when the key dies, too", () =>
    Effect.gen(function* () {
      const { feed, signing, works } = yield* withSigning(openText())
      signing.sign = () => Effect.die(unplugged)
      const exit = yield* Effect.exit(feed.append("lost"))
      expect(exit).toMatchObject({ _tag: "Failure", cause: { _tag: "Die", defect: unplugged } })
      signing.sign = works
      expect(yield* feed.append("a")).toBe(0)
    })
  )
})

describe("a feed whose last signature a crash lost", () => {
  onEachStorage("is refused while the key does not sign it again, and as it was once it does", () =>
    Effect.gen(function* () {
      const written = yield* openText()
      for (const text of ["a", "b", "c"]) yield* written.append(text)
      yield* written.close
      const { signatures } = yield* stored()
      yield* cutFile("signatures", signatures.length / 2 - 64)
      const opening = Effect.gen(function* () {
        const crypto = yield* Crypto
        return yield* Effect.provideService(Feed.open(), Crypto, { ...crypto, sign: fails })
      })
      const error = yield* expectFailure(opening, { _tag: "OpenRefused", reason: "signing-failed" })
      expect(error.message).toContain("the device is not plugged in")
      const feed = yield* openText()
      expect([feed.length, yield* feed.get(2)]).toEqual([3, "c"])
      expect((yield* stored()).signatures).toBe(signatures)
    })
  )
})
