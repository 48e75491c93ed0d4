import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import type { Position } from "../../src/domain/FlatTree.js"
import * as Change from "../../src/domain/Change.js"
import * as Node from "../../src/domain/Node.js"
import * as Sleep from "../../src/domain/Sleep.js"
import { BytesFile } from "../reference/BytesFile.js"

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
const node = fc.record({
  index: fc.nat({ max: 200 }).map((position) => position as Position),
  hash: hash.filter((bytes) => bytes.some((byte) => byte !== 0)),
  size: fc.maxSafeNat()
})

describe("an entry of the tree file", () => {
  it("is hash, then size, and reads back as the node", () => {
    fc.assert(
      fc.property(node, fc.nat({ max: 50 }), (value, offset) => {
        const bytes = new Uint8Array(120).fill(0x55)
        Node.encode(value, bytes, offset)
        const entry = bytes.slice(offset, offset + Node.ENTRY_SIZE)
        expect(entry.subarray(0, 32)).toEqual(value.hash)
        expect(new DataView(entry.buffer).getBigUint64(32)).toBe(BigInt(value.size))
        expect(bytes.subarray(0, offset).every((byte) => byte === 0x55)).toBe(true)
        expect(bytes.subarray(offset + 40).every((byte) => byte === 0x55)).toBe(true)
        expect(Node.decode(value.index, entry)).toEqual(value)
      })
    )
  })

  it("is no node when blank, short, or of an impossible size", () => {
    const at = 4 as Position
    expect(Node.decode(at, new Uint8Array(40))).toBeUndefined()
    expect(Node.decode(at, new Uint8Array(39).fill(1))).toBeUndefined()
    expect(Node.decode(at, new Uint8Array(0))).toBeUndefined()
    const huge = new Uint8Array(40).fill(1)
    huge.set([0, 0x20, 0, 0, 0, 0, 0, 0], 32)
    expect(Node.decode(at, huge)).toBeUndefined()
    huge.set([0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 32)
    expect(Node.decode(at, huge)?.size).toBe(Number.MAX_SAFE_INTEGER)
  })

  it("of an empty block has size 0 and a hash", () => {
    const entry = new Uint8Array(40)
    entry[31] = 1
    expect(Node.decode(4 as Position, entry)).toMatchObject({ index: 4, size: 0 })
  })

  it("gives the node bytes of its own", () => {
    const entry = new Uint8Array(40).fill(1)
    entry[32] = 0
    const decoded = Node.decode(4 as Position, entry)!
    entry.fill(9)
    expect(decoded.hash.every((byte) => byte === 1)).toBe(true)
  })
})

it("Change.nodeWrites stores each node at its place, neighbours in one write", () => {
  const nodes = fc.uniqueArray(node, { selector: (value) => value.index, maxLength: 30 })
  fc.assert(
    fc.property(nodes, (values) => {
      const file = new BytesFile()
      const expected = new BytesFile()
      const writes = Change.nodeWrites(values)
      for (const write of writes) {
        expect(write.file).toBe("tree")
        for (const part of write.parts) file.write(write.offset, part)
      }
      for (const value of values) {
        const entry = new Uint8Array(40)
        Node.encode(value, entry, 0)
        expected.write(Sleep.nodeOffset(value.index), entry)
      }
      expect(file.bytes).toEqual(expected.bytes)
      const positions = new Set(values.map((value) => Number(value.index)))
      const runs = [...positions].filter((position) => !positions.has(position - 1)).length
      expect(writes).toHaveLength(runs)
    })
  )
})
