/** Run-length encoded bitfields: the peer's bytes for any bitfield, and nothing a peer can send costs more than its bytes. */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import fc from "fast-check"
import * as BitfieldRle from "../../src/domain/BitfieldRle.js"
import { fromHex, toHex } from "../../src/domain/Bytes.js"
import * as Varint from "../../src/domain/Varint.js"
import { bitfieldRle as peer } from "../reference/peerWire.js"

const NO_LIMIT = 2 ** 20

const run = fc
  .tuple(fc.constantFrom(0, 0xff), fc.oneof(fc.nat({ max: 4 }), fc.nat({ max: 600 })))
  .map(([byte, count]) => new Uint8Array(count).fill(byte))

/** Lengths around 64, where a literal's own length takes a second byte. */
const literal = fc.oneof(
  fc.uint8Array({ maxLength: 4 }),
  fc.integer({ min: 58, max: 70 }).map((count) => new Uint8Array(count).fill(0x55)),
  fc.uint8Array({ maxLength: 200 })
)

const bitfield = fc
  .array(fc.oneof(run, literal), { maxLength: 20 })
  .map((parts) => Uint8Array.from(parts.flatMap((part) => [...part])))

/** Few distinct bytes: many short runs, where it is close whether a run pays. */
const choppy = fc
  .array(fc.constantFrom(0, 0, 0xff, 0xff, 1), { maxLength: 300 })
  .map((list) => Uint8Array.from(list))

const bits = fc.oneof(bitfield, choppy)

/** `bits` without the zeros at its end, then padded to a multiple of 4. */
const padded = (input: Uint8Array): Uint8Array => {
  const end = input.findLastIndex((byte) => byte !== 0) + 1
  const whole = new Uint8Array(4 * Math.ceil(end / 4))
  whole.set(input.subarray(0, end))
  return whole
}

const decode = (bytes: Uint8Array, maxLength = NO_LIMIT) =>
  Either.match(BitfieldRle.decode(bytes, maxLength), {
    onLeft: ({ _tag, reason }) => `${_tag} ${reason}`,
    onRight: toHex
  })

const bytesOf = (hex: string): Uint8Array => fromHex(hex.replaceAll(" ", ""))!

const head = (value: number): Uint8Array => {
  const bytes = new Uint8Array(Varint.encodedLength(value))
  Varint.encode(value, bytes, 0)
  return bytes
}

describe("encoding", () => {
  it("the known answer", () => {
    const input = new Uint8Array(16)
    input.set([0xff, 0xff, 0x80])
    expect(toHex(BitfieldRle.encode(input))).toBe("0b0280")
  })

  it("gives the peer's bytes", () => {
    fc.assert(
      fc.property(bits, (input) => {
        const before = toHex(input)
        expect(toHex(BitfieldRle.encode(input))).toBe(toHex(peer.encode(Buffer.from(input))))
        expect(toHex(input)).toBe(before)
      }),
      { numRuns: 2000 }
    )
  })

  it("gives the peer's bytes of every bitfield of up to seven bytes that are none, some or all ones", () => {
    const kinds = [0, 0x18, 0xff]
    for (let length = 0; length <= 7; length++) {
      for (let n = 0; n < 3 ** length; n++) {
        const input = Uint8Array.from({ length }, (_, i) => kinds[Math.floor(n / 3 ** i) % 3]!)
        expect(toHex(BitfieldRle.encode(input))).toBe(toHex(peer.encode(Buffer.from(input))))
      }
    }
  })

  it("never takes more than its own room: literals and runs where each costs the most", () => {
    for (const count of [63, 64, 65, 127, 128, 8191, 8192, 8193]) {
      for (const ones of [1, 2, 3, 63, 64, 8191]) {
        const part = Array.from({ length: count + ones }, (_, i) => (i < count ? 0x55 : 0xff))
        const input = Uint8Array.from({ length: 40_000 }, (_, i) => part[i % part.length]!)
        expect(toHex(BitfieldRle.encode(input))).toBe(toHex(peer.encode(Buffer.from(input))))
      }
    }
  })

  it("of a region of 1,048,576 blocks that are all held takes three bytes, and of none no byte", () => {
    expect(BitfieldRle.encode(new Uint8Array(131_072).fill(0xff))).toHaveLength(3)
    expect(BitfieldRle.encode(new Uint8Array(131_072))).toHaveLength(0)
  })
})

