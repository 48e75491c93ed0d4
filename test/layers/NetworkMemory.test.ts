/** Linked pairs and the simulated net: the contract, and what a seed and a clock say. */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Scope, TestClock, TestContext } from "effect"
import fc from "fast-check"
import { concat } from "../../src/domain/Bytes.js"
import * as NetworkMemory from "../../src/layers/NetworkMemory.js"
import { PairedEnd } from "../../src/layers/networkMemory/pair.js"
import type { Connection, NetworkService } from "../../src/services/Network.js"
import { SCHEDULES, SeededScheduler } from "../services/SeededScheduler.js"
import {
  connectionSuite,
  type End,
  expectBytes,
  expectFailure,
  MIB,
  pullAll,
  pullBytes,
  through
} from "../suites/connection.js"
import { networkSuite } from "../suites/network.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

const endOf = (connection: PairedEnd): End => ({ connection, close: connection.close })

connectionSuite("pair", {
  connected: Effect.sync(() => {
    const [left, right] = PairedEnd.pair(["left", "right"], MIB)
    return [endOf(left), endOf(right)] as const
  }),
  halfCloses: true,
  buffers: [MIB, MIB]
})

const nets = [
  ["plain", { seed: 1 }],
  ["slow and split", { seed: 2, latency: { min: 0, max: "2 millis" }, bandwidth: 1000 * MIB, splitting: {} }]
] as const

for (const [name, options] of nets) {
  const fresh = Effect.map(NetworkMemory.make(options), (net) => net.host("a"))
  connectionSuite(`simulated net, ${name}`, {
    connected: Effect.flatMap(fresh, (network) => through(network)),
    halfCloses: true,
    buffers: [2 * MIB, 2 * MIB]
  })
  networkSuite(`simulated net, ${name}`, fresh, undefined)
}

describe("pair", () => {
  it.scoped("the arrays that one end pushes are those that the other pulls", () =>
    Effect.gen(function* () {
      const [left, right] = yield* NetworkMemory.pair({ names: ["a", "b"] })
      expect([left.remote, right.remote]).toEqual(["b", "a"])
      const arrays = [Uint8Array.of(1), Uint8Array.of(2)]
      yield* left.push(arrays)
      const pulled = yield* right.pull
      expect(pulled).toHaveLength(2)
      for (const [i, array] of arrays.entries()) expect(pulled[i]).toBe(array)
    })
  )

  it.effect("both are closed with the scope", () =>
    Effect.gen(function* () {
      const ends = yield* Effect.scoped(NetworkMemory.pair())
      for (const end of ends) {
        yield* expectFailure(end.pull, "closed")
        yield* expectFailure(end.push([Uint8Array.of(1)]), "closed", "reset")
      }
    })
  )

  it.scoped("two pulls at once are a mistake that is told", () =>
    Effect.gen(function* () {
      const [left, right] = yield* NetworkMemory.pair()
      const first = yield* Effect.fork(right.pull)
      yield* Effect.yieldNow()
      const second = yield* Effect.fork(right.pull)
      expect(yield* Fiber.await(first)).toMatchObject({ cause: { _tag: "Die" } })
      yield* left.push([Uint8Array.of(1)])
      expect(yield* Fiber.join(second)).toHaveLength(1)
    })
  )

  it.effect.each(SCHEDULES)("every wait is woken, under schedule %i", (seed) =>
    Effect.gen(function* () {
      const [left, right] = yield* NetworkMemory.pair({ bufferSize: 1 })
      const rounds = 300
      const answering = Effect.gen(function* () {
        for (let i = 0; i < rounds; i++) yield* right.push(yield* right.pull)
        yield* right.end
      })
      const asking = Effect.gen(function* () {
        for (let i = 0; i < rounds; i++) {
          yield* left.push([Uint8Array.of(i)])
          expect((yield* left.pull).map((array) => [...array])).toEqual([[i % 256]])
        }
        yield* left.end
      })
      yield* Effect.all([answering, asking], { concurrency: 2 })
      // One way: each push waits until the one before is pulled.
      const [from, to] = yield* NetworkMemory.pair({ bufferSize: 1 })
      const pushing = Effect.forEach(Array(rounds).fill(1), () => from.push([Uint8Array.of(1)]))
      const [, pulled] = yield* Effect.all([Effect.zipRight(pushing, from.end), pullAll(to)], {
        concurrency: 2
      })
      expect(pulled).toHaveLength(rounds)
    }).pipe(Effect.scoped, Effect.withScheduler(new SeededScheduler(seed)))
  )

  it.effect.each(SCHEDULES)("no byte is lost to interruptions, under schedule %i", (seed) =>
    Effect.gen(function* () {
      const [left, right] = yield* NetworkMemory.pair({ bufferSize: 10 })
      const sent = Array.from({ length: 300 }, (_, i) => pseudoRandomBytes(1 + (i % 13), i))
      const got: Array<Uint8Array> = []
      let hasEnded = false
      const pulls = right.pull.pipe(
        // Not `map`, which would take the arrays a step after they were handed out.
        Effect.flatMap((arrays) => {
          got.push(...arrays)
          hasEnded ||= arrays.length === 0
          return Effect.void
        }),
        Effect.repeat({ until: () => hasEnded })
      )
      const pushes = Effect.zipRight(
        Effect.forEach(sent, (array) => left.push([array]), { discard: true }),
        left.end
      )
      const pushing = yield* Effect.fork(pushes)
      while (!hasEnded) {
        const pulling = yield* Effect.fork(pulls)
        for (let i = 0; i < 5; i++) yield* Effect.yieldNow()
        yield* Fiber.interrupt(pulling)
      }
      yield* Fiber.join(pushing)
      expectBytes(concat(got), concat(sent))
    }).pipe(Effect.scoped, Effect.withScheduler(new SeededScheduler(seed)))
  )
})

