/**
 * A writer process, to be copied from and killed: appends to the feed in the directory given until it dies, one block or a batch at a time, in
 * eight fibers, and says on standard output, line by line, which length was acknowledged.
 */
import { Effect } from "effect"
import { writeSync } from "node:fs"
import { Feed } from "../../src/index.js"
import { layer } from "../../src/node.js"

const directory = process.argv[2]!

const block = (index: number): Uint8Array => new TextEncoder().encode(`${index} `.repeat(1 + (index % 50)))

const program = Effect.gen(function* () {
  const feed = yield* Feed.open()
  const writer = Effect.gen(function* () {
    for (let i = 0; ; i++) {
      const start = yield* i % 3 === 0 ? feed.appendBatch([block(i), block(i + 1)]) : feed.append(block(i))
      writeSync(1, `${start + (i % 3 === 0 ? 2 : 1)}\n`)
    }
  })
  yield* Effect.all(
    Array.from({ length: 8 }, () => writer),
    { concurrency: "unbounded" }
  )
})

await Effect.runPromise(Effect.provide(Effect.scoped(program), layer({ directory })))
