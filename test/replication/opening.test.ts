/** How a feed comes to be on a connection. */
import { describe, expect } from "@effect/vitest"
import { Effect, Option } from "effect"
import { type Connection, Feed, NetworkMemory, Replication } from "../../src/index.js"
import { inMemory, someBlocks, source } from "../services/harness.js"

/** All that has arrived, as one array. */
const inOnePiece = (connection: Connection): Connection => ({
  ...connection,
  pull: Effect.map(connection.pull, (arrays) => (arrays.length === 0 ? [] : [Buffer.concat(arrays)])),
  push: connection.push,
  end: connection.end,
  remote: connection.remote
})

describe("a feed that the other side opens first", () => {
  inMemory("what came in one piece with the opening, and while it was answered, is not lost", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(20))
      const to = yield* Feed.open({ key: from.key })
      const [near, far] = yield* NetworkMemory.pair()
      const client = yield* Replication.connect(far)
      const peer = yield* client.add(to)
      // It is all there before the other side looks.
      yield* Effect.yieldNow()
      yield* Replication.connect(inOnePiece(near), {
        live: true,
        onFeed: () => Effect.as(Effect.yieldNow(), Option.some([from, { download: false }] as const))
      })
      expect(yield* peer.downloaded).toBe(true)
      expect(yield* to.downloaded()).toBe(20)
    })
  )
})