/** A connection from `a` to `b`, whose ends are handed out. */
const between = (a: NetworkService, b: NetworkService, host = "b") =>
  Effect.gen(function* () {
    let accepted: Connection | undefined
    const { address } = yield* b.listen({ port: 0 }, (connection) => {
      accepted = connection
      return Effect.never
    })
    const connecting = yield* Effect.forkScoped(a.connect({ host, port: address.port }))
    yield* Effect.yieldNow()
    while (connecting.unsafePoll() === null) yield* TestClock.adjust("10 millis")
    return [yield* Fiber.join(connecting), accepted!] as const
  })

const connectedIn = (options: NetworkMemory.SimulationOptions) =>
  Effect.gen(function* () {
    const net = yield* NetworkMemory.make(options)
    const [near, far] = yield* between(net.host("a"), net.host("b"))
    return { net, near, far }
  })

/** What arrives and when, until the end or a break. */
const trace = (connection: Connection) =>
  Effect.gen(function* () {
    const events: Array<string> = []
    const bytes: Array<Uint8Array> = []
    for (;;) {
      const pulled = yield* Effect.either(connection.pull)
      const at = yield* Clock.currentTimeMillis
      if (pulled._tag === "Left") return { events: [...events, `${at} ${pulled.left.reason}`], bytes }
      if (pulled.right.length === 0) return { events: [...events, `${at} end`], bytes }
      bytes.push(...pulled.right)
      events.push(`${at} ${pulled.right.map(({ length }) => length).join(" ")}`)
    }
  })

