import { Effect, Stream, Chunk } from "effect"
import { expect, it } from "@effect/vitest"
import * as fs from "node:fs"
import { Feed, ValueEncoding } from "../src/index.js"
import { layer } from "../src/node.js"

it.scoped("smoke", () =>
  Effect.gen(function* () {
    const dir = fs.mkdtempSync("/tmp/ehc-")
    yield* Effect.gen(function* () {
      const feed = yield* Feed.open({ encoding: ValueEncoding.utf8 })
      expect(yield* feed.append("hello")).toBe(0)
      expect(yield* feed.append("world")).toBe(1)
      yield* Effect.all(
        Array.from({ length: 100 }, (_, i) => feed.append("x" + i)),
        { concurrency: "unbounded" }
      )
      expect(yield* feed.get(0)).toBe("hello")
      expect(yield* feed.get(101)).toBe("x99")
      expect(feed.length).toBe(102)
      console.log(
        yield* feed.audit(),
        yield* feed.seek(7),
        Chunk.toReadonlyArray(yield* Stream.runCollect(feed.stream())).length
      )
      yield* feed.verify(101, (yield* feed.signature()).signature)
      yield* feed.close
      const again = yield* Feed.open({ encoding: ValueEncoding.utf8 })
      expect(yield* again.head()).toBe("x99")
      console.log(again.length, again.byteLength, again.crypto)
    }).pipe(Effect.provide(layer({ directory: dir })))
  })
)
