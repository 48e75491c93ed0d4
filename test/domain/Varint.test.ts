/** Varints: the peer's bytes for every number, and what is no number is told apart. */
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import { toHex } from "../../src/domain/Bytes.js"
import * as Varint from "../../src/domain/Varint.js"
import { varint as peer } from "../reference/peerWire.js"

const MOST = Number.MAX_SAFE_INTEGER

/** Around each power of two: where a group, a shift or an exact integer ends. */
const EDGES = Array.from({ length: 54 }, (_, exponent) => [-1, 0, 1].map((more) => 2 ** exponent + more))
  .flat()
  .filter((value) => value >= 0 && value <= MOST)

const value = fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat(), fc.constantFrom(...EDGES))

const encoded = (number: number): Uint8Array => {
  const bytes = new Uint8Array(Varint.encodedLength(number))
  expect(Varint.encode(number, bytes, 0)).toBe(bytes.length)
  return bytes
}

const reader = (bytes: Uint8Array): Varint.Reader => new Varint.Reader(bytes, 0, bytes.length)

/** The number in any varint, exactly, and its length; `undefined` when it does not end. */
const slowly = (bytes: Uint8Array): { readonly value: bigint; readonly length: number } | undefined => {
  const length = bytes.findIndex((byte) => byte < 0x80) + 1
  const groups = [...bytes.subarray(0, length)].map((byte) => BigInt(byte & 0x7f))
  return length === 0
    ? undefined
    : { value: groups.reduceRight((sum, group) => sum * 128n + group, 0n), length }
}

describe("encoding", () => {
  it("gives the peer's bytes", () => {
    for (const number of EDGES) expect([...encoded(number)]).toEqual(peer.encode(number))
    fc.assert(
      fc.property(value, (number) => {
        expect([...encoded(number)]).toEqual(peer.encode(number))
        expect(Varint.encodedLength(number)).toBe(peer.encodingLength(number))
      })
    )
  })

  it("writes at an offset, and nothing around it", () => {
    fc.assert(
      fc.property(value, fc.nat({ max: 5 }), (number, offset) => {
        const bytes = new Uint8Array(20).fill(0xee)
        const end = Varint.encode(number, bytes, offset)
        expect(toHex(bytes.subarray(offset, end))).toBe(toHex(encoded(number)))
        expect(bytes.filter((byte, i) => (i < offset || i >= end) && byte !== 0xee)).toHaveLength(0)
      })
    )
  })

  it.each([
    [0, "00"],
    [127, "7f"],
    [128, "8001"],
    [300, "ac02"],
    [2 ** 31, "8080808008"],
    [2 ** 32, "8080808010"],
    [MOST, "ffffffffffffff0f"]
  ])("%i is %s", (number, hex) => {
    expect(toHex(encoded(number))).toBe(hex)
  })
})

describe("reading", () => {
  it("gives the number back, and stops after it", () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 5 }), (numbers) => {
        const read = reader(Uint8Array.from(numbers.flatMap((number) => [...encoded(number)])))
        for (const number of numbers) expect(read.varint()).toBe(number)
        expect(read.offset).toBe(read.end)
        expect(read.varint()).toBe(Varint.TRUNCATED)
      })
    )
  })

  it("of a number cut short anywhere, by the end of the bytes or of the reader: truncated, and it stays where it is", () => {
    for (const number of EDGES) {
      const whole = encoded(number)
      for (let end = 0; end < whole.length; end++) {
        for (const read of [reader(whole.subarray(0, end)), new Varint.Reader(whole, 0, end)]) {
          expect(read.varint()).toBe(Varint.TRUNCATED)
          expect(read.offset).toBe(0)
        }
      }
    }
  })

  it.each([
    ["2^53", "8080808080808010", Varint.TOO_LARGE],
    ["eight bytes of ones", "ffffffffffffff7f", Varint.TOO_LARGE],
    ["nine bytes", "808080808080808001", Varint.TOO_LARGE],
    ["nine bytes of a small number", "818080808080808000", Varint.TOO_LARGE],
    ["eight bytes that go on", "ffffffffffffffff", Varint.TOO_LARGE],
    ["a small number in eight bytes", "8180808080808000", 1],
    ["zero in two bytes", "8000", 0]
  ])("%s", (_, hex, expected) => {
    const bytes = Uint8Array.from(Buffer.from(hex, "hex"))
    const read = reader(bytes)
    expect(read.varint()).toBe(expected)
    expect(read.offset).toBe(expected < 0 ? 0 : bytes.length)
  })

  it("any bytes, as slow arithmetic says", () => {
    const byte = fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0x80, 0xff, 0))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3 }), fc.array(byte, { maxLength: 12 }), (before, list) => {
        const bytes = Uint8Array.from(list)
        const read = new Varint.Reader(
          Uint8Array.from([...before, ...bytes]),
          before.length,
          before.length + list.length
        )
        const result = read.varint()
        const slow = slowly(bytes)
        if (slow === undefined) {
          expect(result).toBe(bytes.length < Varint.MAX_LENGTH ? Varint.TRUNCATED : Varint.TOO_LARGE)
        } else if (slow.length > Varint.MAX_LENGTH || slow.value > BigInt(MOST)) {
          expect(result).toBe(Varint.TOO_LARGE)
        } else {
          expect(result).toBe(Number(slow.value))
          expect(result).toBe(peer.decode(bytes))
          expect(read.offset).toBe(before.length + slow.length)
          return
        }
        expect(read.offset).toBe(before.length)
      }),
      { numRuns: 2000 }
    )
  })
})