/** Runs under the test's clock until it is done. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>, step = 1000) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    while (fiber.unsafePoll() === null) yield* TestClock.adjust(step)
    return yield* Fiber.join(fiber)
  })

describe("simulated net: time", () => {
  it.scoped("bytes arrive a latency later, not earlier", () =>
    Effect.gen(function* () {
      const { far, near } = yield* connectedIn({ seed: 1, latency: "50 millis" })
      const tracing = yield* Effect.fork(trace(far))
      const start = yield* Clock.currentTimeMillis
      yield* near.push([Uint8Array.of(1)])
      yield* TestClock.adjust("20 millis")
      yield* near.push([Uint8Array.of(1, 2)])
      yield* near.end
      yield* TestClock.adjust("10 seconds")
      const { events } = yield* Fiber.join(tracing)
      expect(events).toEqual([`${start + 50} 1`, `${start + 70} 2`, `${start + 70} end`])
    })
  )

  it.scoped("to connect takes there and back, to be refused too", () =>
    Effect.gen(function* () {
      const net = yield* NetworkMemory.make({ seed: 1, latency: "50 millis" })
      let heardAt = 0
      yield* net.host("b").listen({ port: 1 }, () =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          heardAt = now
          return Effect.never
        })
      )
      for (const [port, tag] of [
        [1, "Success"],
        [2, "Failure"]
      ] as const) {
        const start = yield* Clock.currentTimeMillis
        const connecting = yield* Effect.forkScoped(net.host("a").connect({ host: "b", port }))
        yield* TestClock.adjust("99 millis")
        expect(connecting.unsafePoll()).toBeNull()
        yield* TestClock.adjust("1 millis")
        expect(yield* Fiber.await(connecting)).toMatchObject({ _tag: tag })
        if (port === 1) expect(heardAt).toBe(start + 50)
      }
    })
  )

  it.scoped("bandwidth is bytes a second, in each direction of its own", () =>
    Effect.gen(function* () {
      const { far, near } = yield* connectedIn({ seed: 1, bandwidth: 100_000 })
      const start = yield* Clock.currentTimeMillis
      const blocks = Array.from({ length: 10 }, (_, i) => pseudoRandomBytes(20_000, i))
      const tracing = yield* Effect.fork(Effect.all([trace(far), trace(near)], { concurrency: 2 }))
      for (const end of [near, far]) {
        yield* end.push(blocks)
        yield* end.end
      }
      yield* TestClock.adjust("10 seconds")
      const arrivals = blocks.map((_, i) => `${start + 200 * (i + 1)} 20000`)
      for (const { events } of yield* Fiber.join(tracing)) {
        expect(events).toEqual([...arrivals, `${start + 2000} end`])
      }
    })
  )

  it.scoped("with jitter the order is kept, and each latency is within its bounds", () =>
    Effect.gen(function* () {
      const latency = { min: "10 millis", max: "90 millis" } as const
      const { far, near } = yield* connectedIn({ seed: 5, latency })
      const start = yield* Clock.currentTimeMillis
      const tracing = yield* Effect.fork(trace(far))
      for (let i = 0; i < 40; i++) yield* near.push([Uint8Array.of(i)])
      yield* near.end
      yield* TestClock.adjust("1 seconds")
      const { bytes, events } = yield* Fiber.join(tracing)
      expect([...concat(bytes)]).toEqual(Array.from({ length: 40 }, (_, i) => i))
      const times = events.map((event) => Number.parseInt(event, 10) - start)
      expect(Math.min(...times)).toBeGreaterThanOrEqual(10)
      expect(Math.max(...times)).toBeLessThanOrEqual(90)
      expect(new Set(times).size).toBeGreaterThan(1)
    })
  )
})

/** A conversation over a bad line: what both ends saw. */
const conversation = (seed: number) =>
  Effect.gen(function* () {
    const { far, near } = yield* connectedIn({
      seed,
      latency: { min: 5, max: 40 },
      bandwidth: 1_000_000,
      splitting: { max: 100_000 },
      cuts: { meanBytes: 400_000 }
    })
    const blocks = Array.from({ length: 6 }, (_, i) => pseudoRandomBytes(30_000 * i, i + 1))
    const say = (end: Connection) =>
      Effect.ignore(
        Effect.zipRight(
          Effect.forEach(blocks, (block) => end.push([block]), { discard: true }),
          end.end
        )
      )
    const [left, right] = yield* inTime(
      Effect.all([trace(near), trace(far), say(near), say(far)], { concurrency: "unbounded" })
    )
    return [...left.events, "/", ...right.events]
  }).pipe(Effect.scoped)

