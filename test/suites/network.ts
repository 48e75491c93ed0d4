/** What every Network layer must do to make connections; what these do is `connection.ts`'s. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Logger, Scope, Supervisor } from "effect"
import type { NetworkError } from "../../src/domain/Errors.js"
import type { Connection, NetworkService } from "../../src/services/Network.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"
import { expectBytes, expectFailure, pullAll, pullBytes, turn, until } from "./connection.js"

const echo = (connection: Connection): Effect.Effect<void, NetworkError> =>
  Effect.gen(function* () {
    for (;;) {
      const arrays = yield* connection.pull
      if (arrays.length === 0) return yield* connection.end
      yield* connection.push(arrays)
    }
  })

/** Sockets, servers and what they are doing: all that this process has. */
const handles = (): ReadonlyArray<string> =>
  process.getActiveResourcesInfo().filter((name) => /TCP|TLS|HTTP|Connect|Shutdown|Write|Look/i.test(name))

const noHandle = until(() => handles().length === 0)

/** Of what is logged, the messages. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const messages: Array<string> = []
    const logger = Logger.make(({ message }) => messages.push(String(message)))
    return Effect.map(
      Effect.provide(effect, Logger.replace(Logger.defaultLogger, logger)),
      (value) => [value, messages] as const
    )
  })

export const networkSuite = (
  name: string,
  fresh: Effect.Effect<NetworkService, never, Scope.Scope>,
  host: string | undefined
): void => {
  const test = (
    about: string,
    run: (network: NetworkService) => Effect.Effect<void, NetworkError, Scope.Scope>
  ) => it.scopedLive(about, () => Effect.flatMap(fresh, run))

  const anywhere = { host, port: 0 }
  const at = (port: number) => ({ host, port })

  describe(`${name}: connect and listen`, () => {
    test("port 0 is any free one, and the listener says which", (network) =>
      Effect.gen(function* () {
        const first = yield* network.listen(anywhere, echo)
        const second = yield* network.listen(anywhere, echo)
        expect(first.address.port).toBeGreaterThan(0)
        expect(second.address.port).not.toBe(first.address.port)
        for (const { address } of [first, second]) {
          const connection = yield* network.connect(at(address.port))
          expect(connection.remote).toContain(String(address.port))
          yield* connection.push([Uint8Array.of(1)])
          expect([...(yield* pullBytes(connection, 1))]).toEqual([1])
        }
      }))

    test("50 connections at once, each its own", (network) =>
      Effect.gen(function* () {
        const { address } = yield* network.listen(anywhere, echo)
        const one = (i: number) =>
          Effect.gen(function* () {
            const connection = yield* network.connect(at(address.port))
            const bytes = pseudoRandomBytes(1000 * i, i)
            yield* connection.push([bytes])
            expectBytes(yield* pullBytes(connection, bytes.length), bytes)
            yield* connection.end
            expect(yield* connection.pull).toEqual([])
          }).pipe(Effect.scoped)
        yield* Effect.forEach(
          Array.from({ length: 50 }, (_, i) => i),
          one,
          { concurrency: "unbounded" }
        )
      }))

    test("a port that is taken is `address`, and free again afterwards", (network) =>
      Effect.gen(function* () {
        const port = yield* Effect.scoped(
          Effect.gen(function* () {
            const { address } = yield* network.listen(anywhere, echo)
            const error = yield* expectFailure(network.listen(at(address.port), echo), "address")
            expect(error.operation).toBe("listen")
            // The refusal took nothing from the first.
            const connection = yield* network.connect(at(address.port))
            yield* connection.end
            expect(yield* connection.pull).toEqual([])
            return address.port
          })
        )
        expect((yield* network.listen(at(port), echo)).address.port).toBe(port)
      }))

    test("where nobody listens, or any more, it is `refused`", (network) =>
      Effect.gen(function* () {
        const { address } = yield* Effect.scoped(network.listen(anywhere, echo))
        const error = yield* expectFailure(network.connect(at(address.port)), "refused")
        expect(error).toMatchObject({ operation: "connect" })
        expect(error.address).toContain(String(address.port))
      }))

    for (const port of [-1, 65_536, 1.5]) {
      test(`port ${port} is \`address\``, (network) =>
        Effect.gen(function* () {
          yield* expectFailure(network.connect(at(port)), "address")
          yield* expectFailure(network.listen(at(port), echo), "address")
        }))
    }
  })

  describe(`${name}: handlers`, () => {
    for (const [about, failure] of [
      ["a failure", Effect.fail("no")],
      ["a defect", Effect.dieMessage("no")]
    ] as const) {
      test(`${about} closes its own connection only, and is logged`, (network) =>
        Effect.gen(function* () {
          const [, messages] = yield* logged(
            Effect.scoped(
              Effect.gen(function* () {
                const { address } = yield* network.listen(anywhere, (connection) =>
                  Effect.gen(function* () {
                    const [first] = yield* pullBytes(connection, 1)
                    if (first === 0) return yield* failure
                    yield* connection.push([Uint8Array.of(first!)])
                    yield* echo(connection)
                  })
                )
                const good = yield* network.connect(at(address.port))
                const bad = yield* network.connect(at(address.port))
                for (const [i, connection] of [bad, good].entries()) {
                  yield* connection.push([Uint8Array.of(i)])
                }
                expect(yield* Effect.orElseSucceed(bad.pull, () => [])).toEqual([])
                expect([...(yield* pullBytes(good, 1))]).toEqual([1])
                yield* good.push([Uint8Array.of(2)])
                expect([...(yield* pullBytes(good, 1))]).toEqual([2])
                // And others are still taken.
                yield* (yield* network.connect(at(address.port))).end
              })
            )
          )
          expect(messages.filter((message) => message.includes("failed"))).toHaveLength(1)
        }))
    }

    test("the scope that one asks for is its connection's", (network) =>
      Effect.gen(function* () {
        let released = 0
        const { address } = yield* network.listen(anywhere, (connection) =>
          Effect.gen(function* () {
            yield* Effect.addFinalizer(() => Effect.sync(() => void released++))
            yield* echo(connection)
          })
        )
        const connection = yield* network.connect(at(address.port))
        yield* connection.end
        expect(yield* pullAll(connection)).toHaveLength(0)
        yield* until(() => released === 1)
      }))
  })

  describe(`${name}: the listener's scope`, () => {
    test("interrupts its handlers and closes their connections", (network) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const started = yield* Deferred.make<Connection>()
        let interrupted = false
        const { address } = yield* Scope.extend(
          network.listen(anywhere, (connection) =>
            Deferred.succeed(started, connection).pipe(
              Effect.zipRight(Effect.never),
              Effect.onInterrupt(() => Effect.sync(() => void (interrupted = true)))
            )
          ),
          scope
        )
        const connection = yield* network.connect(at(address.port))
        const accepted = yield* Deferred.await(started)
        yield* Scope.close(scope, Exit.void)
        expect(interrupted).toBe(true)
        yield* expectFailure(accepted.pull, "closed")
        expect(yield* Effect.orElseSucceed(connection.pull, () => [])).toEqual([])
        yield* expectFailure(network.connect(at(address.port)), "refused")
      }))
  })

  it.live(`${name}: nothing is left: no handle, no fiber`, () =>
    Effect.gen(function* () {
      yield* noHandle
      const fibers = yield* Supervisor.track
      const use = Effect.gen(function* () {
        const network = yield* fresh
        const { address } = yield* network.listen(anywhere, () => Effect.never)
        yield* network.listen(anywhere, echo)
        for (let i = 0; i < 5; i++) {
          const connection = yield* network.connect(at(address.port))
          yield* connection.push([new Uint8Array(100_000)])
          yield* Effect.forkScoped(connection.pull)
        }
        yield* turn
      })
      yield* Effect.supervised(Effect.scoped(use), fibers)
      yield* noHandle
      yield* Effect.iterate(1, {
        while: (count) => count > 0,
        body: () =>
          Effect.zipRight(
            turn,
            Effect.map(fibers.value, (left) => left.length)
          )
      })
    })
  )

  it.live(`${name}: an interrupted connect leaves nothing, whenever it comes`, () =>
    Effect.gen(function* () {
      yield* noHandle
      yield* Effect.scoped(
        Effect.gen(function* () {
          const network = yield* fresh
          let open = 0
          const { address } = yield* network.listen(anywhere, (connection) =>
            Effect.acquireUseRelease(
              Effect.sync(() => open++),
              () => Effect.ignore(echo(connection)),
              () => Effect.sync(() => open--)
            )
          )
          for (let i = 0; i < 60; i++) {
            const scope = yield* Scope.make()
            const connecting = yield* Effect.fork(Scope.extend(network.connect(at(address.port)), scope))
            for (let j = 0; j < i % 20; j++) yield* i % 2 === 0 ? Effect.yieldNow() : turn
            const exit = yield* Fiber.interrupt(connecting)
            if (Exit.isSuccess(exit)) yield* Scope.close(scope, Exit.void)
          }
          yield* until(() => open === 0)
        })
      )
      yield* noHandle
    })
  )
}

/** What a listener must do that takes one connection at a time. */
export const fullListenerSuite = (name: string, network: NetworkService, host: string): void => {
  const refused = (port: number) =>
    Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* network.connect({ host, port })
        expect(yield* connection.pull).toEqual([])
      })
    ).pipe(Effect.catchTag("NetworkError", ({ reason }) => Effect.succeed(expect(reason).toBe("reset"))))

  it.live(`${name}: who comes to a full listener is closed, and the first of them logged`, () =>
    Effect.gen(function* () {
      let open = 0
      const [, messages] = yield* logged(
        Effect.scoped(
          Effect.gen(function* () {
            const { address } = yield* network.listen({ host, port: 0 }, (connection) =>
              Effect.acquireUseRelease(
                Effect.sync(() => open++),
                () => Effect.ignore(echo(connection)),
                () => Effect.sync(() => open--)
              )
            )
            for (let i = 0; i < 2; i++) {
              yield* Effect.scoped(
                Effect.gen(function* () {
                  const taken = yield* network.connect({ host, port: address.port })
                  yield* taken.push([Uint8Array.of(i)])
                  expect([...(yield* pullBytes(taken, 1))]).toEqual([i])
                  for (let j = 0; j < 3; j++) yield* refused(address.port)
                })
              )
              yield* until(() => open === 0)
            }
          })
        )
      )
      const line = /^no more connections than 1 are taken: refused 127\.0\.0\.1:\d+$/
      expect(messages).toEqual([expect.stringMatching(line), expect.stringMatching(line)])
    })
  )
}
