/** Messages of every kind, for property tests. */
import fc from "fast-check"
import type { Position } from "../../src/domain/FlatTree.js"
import type * as Wire from "../../src/domain/Wire.js"

const number = fc.oneof(fc.nat({ max: 300 }), fc.nat(), fc.maxSafeNat())

const bytesOfSize = (size: number) => fc.uint8Array({ minLength: size, maxLength: size })

const optional = <A>(arbitrary: fc.Arbitrary<A>) => fc.option(arbitrary, { nil: undefined })

const bytes = fc.uint8Array({ maxLength: 200 })

const node = fc.record({
  index: number.map((index) => index as Position),
  hash: bytesOfSize(32),
  size: number
})

const name = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "grapheme", maxLength: 20 }),
  fc.constantFrom("\uFEFFmark", "x".repeat(255))
)

const length = fc.oneof(fc.constant(1), number)

const kinds = {
  Feed: fc.record({ discoveryKey: bytesOfSize(32), nonce: optional(bytesOfSize(24)) }),
  Handshake: fc.record({
    id: optional(bytes),
    live: fc.boolean(),
    userData: optional(bytes),
    extensions: fc.array(name, { maxLength: 4 }),
    ack: fc.boolean()
  }),
  Info: fc.record({ uploading: fc.boolean(), downloading: fc.boolean() }),
  Have: fc.record({ start: number, length, bitfield: optional(bytes), ack: fc.boolean() }),
  Unhave: fc.record({ start: number, length }),
  Want: fc.record({ start: number, length: optional(length) }),
  Unwant: fc.record({ start: number, length: optional(length) }),
  Request: fc.record({ index: number, bytes: number, hash: fc.boolean(), nodes: number }),
  Cancel: fc.record({ index: number, bytes: number, hash: fc.boolean() }),
  Data: fc.record({
    index: number,
    value: optional(bytes),
    nodes: fc.array(node, { maxLength: 6 }),
    signature: optional(bytesOfSize(64))
  }),
  Extension: fc.record({ id: number, payload: bytes })
}

/** Any message, each kind as often as another. */
export const message: fc.Arbitrary<Wire.Message> = fc.oneof(
  ...Object.entries(kinds).map(([_tag, fields]) =>
    (fields as fc.Arbitrary<object>).map((value) => ({ _tag, ...value }) as Wire.Message)
  )
)
