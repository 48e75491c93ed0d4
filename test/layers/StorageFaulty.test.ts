import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as StorageFaulty from "../../src/layers/StorageFaulty.js"
import { Feed } from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import { Storage } from "../../src/services/Storage.js"
import { bytes, failure } from "../services/harness.js"
import { storageSuite } from "../suites/storage.js"

storageSuite(
  "StorageFaulty",
  Effect.map(StorageFaulty.make({ seed: 1 }), ({ storage }) => Layer.succeed(Storage, storage))
)

describe("short reads", () => {
  const open = (machine: StorageFaulty.StorageFaulty) =>
    Feed.open({ durability: "power" }).pipe(
      Effect.provideService(Storage, machine.storage),
      Effect.provide(CryptoNode.layer)
    )

  it.scoped("give a beginning of what there is, and are counted", () =>
    Effect.gen(function* () {
      const machine = yield* StorageFaulty.make({ seed: 1 })
      const files = yield* machine.storage.open("")
      yield* files.write([{ file: "data", offset: 0, parts: [bytes("what is stored")] }])
      yield* machine.fail({ shortReads: 1 })
      const lengths = new Set<number>()
      for (let i = 0; i < 100; i++) {
        const [read] = yield* files.read([{ file: "data", offset: 5, length: 9 }])
        expect(bytes("is stored").subarray(0, read!.length)).toEqual(read)
        lengths.add(read!.length)
      }
      expect(lengths).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8]))
      // Where there is nothing to give, nothing is missing.
      expect(yield* files.read([{ file: "data", offset: 14, length: 9 }])).toEqual([new Uint8Array(0)])
      expect(machine.counts).toMatchObject({ shortReads: 100, failures: 0 })
    })
  )

  it.scoped("that do not end are an error with a type, and nothing is taken for lost or signed again", () =>
    Effect.gen(function* () {
      const machine = yield* StorageFaulty.make({ seed: 2 })
      const blocks = Array.from({ length: 20 }, (_, i) => bytes(`block ${i}`))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const feed = yield* open(machine)
          yield* feed.appendBatch(blocks)
          yield* machine.fail({ shortReads: 1 })
          expect(yield* failure(feed.get(7, { wait: false }))).toMatchObject({
            _tag: "StorageError",
            reason: "io",
            operation: "read"
          })
        })
      )
      const before = yield* machine.contents()
      expect(yield* failure(Effect.scoped(open(machine)))).toMatchObject({
        _tag: "StorageError",
        reason: "io"
      })
      expect(yield* machine.contents()).toEqual(before)
      yield* machine.fail()
      const feed = yield* open(machine)
      expect(yield* feed.getBatch(0, 20)).toEqual(blocks)
      expect(yield* feed.append(bytes("more"))).toBe(20)
    })
  )

  it.scoped("that come now and then are repeated", () =>
    Effect.gen(function* () {
      const machine = yield* StorageFaulty.make({ seed: 3 })
      const blocks = Array.from({ length: 20 }, (_, i) => bytes(`block ${i}`))
      yield* Effect.scoped(Effect.flatMap(open(machine), (feed) => feed.appendBatch(blocks)))
      let opened = 0
      for (let i = 0; i < 40; i++) {
        yield* machine.fail({ shortReads: 0.1 })
        const { shortReads } = machine.counts
        const exit = yield* Effect.exit(
          Effect.scoped(Effect.flatMap(open(machine), (feed) => feed.getBatch(0, 20)))
        )
        if (exit._tag === "Failure" || machine.counts.shortReads === shortReads) continue
        expect(exit.value).toEqual(blocks)
        opened++
      }
      expect(opened).toBeGreaterThan(3)
    })
  )
})