describe("simulated net: chance", () => {
  it.effect("the same seed gives the same trace, another one another", () =>
    Effect.gen(function* () {
      const seen = new Set<string>()
      for (const seed of [1, 2, 3]) {
        // The trace says the time since the conversation began.
        const traces = yield* Effect.forEach([seed, seed], (one) =>
          Effect.zipRight(TestClock.setTime(0), conversation(one))
        )
        expect(traces[0]).toEqual(traces[1])
        expect(traces[0]!.length).toBeGreaterThan(5)
        seen.add(String(traces[0]))
      }
      expect(seen.size).toBe(3)
    })
  )

  it.effect("pieces have the sizes asked for, split and joined, and the bytes stay", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.nat({ max: 500 }), { maxLength: 30 }),
          fc.integer({ min: 1, max: 50 }),
          fc.nat({ max: 300 }),
          fc.nat(),
          (sizes, min, more, seed) => {
            const arrays = sizes.map((size, i) => pseudoRandomBytes(size, i))
            const run = Effect.gen(function* () {
              const { far, near } = yield* connectedIn({ seed, splitting: { min, max: min + more } })
              yield* near.push(arrays)
              yield* near.end
              const { bytes } = yield* trace(far)
              expectBytes(concat(bytes), concat(arrays))
              const inner = bytes.slice(0, -1)
              expect(inner.every(({ length }) => length >= min && length <= min + more)).toBe(true)
            })
            return Effect.runPromise(Effect.provide(Effect.scoped(run), TestContext.TestContext))
          }
        )
      )
    )
  )

  it.scoped("a byte at a time, and up to a mebibyte", () =>
    Effect.gen(function* () {
      const single = yield* connectedIn({ seed: 1, splitting: { max: 1 } })
      yield* single.near.push([new Uint8Array(100)])
      expect((yield* single.far.pull).map(({ length }) => length)).toEqual(Array(100).fill(1))
      const { far, near } = yield* connectedIn({ seed: 1, splitting: {}, bufferSize: 100 * MIB })
      yield* near.push([new Uint8Array(50 * MIB)])
      const sizes = (yield* far.pull).map(({ length }) => length)
      expect(Math.min(...sizes.slice(0, -1))).toBeLessThan(100)
      expect(Math.max(...sizes)).toBeGreaterThan(MIB / 2)
      expect(Math.max(...sizes)).toBeLessThanOrEqual(MIB)
    })
  )

  it.scoped("cuts by chance break both ends, after about the bytes asked for", () =>
    Effect.gen(function* () {
      const lengths: Array<number> = []
      for (let seed = 0; seed < 100; seed++) {
        const { far, near } = yield* connectedIn({ seed, cuts: { meanBytes: 1000 } })
        yield* Effect.exit(near.push([new Uint8Array(100_000)]))
        const { bytes, events } = yield* trace(far)
        expect(events.at(-1)).toMatch(/reset$/)
        yield* expectFailure(near.pull, "reset")
        yield* expectFailure(near.push([Uint8Array.of(1)]), "reset")
        lengths.push(concat(bytes).length)
      }
      const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length
      expect(mean).toBeGreaterThan(600)
      expect(mean).toBeLessThan(1500)
    })
  )

  it.scoped("silent ones are heard by one end", () =>
    Effect.gen(function* () {
      const gone = { near: 0, far: 0 }
      for (let seed = 0; seed < 20; seed++) {
        const { far, near } = yield* connectedIn({ seed, cuts: { meanBytes: 100, silent: 1 } })
        yield* Effect.exit(near.push([new Uint8Array(10_000)]))
        const nearSays = yield* Effect.exit(near.push([Uint8Array.of(1)]))
        const farSays = yield* Effect.exit(far.push([Uint8Array.of(1)]))
        expect(Exit.isSuccess(nearSays)).not.toBe(Exit.isSuccess(farSays))
        gone[Exit.isFailure(nearSays) ? "near" : "far"]++
      }
      expect(gone.near).toBeGreaterThan(0)
      expect(gone.far).toBeGreaterThan(0)
    })
  )
})

