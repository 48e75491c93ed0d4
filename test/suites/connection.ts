/** What every connection must do, whatever carries it: each sentence of the contract in `src/services/Network.ts`. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, ExecutionStrategy, Exit, Fiber, Scope } from "effect"
import fc from "fast-check"
import { createHash } from "node:crypto"
import { concat } from "../../src/domain/Bytes.js"
import { NetworkError } from "../../src/domain/Errors.js"
import type { Connection, NetworkService } from "../../src/services/Network.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

/** One end, and what closes its scope. */
export interface End {
  readonly connection: Connection
  readonly close: Effect.Effect<void>
}

export type Ends = readonly [left: End, right: End]

export interface Traits {
  /** Fresh ends of one connection. */
  readonly connected: Effect.Effect<Ends, NetworkError, Scope.Scope>
  /** Whether an end still hears the other after it has ended. */
  readonly halfCloses: boolean
  /** Bytes that can be on the way while nobody pulls, all buffers together; for an end that is not held up, Infinity. */
  readonly buffers: readonly [leftToRight: number, rightToLeft: number]
}

export const MIB = 1024 * 1024

/** One turn of the event loop. */
export const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Turns until `holds` answers true: a failure is a test that does not end. */
export const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (holds() ? Effect.void : Effect.zipRight(turn, until(holds))))

/** Turns until nothing moves any more: what makes progress does so at some turn of these. */
export const settled = (moved: () => number): Effect.Effect<void> =>
  Effect.gen(function* () {
    let before = -1
    while (before !== moved()) {
      before = moved()
      for (let i = 0; i < 50; i++) yield* turn
    }
  })

export const sizeOf = (arrays: ReadonlyArray<Uint8Array>): number =>
  arrays.reduce((sum, { length }) => sum + length, 0)

/** The next `size` bytes, which come from no more pulls than needed. */
export const pullBytes = (connection: Connection, size: number) =>
  Effect.gen(function* () {
    const all: Array<Uint8Array> = []
    let left = size
    while (left > 0) {
      const arrays = yield* connection.pull
      expect(arrays.length).toBeGreaterThan(0)
      for (const array of arrays) {
        expect(array.length).toBeGreaterThan(0)
        all.push(array)
        left -= array.length
      }
    }
    expect(left).toBe(0)
    return concat(all)
  })

/** All that comes until the end. */
export const pullAll = (connection: Connection) =>
  Effect.gen(function* () {
    const all: Array<Uint8Array> = []
    for (;;) {
      const arrays = yield* connection.pull
      if (arrays.length === 0) return concat(all)
      all.push(...arrays)
    }
  })

export const expectBytes = (actual: Uint8Array, expected: Uint8Array): void => {
  expect(actual.length).toBe(expected.length)
  expect(Buffer.compare(actual, expected)).toBe(0)
}

export const expectFailure = <A, R>(
  effect: Effect.Effect<A, NetworkError, R>,
  ...reasons: ReadonlyArray<NetworkError["reason"]>
): Effect.Effect<NetworkError, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (!Exit.isFailure(exit) || exit.cause._tag !== "Fail") {
      return expect.unreachable(`expected a failure, not ${JSON.stringify(exit)}`)
    }
    expect(exit.cause.error).toBeInstanceOf(NetworkError)
    expect(reasons).toContain(exit.cause.error.reason)
    return exit.cause.error
  })

/** Pushes until it fails: what nobody will read can still be taken for a while. */
const pushUntilFailure = (connection: Connection) =>
  connection.push([Uint8Array.of(1)]).pipe(Effect.zipRight(turn), Effect.forever)

/** The two ends of a connection through a network, each in a scope of its own. */
export const through = (network: NetworkService, host?: string): Traits["connected"] =>
  throughBoth(network, network, host)

