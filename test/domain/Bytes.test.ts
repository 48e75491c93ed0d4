import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import * as Bytes from "../../src/domain/Bytes.js"

const MAX = Number.MAX_SAFE_INTEGER
const safe = fc.oneof(
  fc.integer({ min: 0, max: MAX }),
  fc.constantFrom(0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, MAX - 1, MAX)
)

const u64 = (value: bigint): Uint8Array => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, value)
  return bytes
}

describe("u64be", () => {
  it("writes what a DataView writes, at the offset and nowhere else", () => {
    fc.assert(
      fc.property(safe, fc.nat({ max: 5 }), (value, offset) => {
        const bytes = new Uint8Array(16).fill(0xaa)
        Bytes.writeUint64(bytes, offset, value)
        const expected = new Uint8Array(16).fill(0xaa)
        expected.set(u64(BigInt(value)), offset)
        expect(bytes).toEqual(expected)
        expect(Bytes.readUint64(bytes, offset)).toBe(value)
      })
    )
  })

  it("reads every number that a double holds exactly, and NaN from 2^53 on", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const read = Bytes.readUint64(u64(value), 0)
        if (value < 2n ** 53n) expect(read).toBe(Number(value))
        else expect(read).toBeNaN()
      })
    )
    expect(Bytes.readUint64(u64(2n ** 53n - 1n), 0)).toBe(MAX)
    expect(Bytes.readUint64(u64(2n ** 53n), 0)).toBeNaN()
    expect(Bytes.readUint64(u64(2n ** 63n), 0)).toBeNaN()
    expect(Bytes.readUint64(u64(2n ** 64n - 1n), 0)).toBeNaN()
  })
})

describe("comparing and joining", () => {
  it("equals: the same length and the same bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, change) => {
        expect(Bytes.equals(bytes, bytes.slice())).toBe(true)
        expect(Bytes.equals(bytes, Uint8Array.of(...bytes, 0))).toBe(false)
        expect(Bytes.equals(Uint8Array.of(...bytes, 0), bytes)).toBe(false)
        if (bytes.length === 0) return
        const other = bytes.slice()
        other[at % bytes.length]! ^= change
        expect(Bytes.equals(bytes, other)).toBe(false)
      })
    )
  })

  it("isBlank: only zeros", () => {
    expect(Bytes.isBlank(Bytes.empty)).toBe(true)
    for (let length = 1; length < 20; length++) {
      const bytes = new Uint8Array(length)
      expect(Bytes.isBlank(bytes)).toBe(true)
      for (let i = 0; i < length; i++) {
        bytes[i] = 1
        expect(Bytes.isBlank(bytes)).toBe(false)
        bytes[i] = 0
      }
    }
  })

  it("concat and totalLength", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (parts) => {
        const all = new Uint8Array(Buffer.concat(parts))
        expect(Bytes.concat(parts)).toEqual(all)
        expect(Bytes.totalLength(parts)).toBe(all.length)
      })
    )
  })
})

describe("hexadecimal", () => {
  it("goes there and back, in either case", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = Bytes.toHex(bytes)
        expect(text).toBe(Buffer.from(bytes).toString("hex"))
        expect(Bytes.fromHex(text)).toEqual(bytes)
        expect(Bytes.fromHex(text.toUpperCase())).toEqual(bytes)
      })
    )
  })

  it.each(["a", "abc", "0x", "zz", "ab ", "-1", "+f", "０１"])("%j is not hexadecimal", (text) => {
    expect(Bytes.fromHex(text)).toBeUndefined()
  })
})
