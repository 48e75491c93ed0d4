/** The public test kit, on feeds as they are, and on storages that break their promises: it must tell the one from the other. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { Crypto, type FeedFiles, Feed, Storage, type StorageService } from "../../src/index.js"
import { Arbitraries, History, StorageFaulty } from "../../src/testing.js"
import { crypto } from "../recovery/images.js"

const opened = (machine: StorageFaulty.StorageFaulty) =>
  Effect.scoped(Feed.open({ durability: "power" })).pipe(
    Effect.provideService(Storage, machine.storage),
    Effect.asVoid
  )

const played = (
  machine: StorageFaulty.StorageFaulty,
  actions: ReadonlyArray<History.Action>,
  seen = machine
) =>
  Effect.zipRight(opened(seen), History.play(actions, { machine: seen })).pipe(
    Effect.provideService(Crypto, crypto)
  )

const wrapped = (
  machine: StorageFaulty.StorageFaulty,
  wrap: (files: FeedFiles) => FeedFiles
): StorageFaulty.StorageFaulty => {
  const storage: StorageService = { open: (path) => Effect.map(machine.storage.open(path), wrap) }
  return { ...machine, storage }
}

const histories = fc.tuple(Arbitraries.history({ crashes: ["process", "power"] }), fc.nat(2 ** 32 - 1))

describe("a history", () => {
  it.effect("is played to its end, whatever crashes", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(histories, async ([actions, seed]) => {
          const known = await Effect.runPromise(
            Effect.flatMap(StorageFaulty.make({ seed, garbage: 0.3 }), (machine) => played(machine, actions))
          )
          const appended = actions.flatMap((action) => (action._tag === "Append" ? action.blocks : []))
          expect(known.blocks.length).toBeLessThanOrEqual(appended.length)
        }),
        { numRuns: 40 }
      )
    )
  )

  it.effect("fails on a disk that says it synced and did not", () =>
    Effect.gen(function* () {
      const actions: ReadonlyArray<History.Action> = [
        { _tag: "Append", blocks: [Uint8Array.of(1), Uint8Array.of(2)] },
        { _tag: "Crash", kind: "power" }
      ]
      const broken = new Set<string>()
      for (let seed = 0; seed < 20; seed++) {
        const machine = yield* StorageFaulty.make({ seed })
        yield* Effect.provideService(opened(machine), Crypto, crypto)
        const lying = wrapped(machine, (files) => ({ ...files, sync: () => Effect.void }))
        const exit = yield* Effect.either(
          Effect.provideService(History.play(actions, { machine: lying }), Crypto, crypto)
        )
        if (exit._tag === "Left") broken.add(exit.left.invariant)
      }
      expect([...broken]).toContain("lost")
    })
  )

  it.effect("fails on a disk that changes what it was given", () =>
    Effect.gen(function* () {
      const machine = yield* StorageFaulty.make({ seed: 1 })
      const changing = wrapped(machine, (files) => ({
        ...files,
        write: (writes) =>
          files.write(
            writes.map((write) =>
              write.file === "data"
                ? { ...write, parts: write.parts.map((part) => part.map((b) => b ^ 1)) }
                : write
            )
          )
      }))
      const exit = yield* Effect.flip(
        played(machine, [{ _tag: "Append", blocks: [Uint8Array.of(7, 7)] }], changing)
      )
      expect(exit).toMatchObject({ _tag: "InvariantBroken", invariant: "wrong" })
    })
  )
})