describe("simulated net: by command", () => {
  it.scoped("cut: both ends fail after what had arrived; what was under way is lost", () =>
    Effect.gen(function* () {
      const { far, near, net } = yield* connectedIn({ seed: 1, latency: 10 })
      const waiting = yield* Effect.fork(near.pull)
      yield* near.push([Uint8Array.of(1)])
      yield* TestClock.adjust(10)
      yield* near.push([Uint8Array.of(2)])
      yield* net.cut(far)
      yield* expectFailure(Fiber.join(waiting), "reset")
      expect([...(yield* pullBytes(far, 1))]).toEqual([1])
      yield* expectFailure(far.pull, "reset")
      yield* expectFailure(far.end, "reset")
      yield* TestClock.adjust(100)
      yield* expectFailure(far.pull, "reset")
    })
  )

  it.scoped("cutAll: every connection, and new ones can be made", () =>
    Effect.gen(function* () {
      const net = yield* NetworkMemory.make({ seed: 1 })
      const hosts = ["a", "b", "c"].map((name) => net.host(name))
      const pairs = [
        yield* between(hosts[0]!, hosts[1]!),
        yield* between(hosts[1]!, hosts[2]!, "c"),
        yield* between(hosts[2]!, hosts[0]!, "a")
      ]
      yield* net.cutAll
      for (const end of pairs.flat()) yield* expectFailure(end.pull, "reset")
      const [near, far] = yield* between(hosts[0]!, hosts[1]!)
      yield* near.push([Uint8Array.of(1)])
      expect(yield* far.pull).toHaveLength(1)
    })
  )

  it.scoped(
    "what happened is counted: cuts once each, half-open connections, and what the adversary did",
    () =>
      Effect.gen(function* () {
        const { far, near, net } = yield* connectedIn({ seed: 1, adversary: { meanBytes: 10 } })
        const sent = Array.from({ length: 250 }, (_, i) => Uint8Array.of(i, 255 - i, 7))
        yield* near.push(sent)
        yield* near.end
        const heard = (yield* inTime(trace(far))).bytes.map((piece) => piece.join(" "))
        const { changed, dropped, reordered, repeated } = net.counts
        for (const count of [changed, dropped, reordered, repeated]) expect(count).toBeGreaterThan(5)
        expect(heard.length).toBe(sent.length - dropped + repeated)
        const own = new Set(sent.map((piece) => piece.join(" ")))
        expect(heard.filter((piece) => !own.has(piece)).length).toBe(changed)
        yield* net.cut(near)
        yield* net.cut(far)
        const [one] = yield* between(net.host("a"), net.host("c"), "c")
        yield* net.vanish(one)
        yield* net.partition(["a"], ["b"])
        expect(net.counts).toMatchObject({ connections: 2, cuts: 1, halfOpen: 1, partitions: 1 })
      })
  )

  it.scoped("vanish: one end fails and the other hears nothing; its pushes fill the buffer", () =>
    Effect.gen(function* () {
      const { far, near, net } = yield* connectedIn({ seed: 1, latency: 10, bufferSize: 1000 })
      yield* near.push([new Uint8Array(100)])
      yield* net.vanish(near)
      yield* expectFailure(near.pull, "reset")
      let pushed = 0
      const pushing = yield* Effect.fork(
        Effect.forever(Effect.tap(far.push([new Uint8Array(100)]), () => void pushed++))
      )
      const pulling = yield* Effect.fork(far.pull)
      yield* TestClock.adjust("10 days")
      expect(pulling.unsafePoll()).toBeNull()
      expect(pushing.unsafePoll()).toBeNull()
      expect(pushed).toBe(9)
      yield* Fiber.interruptAll([pushing, pulling])
    })
  )

  it.scoped("a partition holds up what is between its groups and nothing else, until it heals", () =>
    Effect.gen(function* () {
      const net = yield* NetworkMemory.make({ seed: 1, latency: 10 })
      const [a, b, c] = ["a", "b", "c"].map((name) => net.host(name)) as [
        NetworkService,
        NetworkService,
        NetworkService
      ]
      const [ab, ba] = yield* between(a, b)
      const [bc, cb] = yield* between(b, c, "c")
      yield* ab.push([Uint8Array.of(1)])
      yield* net.partition(["a"], ["b", "x"])
      const held = yield* Effect.fork(pullAll(ba))
      const answer = yield* Effect.fork(ab.pull)
      yield* ab.push([Uint8Array.of(2)])
      yield* ab.end
      yield* ba.push([Uint8Array.of(3)])
      yield* bc.push([Uint8Array.of(4)])
      yield* TestClock.adjust("1 hour")
      expect(held.unsafePoll()).toBeNull()
      expect(answer.unsafePoll()).toBeNull()
      expect([...(yield* pullBytes(cb, 1))]).toEqual([4])
      yield* net.heal
      expect([...(yield* Fiber.join(held))]).toEqual([1, 2])
      expect((yield* Fiber.join(answer)).map((array) => [...array])).toEqual([[3]])
    })
  )

  it.scoped("during a partition a connect fails with `unreachable`, from either side", () =>
    Effect.gen(function* () {
      const net = yield* NetworkMemory.make({ seed: 1 })
      const [a, b] = [net.host("a"), net.host("b")]
      for (const host of [a, b]) yield* host.listen({ port: 1 }, () => Effect.never)
      yield* net.partition(["a"], ["b"])
      yield* net.partition(["b"], ["c"])
      yield* expectFailure(a.connect({ host: "b", port: 1 }), "unreachable")
      yield* expectFailure(b.connect({ host: "a", port: 1 }), "unreachable")
      yield* expectFailure(net.host("c").connect({ host: "b", port: 1 }), "unreachable")
      yield* net.host("c").connect({ host: "a", port: 1 })
      yield* b.connect({ port: 1 })
      yield* net.heal
      yield* a.connect({ host: "b", port: 1 })
    })
  )

  it.scoped("with the net's scope all ends, held up or not", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const net = yield* Scope.extend(NetworkMemory.make({ seed: 1, latency: 10 }), scope)
      const [near, far] = yield* between(net.host("a"), net.host("b"))
      yield* near.push([Uint8Array.of(1)])
      yield* net.partition(["a"], ["b"])
      yield* TestClock.adjust(50)
      const waiting = yield* Effect.fork(far.pull)
      yield* Scope.close(scope, Exit.void)
      yield* expectFailure(Fiber.join(waiting), "closed")
      yield* expectFailure(near.push([Uint8Array.of(1)]), "closed")
      const connecting = yield* Effect.fork(net.host("a").connect({ host: "b", port: 1 }))
      yield* TestClock.adjust(50)
      yield* expectFailure(Fiber.join(connecting), "closed")
    })
  )

  it.scoped("a host listens as itself only, and a connection of another net is not taken for its own", () =>
    Effect.gen(function* () {
      const { near, net } = yield* connectedIn({ seed: 1 })
      yield* expectFailure(
        net.host("a").listen({ host: "b", port: 1 }, () => Effect.never),
        "address"
      )
      const other = yield* NetworkMemory.make({ seed: 1 })
      expect(yield* Effect.exit(other.cut(near))).toMatchObject({ cause: { _tag: "Die" } })
    })
  )
})
