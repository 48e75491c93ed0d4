/** Bytes that were valid once: structure that a decoder gets far into, then something that it must notice or bear. */
import fc from "fast-check"
import { concat } from "../../src/domain/Bytes.js"
import * as Varint from "../../src/domain/Varint.js"
import { share } from "../domain/arbitraries.js"

/** Numbers at which something changes: of bits, of varints, of the largest exact one, of the limits. */
export const edge = fc.oneof(
  fc.nat({ max: 130 }),
  fc.constantFrom(255, 256, 4096, 8191, 8192, 65_535, 65_536, 2 ** 20, 8_388_608, 8_388_609),
  fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 46, 2 ** 46 + 1, 2 ** 50, 2 ** 53 - 1)
)

const varint = edge.map((value) => {
  const bytes = new Uint8Array(Varint.encodedLength(value))
  Varint.encode(value, bytes, 0)
  return bytes
})

const piece = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 12 }),
  varint,
  fc.constantFrom(
    new Uint8Array(8),
    new Uint8Array(9).fill(0xff),
    new Uint8Array(8).fill(0x80),
    Uint8Array.of(0xff, 0xff, 0xff, 0x7f)
  )
)

const change = fc.oneof(
  fc.record({ how: fc.constant("flip" as const), at: share, bit: fc.nat({ max: 7 }) }),
  fc.record({ how: fc.constant("cut" as const), at: share, length: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ how: fc.constant("end" as const), at: share }),
  fc.record({ how: fc.constant("insert" as const), at: share, piece }),
  fc.record({ how: fc.constant("replace" as const), at: share, piece }),
  fc.record({ how: fc.constant("repeat" as const), at: share, length: fc.integer({ min: 1, max: 40 }) })
)

type Change = typeof change extends fc.Arbitrary<infer C> ? C : never

const changed = (bytes: Uint8Array, one: Change): Uint8Array => {
  const at = Math.floor(one.at * bytes.length)
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (one.how) {
    case "flip":
      return bytes.map((byte, i) => (i === at ? byte ^ (1 << one.bit) : byte))
    case "cut":
      return concat([head, tail.subarray(one.length)])
    case "end":
      return head.slice()
    case "insert":
      return concat([head, one.piece, tail])
    case "replace":
      return concat([head, one.piece, tail.subarray(one.piece.length)])
    case "repeat":
      return concat([head, tail.subarray(0, one.length), tail])
  }
}

/** What `valid` gives, changed in none to four places; now and then bytes that never were anything. */
export const mutated = (valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc
        .tuple(valid, fc.array(change, { maxLength: 4 }))
        .map(([bytes, changes]) => changes.reduce(changed, bytes))
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) }
  )
