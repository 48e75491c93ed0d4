/** A listener's `maxConnections`: one more is closed as it comes, and those that are there know nothing of it. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as NetworkTcp from "../../src/layers/NetworkTcp.js"
import * as NetworkWebSocketNode from "../../src/layers/NetworkWebSocketNode.js"

const HOST = "127.0.0.1"

it.scoped.each([
  ["TCP", NetworkTcp.make({ maxConnections: 2 })],
  ["WebSocket", NetworkWebSocketNode.make({ maxConnections: 2 })]
] as const)("of a listener: %s", ([, network]) =>
  Effect.gen(function* () {
    const { address } = yield* network.listen({ host: HOST, port: 0 }, (connection) =>
      Effect.zipRight(connection.push([Uint8Array.of(1)]), Effect.forever(connection.pull))
    )
    const greet = Effect.flatMap(network.connect({ host: HOST, port: address.port }), (connection) =>
      Effect.map(connection.pull, (arrays) => {
        if (arrays.length === 0) throw new Error("it was closed without a word")
        return connection
      })
    )
    const served = yield* Effect.all([greet, greet])
    for (let more = 0; more < 3; more++) expect(Exit.isFailure(yield* Effect.exit(greet))).toBe(true)
    for (const connection of served) yield* connection.push([Uint8Array.of(2)])
  })
)
