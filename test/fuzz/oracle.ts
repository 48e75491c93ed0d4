/** What must be true whatever a feed is given: a value or a typed error, of what the package says that it fails with. */
import { Cause, Effect, Exit, Layer, Option, type Scope, TestContext } from "effect"
import { expect } from "vitest"
import { CryptoNode } from "../../src/node.js"
import { Feed, StorageMemory } from "../../src/index.js"
import { keyPair, type Services, someBlocks } from "../services/harness.js"

const TAGS = [
  "BadArgument",
  "BlockUnavailable",
  "CorruptStorage",
  "EncodingError",
  "FeedClosed",
  "ForkDetected",
  "InvalidProof",
  "InvalidSignature",
  "NotWritable",
  "OpenRefused",
  "ProtocolError",
  "StaleWriter",
  "StorageError"
]

/**
 * A value or a typed error. Who gives a value that the types refuse, `isLoose`, may get what JavaScript throws of it instead, in the fiber that gave it.
 */
export const orTyped = <A, E>(about: string, exit: Exit.Exit<A, E>, isLoose = false): A | undefined => {
  if (Exit.isSuccess(exit)) return exit.value
  const defect = Option.getOrUndefined(Cause.dieOption(exit.cause))
  if (defect !== undefined) {
    const isAllowed = isLoose && defect instanceof Error
    expect({ about, isAllowed, cause: isAllowed ? "" : Cause.pretty(exit.cause) }).toEqual({
      about,
      isAllowed: true,
      cause: ""
    })
    return undefined
  }
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause)) as
    | { readonly _tag?: string }
    | undefined
  expect(TAGS).toContain(failure?._tag)
  return undefined
}

const services = Layer.mergeAll(StorageMemory.layer, CryptoNode.layer, TestContext.TestContext)

export const run = <A, E>(body: Effect.Effect<A, E, Services | Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.provide(Effect.scoped(body), services))

export const BLOCKS = 20
export const blocks = someBlocks(BLOCKS)

export const openAuthor = Effect.gen(function* () {
  const feed = yield* Feed.open(yield* keyPair(1))
  yield* feed.appendBatch(blocks)
  return feed
})