describe("decoding", () => {
  it("gives the bitfield back, padded, and so does the peer", () => {
    fc.assert(
      fc.property(bits, (input) => {
        const encoded = BitfieldRle.encode(input)
        expect(decode(encoded)).toBe(toHex(padded(input)))
        expect(toHex(peer.decode(Buffer.from(encoded)))).toBe(toHex(padded(input)))
      }),
      { numRuns: 500 }
    )
  })

  it("has its own array", () => {
    const encoded = BitfieldRle.encode(Uint8Array.of(1, 2, 3, 4))
    const decoded = Either.getOrThrow(BitfieldRle.decode(encoded, 4))
    expect(decoded.buffer).not.toBe(encoded.buffer)
    encoded.fill(0)
    expect(toHex(decoded)).toBe("01020304")
  })

  it("the limit is of the padded length, inclusive", () => {
    for (const [length, limit] of [
      [4, 4],
      [5, 8],
      [8, 8]
    ] as const) {
      const encoded = BitfieldRle.encode(new Uint8Array(length).fill(0x77))
      expect(decode(encoded, limit)).toMatch(/^(77)+0*$/)
      expect(decode(encoded, limit - 1)).toBe("ProtocolError too-large")
    }
    expect(decode(new Uint8Array(0), 0)).toBe("")
    expect(decode(head(1), 0)).toBe("")
    expect(decode(head(5), 0)).toBe("ProtocolError too-large")
  })

  it.each([
    ["zeros: 2^51 - 1 bytes", head(2 ** 53 - 3)],
    ["ones: 2^51 - 1 bytes", head(2 ** 53 - 1)],
    ["2^32 bytes, 0 in 32 bits", head(2 ** 34 + 1)],
    ["one byte more than the limit", head(4 * (NO_LIMIT + 1) + 3)],
    ["many runs of 8000 bytes", new Uint8Array(10_000).map((_, i) => head(4 * 8000 + 1)[i % 3]!)],
    ["a literal of more than the limit", head(2 * (NO_LIMIT + 1))]
  ])("a bomb of %s is too large", (_, bytes) => {
    expect(decode(bytes)).toBe("ProtocolError too-large")
  })

  it.each([
    ["a run length cut short", "85"],
    ["a run length cut short, after a run", "0b 85 80"],
    ["a run length of 2^53", "80 80 80 80 80 80 80 10"],
    ["a run length of nine bytes", "81 80 80 80 80 80 80 80 00"],
    ["a literal cut short", "08 01 02 03"],
    ["a literal without its bytes", "02"]
  ])("%s is malformed", (_, hex) => {
    expect(decode(bytesOf(hex))).toBe("ProtocolError malformed")
  })

  it.each([
    ["runs of nothing", "01 03 00 01", ""],
    ["ones after zeros", "05 07", "00ff0000"],
    ["a literal after a run of a longer varint", "8b 00 02 01", "ffff0100"]
  ])("%s", (_, hex, expected) => {
    expect(decode(bytesOf(hex))).toBe(expected)
    expect(toHex(peer.decode(Buffer.from(bytesOf(hex))))).toBe(expected)
  })

  it("any bytes: as the peer, or an error, and never more than the limit", () => {
    const byte = fc.oneof(fc.nat({ max: 255 }), fc.nat({ max: 15 }), fc.constantFrom(0x80, 0xff))
    const bytes = fc.array(byte, { maxLength: 40 }).map((list) => Uint8Array.from(list))
    fc.assert(
      fc.property(bytes, fc.nat({ max: 200 }), (input, limit) => {
        const result = BitfieldRle.decode(input, limit)
        if (Either.isLeft(result)) {
          expect(["malformed", "too-large"]).toContain(result.left.reason)
          return
        }
        expect(result.right.length % 4).toBe(0)
        expect(result.right.length).toBeLessThanOrEqual(limit)
        expect(toHex(result.right)).toBe(toHex(peer.decode(Buffer.from(input))))
      }),
      { numRuns: 3000 }
    )
  })
})
