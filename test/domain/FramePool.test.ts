/** FramePool: what is given back is used again, and nothing else; and how the wire uses it. */
import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { FramePool } from "../../src/domain/FramePool.js"
import { FrameReader, FrameWriter } from "../../src/domain/Framing.js"
import * as Wire from "../../src/domain/Wire.js"
import { leaf } from "../../src/domain/FlatTree.js"

describe("FramePool", () => {
  it("gives a taken array to nobody else before it is given back, and at most once after", () => {
    const step = fc.oneof(
      fc.record({ take: fc.constantFrom(1, 4095, 4096, 5000, 8192, 65_536, 1_000_000, 5_000_000) }),
      fc.record({ give: fc.nat(20), twice: fc.boolean() })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pool = new FramePool()
        const taken: Array<Uint8Array> = []
        for (const one of steps) {
          if ("take" in one) {
            const bytes = pool.take(one.take)
            expect(bytes).toHaveLength(one.take)
            expect(taken.some(({ buffer }) => buffer === bytes.buffer)).toBe(false)
            taken.push(bytes)
          } else if (one.give < taken.length) {
            const [bytes] = taken.splice(one.give, 1)
            pool.give(bytes!.subarray(0, 0))
            if (one.twice) pool.give(bytes!)
          }
        }
      })
    )
  })

  it("uses an array again for a frame of about the size, and keeps 8 MiB at most", () => {
    const pool = new FramePool()
    const one = pool.take(65_900)
    pool.give(one)
    expect(pool.take(66_000).buffer).toBe(one.buffer)
    const many = Array.from({ length: 20 }, () => pool.take(1024 * 1024))
    for (const bytes of many) pool.give(bytes)
    const again = Array.from({ length: 20 }, () => pool.take(1024 * 1024))
    expect(again.filter(({ buffer }) => many.some((bytes) => bytes.buffer === buffer))).toHaveLength(8)
  })

  it("takes nothing back that is not its own", () => {
    const pool = new FramePool()
    const foreign = new Uint8Array(8192)
    pool.give(foreign)
    pool.give(new Uint8Array(0))
    expect(pool.take(8192).buffer).not.toBe(foreign.buffer)
  })
})

const frames = (blocks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const writer = new FrameWriter()
  for (const [index, value] of blocks.entries()) {
    const node = { index: leaf(index + 1), hash: new Uint8Array(32).fill(index), size: 7 }
    writer.message(0, {
      _tag: "Data",
      index,
      value,
      nodes: [node],
      signature: new Uint8Array(64).fill(index)
    })
  }
  return Buffer.concat(writer.take())
}

describe("a reader of frames in parts", () => {
  const blocks = Array.from({ length: 6 }, (_, i) => new Uint8Array(40_000).fill(i))
  const bytes = frames(blocks)

  /** Reads all, and says after each block whether it is done with. */
  const read = (isDone: (index: number) => boolean) => {
    const reader = new FrameReader()
    const all: Array<Wire.Data> = []
    for (let at = 0; at < bytes.length; at += 16_384) {
      const some = Either.getOrThrow(reader.read(bytes.subarray(at, at + 16_384)))
      for (const { body, type } of some) {
        const data = Either.getOrThrow(Wire.decode(type, body, 0, body.length)) as Wire.Data
        expect(data.value).toEqual(blocks[data.index])
        all.push(data)
        if (isDone(data.index)) reader.recycle(data.value!)
      }
    }
    return all
  }

  it("joins the next in the memory of a block that is done with", () => {
    const all = read(() => true)
    expect(new Set(all.map(({ value }) => value!.buffer)).size).toBe(1)
  })

  it("leaves a block alone that is not", () => {
    const all = read((index) => index % 2 === 0)
    for (const { index, value } of all) if (index % 2 === 1) expect(value).toEqual(blocks[index])
  })

  it("has hashes and signatures apart from the block: they outlive it", () => {
    for (const { index, nodes, signature } of read(() => true)) {
      expect(nodes[0]!.hash).toEqual(new Uint8Array(32).fill(index))
      expect(signature).toEqual(new Uint8Array(64).fill(index))
    }
  })
})