export const throughBoth = (
  client: NetworkService,
  server: NetworkService,
  host: string | undefined
): Traits["connected"] =>
  Effect.gen(function* () {
    const accepted: Array<End> = []
    const { address } = yield* server.listen({ host, port: 0 }, (connection) =>
      Effect.async<void>((resume) => {
        accepted.push({ connection, close: Effect.sync(() => resume(Effect.void)) })
      })
    )
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const connection = yield* Scope.extend(client.connect({ host, port: address.port }), scope)
    yield* until(() => accepted.length > 0)
    return [{ connection, close: Scope.close(scope, Exit.void) }, accepted[0]!]
  })

const sizes = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 100 }) },
  { weight: 2, arbitrary: fc.nat({ max: 70_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 65_535, 65_536, 65_537, 300_000, 2 * MIB + 1) }
)

/** Pushes, each of some arrays. */
const pushes = fc.array(fc.array(sizes, { maxLength: 5 }), { maxLength: 6 })

const arraysOf = (lists: ReadonlyArray<ReadonlyArray<number>>) =>
  lists.map((list, i) => list.map((size, j) => pseudoRandomBytes(size, 100 * i + j + 1)))

export const connectionSuite = (name: string, { buffers, connected, halfCloses }: Traits): void => {
  const test = (
    about: string,
    run: (left: End, right: End) => Effect.Effect<void, NetworkError, Scope.Scope>
  ) => it.scopedLive(about, () => Effect.flatMap(connected, ([left, right]) => run(left, right)))

  /** For each end as the one that does it. */
  const testBoth = (
    about: string,
    run: (one: End, other: End, buffers: number) => Effect.Effect<void, NetworkError, Scope.Scope>
  ) => {
    test(`${about} (left)`, (left, right) => run(left, right, buffers[0]))
    test(`${about} (right)`, (left, right) => run(right, left, buffers[1]))
  }

  /** A pusher of more than there is room for, once it cannot go on. */
  const heldUp = (connection: Connection, room: number) =>
    Effect.gen(function* () {
      const block = pseudoRandomBytes(65_536, 3)
      const blocks = Math.ceil((2 * room) / block.length) + 16
      let pushed = 0
      const pusher = yield* Effect.fork(
        Effect.gen(function* () {
          for (let i = 0; i < blocks; i++) {
            yield* connection.push([block])
            pushed++
          }
        })
      )
      yield* settled(() => pushed)
      return { pusher, block, blocks, pushed: () => pushed }
    })

  describe(`${name}: bytes`, () => {
    it.scopedLive("come in order, as they were pushed, both ways at once, whatever the borders", () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(pushes, pushes, (leftSizes, rightSizes) => {
            const lists = [arraysOf(leftSizes), arraysOf(rightSizes)] as const
            const sent = lists.map((list) => concat(list.flat()))
            const check = Effect.gen(function* () {
              const ends = yield* connected
              const [left, right] = ends.map(({ connection }) => connection) as [Connection, Connection]
              const pulled = yield* Effect.all(
                [
                  pullBytes(right, sent[0]!.length),
                  pullBytes(left, sent[1]!.length),
                  Effect.forEach(lists[0], left.push, { discard: true }),
                  Effect.forEach(lists[1], right.push, { discard: true })
                ],
                { concurrency: "unbounded" }
              )
              expectBytes(pulled[0], sent[0]!)
              expectBytes(pulled[1], sent[1]!)
              yield* Effect.all([left.end, pullAll(right)], { concurrency: 2 })
            })
            return Effect.runPromise(Effect.scoped(check))
          }),
          { numRuns: 25 }
        )
      )
    )

    testBoth("many at once, and empty ones, which are nothing", (one, other) =>
      Effect.gen(function* () {
        const arrays = Array.from({ length: 3000 }, (_, i) => pseudoRandomBytes(i % 100, i))
        yield* one.connection.push([])
        yield* one.connection.push([new Uint8Array(0)])
        yield* one.connection.push(arrays)
        expectBytes(yield* pullBytes(other.connection, sizeOf(arrays)), concat(arrays))
      })
    )

    testBoth("64 MiB, with the same hash", (one, other) =>
      Effect.gen(function* () {
        const [sent, pulled] = [createHash("sha256"), createHash("sha256")]
        const blocks = Array.from({ length: 8 }, (_, i) => pseudoRandomBytes(MIB / 16 + i - 4, i))
        const pushing = Effect.gen(function* () {
          for (let left = 64 * MIB, i = 0; left > 0; i++) {
            const block = blocks[i % blocks.length]!.subarray(0, left)
            sent.update(block)
            left -= block.length
            yield* one.connection.push([block])
          }
          yield* one.connection.end
        })
        const pulling = Effect.gen(function* () {
          for (;;) {
            const arrays = yield* other.connection.pull
            if (arrays.length === 0) return
            for (const array of arrays) pulled.update(array)
          }
        })
        yield* Effect.all([pushing, pulling], { concurrency: 2 })
        expect(pulled.digest("hex")).toBe(sent.digest("hex"))
      })
    )
  })

  describe(`${name}: back-pressure`, () => {
    const testHeldUp = (
      about: string,
      run: (one: End, other: End, room: number) => Effect.Effect<void, NetworkError, Scope.Scope>
    ) => testBoth(about, (one, other, room) => (room === Infinity ? Effect.void : run(one, other, room)))

    testHeldUp(
      "who pushes and is not pulled from stops after bounded bytes, and goes on",
      (one, other, room) =>
        Effect.gen(function* () {
          const { block, blocks, pushed, pusher } = yield* heldUp(one.connection, room)
          expect(pusher.unsafePoll()).toBeNull()
          expect(pushed() * block.length).toBeLessThanOrEqual(room)
          const pulled = yield* pullBytes(other.connection, blocks * block.length)
          yield* Fiber.join(pusher)
          for (let i = 0; i < blocks; i++) {
            expectBytes(pulled.subarray(i * block.length, (i + 1) * block.length), block)
          }
        })
    )

    testHeldUp("an interrupted push has been sent, as has one before `end`", (one, other, room) =>
      Effect.gen(function* () {
        const { block, pushed, pusher } = yield* heldUp(one.connection, room)
        yield* Fiber.interrupt(pusher)
        const ending = yield* Effect.fork(one.connection.end)
        yield* turn
        yield* Fiber.interrupt(ending)
        // The one that was interrupted, and those before.
        const all = yield* pullAll(other.connection)
        expect(all.length).toBe((pushed() + 1) * block.length)
        yield* one.connection.end
      })
    )

    testHeldUp("who is held up hears of it when the other end closes, or its own", (one, other, room) =>
      Effect.gen(function* () {
        for (const close of [other.close, one.close]) {
          const [near] = close === other.close ? [one] : yield* connected
          const held = yield* heldUp(near.connection, close === other.close ? room : buffers[0])
          yield* close === other.close ? close : near.close
          yield* expectFailure(Fiber.join(held.pusher), "reset", "closed")
        }
      })
    )
  })

  describe(`${name}: end`, () => {
    testBoth("comes after what was pushed, stays, and can be said again", (one, other) =>
      Effect.gen(function* () {
        yield* one.connection.push([Uint8Array.of(1, 2)])
        yield* one.connection.end
        yield* one.connection.end
        expect([...(yield* pullBytes(other.connection, 2))]).toEqual([1, 2])
        for (let i = 0; i < 3; i++) expect(yield* other.connection.pull).toEqual([])
        yield* one.connection.end
        yield* one.close
        yield* turn
        expect(yield* other.connection.pull).toEqual([])
      })
    )

    testBoth("wakes who waits", (one, other) =>
      Effect.gen(function* () {
        const pulling = yield* Effect.fork(other.connection.pull)
        yield* turn
        yield* one.connection.end
        expect(yield* Fiber.join(pulling)).toEqual([])
      })
    )

    testBoth("nothing can be pushed after it", (one) =>
      Effect.gen(function* () {
        yield* one.connection.end
        const error = yield* expectFailure(one.connection.push([Uint8Array.of(1)]), "closed")
        expect(error.operation).toBe("push")
        expect(error.address).toBe(one.connection.remote)
      })
    )

    testBoth("what was pushed before it arrives though the scope closes at once", (one, other) =>
      Effect.gen(function* () {
        const bytes = pseudoRandomBytes(3 * MIB, 1)
        const pulling = yield* Effect.fork(pullAll(other.connection))
        yield* one.connection.push([bytes])
        yield* one.connection.end
        yield* one.close
        expectBytes(yield* Fiber.join(pulling), bytes)
      })
    )

    testBoth("can be said when the other has ended and gone", (one, other) =>
      Effect.gen(function* () {
        yield* one.connection.end
        yield* one.close
        expect(yield* other.connection.pull).toEqual([])
        yield* turn
        yield* other.connection.end
        expect(yield* other.connection.pull).toEqual([])
      })
    )

    if (!halfCloses) return
    testBoth("is of one direction: the other end still answers", (one, other) =>
      Effect.gen(function* () {
        yield* one.connection.end
        expect(yield* other.connection.pull).toEqual([])
        const answer = pseudoRandomBytes(3 * MIB, 1)
        const answering = yield* Effect.fork(
          Effect.zipRight(other.connection.push([answer]), other.connection.end)
        )
        expectBytes(yield* pullAll(one.connection), answer)
        yield* Fiber.join(answering)
      })
    )
  })

  describe(`${name}: close`, () => {
    testBoth("its own end fails with `closed`, whatever had arrived", (one, other) =>
      Effect.gen(function* () {
        yield* other.connection.push([Uint8Array.of(1)])
        const waiting = yield* Effect.fork(Effect.forever(one.connection.pull))
        yield* turn
        yield* one.close
        yield* expectFailure(Fiber.join(waiting), "closed")
        yield* expectFailure(one.connection.pull, "closed")
        yield* expectFailure(one.connection.push([Uint8Array.of(1)]), "closed")
        yield* expectFailure(one.connection.end, "closed")
      })
    )

    testBoth("the other can pull what came before; then it ends or breaks, and stays so", (one, other) =>
      Effect.gen(function* () {
        yield* one.connection.push([Uint8Array.of(1, 2, 3)])
        expect([...(yield* pullBytes(other.connection, 3))]).toEqual([1, 2, 3])
        yield* one.close
        const error = yield* expectFailure(pushUntilFailure(other.connection), "reset", "closed")
        expect(error.operation).toBe("push")
        const last = yield* Effect.either(other.connection.pull)
        if (last._tag === "Left") expect(last.left).toMatchObject({ operation: "pull", reason: "reset" })
        else expect(last.right).toEqual([])
        expect(yield* Effect.either(other.connection.pull)).toEqual(last)
        yield* expectFailure(other.connection.push([Uint8Array.of(1)]), "reset", "closed")
      })
    )
  })

  describe(`${name}: interruption`, () => {
    testBoth("of a pull loses nothing, whenever it comes", (one, other) =>
      Effect.gen(function* () {
        const got: Array<number> = []
        // Not `map`, which would take the arrays a step after they were handed out.
        const keep = Effect.flatMap(other.connection.pull, (arrays) => {
          for (const array of arrays) got.push(...array)
          return Effect.void
        })
        for (let i = 0; i < 200; i++) {
          const pulling = yield* Effect.fork(keep)
          if (i % 3 === 0) yield* turn
          yield* one.connection.push([Uint8Array.of(i)])
          for (let j = 0; j < i % 7; j++) yield* i % 2 === 0 ? Effect.yieldNow() : turn
          yield* Fiber.interrupt(pulling)
        }
        while (got.length < 200) yield* keep
        expect(got).toEqual(Array.from({ length: 200 }, (_, i) => i))
      })
    )

    testBoth("of a pull, many times, and the next one hears", (one, other) =>
      Effect.gen(function* () {
        for (let i = 0; i < 100; i++) {
          const pulling = yield* Effect.fork(other.connection.pull)
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(pulling)
        }
        const pulling = yield* Effect.fork(other.connection.pull)
        yield* Effect.yieldNow()
        yield* one.connection.push([Uint8Array.of(7)])
        expect((yield* Fiber.join(pulling)).map((array) => [...array])).toEqual([[7]])
      })
    )
  })
}
