/** Evidence of a fork that a stranger, a file or a caller without types gives: it is evidence, or it is not, with bounded effort. */
import { Cause, Effect, Either, Exit, Schema } from "effect"
import fc from "fast-check"
import { expect } from "vitest"
import { Feed, Fork } from "../../src/index.js"
import { history, put, reading, signing } from "../services/forks.js"
import { within } from "./Effort.js"
import { anything, number, someBytes } from "./feeds.js"
import { mutated } from "./mutated.js"
import { orTyped, run } from "./oracle.js"
import { type AnyTarget, target } from "./Target.js"

/** What is found where the key signed logs of these lengths that differ from a block on. */
const found = (forkAt: number, lengths: readonly [number, number]) =>
  Effect.gen(function* () {
    const [a, b] = [
      yield* signing(history("a", forkAt, lengths[0])),
      yield* signing(history("b", forkAt, lengths[1]))
    ]
    const reader = yield* reading(a)
    yield* Effect.ignore(put(reader, b, lengths[1] - 1))
    yield* Effect.ignore(put(reader, b, Math.min(lengths[0], lengths[1] - 1)))
    return { evidence: reader.fork!, key: reader.key }
  })

const real = await run(Effect.all([found(3, [9, 9]), found(0, [1, 2]), found(40, [64, 70])]))
const { key } = real[0]
const encoded = real.map(({ evidence }) => Fork.encode(evidence))

/** The key signed what is shown, whoever shows it: else it is no evidence. */
const isReal = (evidence: Fork.Evidence): boolean =>
  evidence.logs.every((log) =>
    real.some((one) =>
      one.evidence.logs.some(({ signature }) => Buffer.compare(signature, log.signature) === 0)
    )
  )

const verified = (evidence: Fork.Evidence, by: Uint8Array) =>
  Effect.gen(function* () {
    const holds = yield* Fork.verify(evidence, by)
    expect(typeof holds).toBe("boolean")
    if (holds) expect(isReal(evidence)).toBe(true)
    return holds
  })

const bytes = target("evidence of a fork", 120, mutated(fc.constantFrom(...encoded)), (given) =>
  run(
    Effect.gen(function* () {
      const bounds = { looks: 16 * given.length + 64, allocated: 8 * given.length + 4096 }
      const read = within(bounds, given, Fork.decode)
      const text = Buffer.from(given).toString("base64")
      const fromText = Schema.decodeEither(Fork.schema)(text)
      expect(Either.isRight(fromText)).toBe(Either.isRight(read))
      if (Either.isLeft(read)) return expect(read.left._tag).toBe("BadArgument")
      yield* verified(read.right, key)
      // Numbers can be written in more ways than one; read again it is the same.
      expect(Fork.decode(Fork.encode(read.right))).toEqual(read)
    })
  )
)

const hashed = fc.record({ hash: someBytes, size: number })
const hashes = fc.array(hashed, { maxLength: 60 })

/** Of the right types, with any values; or the real one with some of them; or anything. */
const value: fc.Arbitrary<unknown> = fc.oneof(
  fc.record({
    position: number,
    logs: fc.tuple(
      fc.record({ length: number, roots: hashes, signature: someBytes, path: hashes }),
      fc.record({ length: number, roots: hashes, signature: someBytes, path: hashes })
    )
  }),
  fc
    .tuple(
      fc.constantFrom(...real),
      fc.constantFrom("length", "roots", "signature", "path"),
      fc.oneof(number, hashes, anything)
    )
    .map(([{ evidence }, name, other]) => ({
      ...evidence,
      logs: [evidence.logs[0], { ...evidence.logs[1], [name]: other }]
    })),
  fc.tuple(fc.constantFrom(...real), number).map(([{ evidence }, position]) => ({ ...evidence, position })),
  anything
)

const values = target(
  "values that may be evidence",
  60,
  fc.tuple(value, fc.oneof(fc.constant(key), someBytes)),
  ([given, by]) =>
    run(
      Effect.gen(function* () {
        const evidence = given as Fork.Evidence
        const holds = yield* verified(evidence, by)
        const text = Schema.encodeUnknownEither(Fork.schema)(evidence)
        if (Either.isRight(text)) expect(Schema.decodeSync(Fork.schema)(text.right)).toEqual(evidence)
        else expect(holds).toBe(false)
        const exit = yield* Effect.exit(Feed.open({ key, fork: evidence }))
        const feed = orTyped("open", exit)
        if (feed === undefined) {
          expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
            _tag: "OpenRefused",
            reason: "bad-evidence"
          })
        } else expect(feed.fork).toEqual(evidence)
      })
    )
)

export const evidence: ReadonlyArray<AnyTarget> = [bytes, values]
