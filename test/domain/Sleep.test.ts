import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import { toHex } from "../../src/domain/Bytes.js"
import type { Position } from "../../src/domain/FlatTree.js"
import * as Sleep from "../../src/domain/Sleep.js"

const HEADERED = ["bitfield", "signatures", "tree"] as const

/** FORMATS, "Files": magic and type, version, entry size, algorithm; then zeros to 32 bytes. */
const HEADERS = [
  ["bitfield", 3584, "05025700 00 0e00 00"],
  ["bitfield", 3328, "05025700 00 0d00 00"],
  ["signatures", 64, "05025701 00 0040 07 45643235353139"],
  ["tree", 40, "05025702 00 0028 07 424c414b453262"]
] as const

describe("headers", () => {
  it.each(HEADERS)("%s with entries of %i bytes", (file, size, hex) => {
    expect(toHex(Sleep.header(file, size))).toBe(hex.replaceAll(" ", "").padEnd(64, "0"))
    expect(Sleep.entrySize(file, Sleep.header(file, size))).toBe(size)
  })

  it("of any entry size read back", () => {
    fc.assert(
      fc.property(fc.constantFrom(...HEADERED), fc.nat({ max: 65_535 }), (file, size) => {
        const header = Sleep.header(file, size)
        expect(header).toHaveLength(32)
        expect(Sleep.entrySize(file, header)).toBe(size)
        expect(Sleep.entrySize(file, new Uint8Array([...header, 1, 2, 3]))).toBe(size)
      })
    )
  })

  it("of another file, cut short, or with any other byte changed, are none", () => {
    for (const file of HEADERED) {
      const header = Sleep.header(file, 3584)
      for (const other of HEADERED) {
        if (other !== file) expect(Sleep.entrySize(other, header)).toBeUndefined()
      }
      for (let length = 0; length < 32; length++) {
        expect(Sleep.entrySize(file, header.subarray(0, length))).toBeUndefined()
      }
      for (let i = 0; i < 32; i++) {
        if (i === 5 || i === 6) continue
        const changed = header.slice()
        changed[i]! ^= 1
        expect(Sleep.entrySize(file, changed)).toBeUndefined()
      }
    }
  })
})

describe("where entries lie", () => {
  it("nodes at 32 + 40 p, signatures at 32 + 64 i", () => {
    expect([0, 1, 2 ** 40].map((p) => Sleep.nodeOffset(p as Position))).toEqual([32, 72, 32 + 40 * 2 ** 40])
    expect([0, 1, 2 ** 40].map(Sleep.signatureOffset)).toEqual([32, 96, 32 + 64 * 2 ** 40])
  })

  it("only whole signatures count", () => {
    const sizes = [0, 31, 32, 95, 96, 97, 159, 160]
    expect(sizes.map(Sleep.signatureCount)).toEqual([0, 0, 0, 0, 1, 1, 1, 2])
  })
})
