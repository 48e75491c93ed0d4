/** ArrayPool: what is given back is used again, and nothing else; and how the wire uses it. */
import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { ArrayPool, arrays } from "../../src/domain/ArrayPool.js"
import { FrameReader, FrameWriter } from "../../src/domain/Framing.js"
import * as Wire from "../../src/domain/Wire.js"
import { leaf } from "../../src/domain/FlatTree.js"

describe("ArrayPool", () => {
  it("gives a taken array to nobody else before it is given back, and at most once after", () => {
    const step = fc.oneof(
      fc.record({ take: fc.constantFrom(1, 4095, 4096, 5000, 8192, 65_536, 1_000_000, 5_000_000) }),
      fc.record({ give: fc.nat(20), twice: fc.boolean() })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pool = new ArrayPool()
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
    const pool = new ArrayPool()
    const one = pool.take(65_900)
    pool.give(one)
    expect(pool.take(66_000).buffer).toBe(one.buffer)
    const many = Array.from({ length: 20 }, () => pool.take(1024 * 1024))
    for (const bytes of many) pool.give(bytes)
    const again = Array.from({ length: 20 }, () => pool.take(1024 * 1024))
    expect(again.filter(({ buffer }) => many.some((bytes) => bytes.buffer === buffer))).toHaveLength(8)
  })

  it("goes on with other sizes when those before are not used any more", () => {
    const pool = new ArrayPool()
    const old = Array.from({ length: 8 }, () => pool.take(1024 * 1024))
    for (const bytes of old) pool.give(bytes)
    const one = pool.take(65_536)
    pool.give(one)
    expect(pool.take(65_536).buffer).toBe(one.buffer)
  })

  it("takes back as a whole only what nobody cut, and nothing that somebody keeps", () => {
    const pool = new ArrayPool()
    const cut = pool.take(9000)
    expect(pool.isPart(cut)).toBe(false)
    for (const part of [cut.subarray(1), cut.subarray(0, 8999), cut.subarray(100, 200)]) {
      expect(pool.isPart(part)).toBe(true)
      pool.giveWhole(part)
    }
    expect(pool.take(9000).buffer).not.toBe(cut.buffer)
    pool.giveWhole(cut)
    expect(pool.take(9000).buffer).toBe(cut.buffer)
    pool.keep(cut.subarray(5, 6))
    pool.give(cut)
    expect(pool.take(9000).buffer).not.toBe(cut.buffer)
    expect(pool.isPart(new Uint8Array(9000).subarray(1))).toBe(false)
  })

  it("takes nothing back that is not its own", () => {
    const pool = new ArrayPool()
    const foreign = new Uint8Array(8192)
    pool.give(foreign)
    pool.give(new Uint8Array(0))
    expect(pool.take(8192).buffer).not.toBe(foreign.buffer)
  })
})

/** Frames of blocks, as they are written: large blocks in arrays of their own. With proofs, but for some, which end with the block. */
const written = (
  blocks: ReadonlyArray<Uint8Array>,
  isBare: (index: number) => boolean = () => false
): ReadonlyArray<Uint8Array> => {
  const writer = new FrameWriter()
  for (const [index, value] of blocks.entries()) {
    const hash = new Uint8Array(32).fill(index)
    const nodes = isBare(index) ? [] : [{ index: leaf(index + 1), hash, size: 7 }]
    const signature = isBare(index) ? undefined : new Uint8Array(64).fill(index)
    writer.message(0, { _tag: "Data", index, value, nodes, signature })
  }
  return writer.take()
}

const frames = (blocks: ReadonlyArray<Uint8Array>): Uint8Array => Buffer.concat(written(blocks))

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
        if (isDone(data.index)) arrays.give(data.value!)
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

describe("a reader of arrays that are used again", () => {
  const size = fc.oneof(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 3500, max: 12_000 }))
  const part = fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 4000, max: 20_000 }))

  const isBare = (index: number): boolean => index % 3 === 2

  /** Writes over whatever could be taken now. */
  const scribble = () => {
    for (let size = 4096; size <= 24_576; size += 4096) {
      const taken = Array.from({ length: 40 }, () => arrays.take(size))
      for (const bytes of taken) new Uint8Array(bytes.buffer).fill(0xee)
      for (const bytes of taken) arrays.give(bytes)
    }
  }

  const pooled = (bytes: Uint8Array): Uint8Array => {
    const taken = arrays.take(bytes.length)
    taken.set(bytes)
    return taken
  }

  /** `bytes` in arrays of the pool, each whole, or in two parts that come one after the other. */
  const inParts = (bytes: Uint8Array, sizes: ReadonlyArray<number>, cut: boolean) => {
    const parts: Array<Uint8Array> = []
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const some = bytes.subarray(at, at + sizes[i % sizes.length]!)
      at += some.length
      const taken = pooled(some)
      if (cut) parts.push(taken.subarray(0, some.length >> 1), taken.subarray(some.length >> 1))
      else parts.push(taken)
    }
    return parts
  }

  it("gives none back that a frame, or the rest of one, is still in", () => {
    fc.assert(
      fc.property(
        fc.array(size, { maxLength: 12 }),
        fc.array(part, { minLength: 1, maxLength: 5 }),
        fc.constantFrom("whole", "cut", "as written"),
        fc.constantFrom(1, 3, Number.POSITIVE_INFINITY),
        fc.func(fc.boolean()),
        (blockSizes, sizes, how, steps, isStored) => {
          const blocks = blockSizes.map((length, i) => new Uint8Array(length).fill(i + 1))
          const reader = new FrameReader()
          const all: Array<Wire.Data> = []
          const parts =
            how === "as written"
              ? written(blocks.map(pooled), isBare)
              : inParts(frames(blocks), sizes, how === "cut")
          for (const bytes of parts) {
            for (let rest = bytes; rest.length > 0; rest = reader.rest) {
              for (const frame of Either.getOrThrow(reader.read(rest, steps))) {
                const { end, start, type, value } = frame
                const read = Wire.decode(type, frame.bytes, start, end, value)
                const data = Either.getOrThrow(read) as Wire.Data
                expect(Buffer.compare(data.value!, blocks[data.index]!)).toBe(0)
                all.push(data)
                if (isStored(data.index)) arrays.give(data.value!)
              }
            }
            scribble()
          }
          expect(all).toHaveLength(blocks.length)
          for (const [i, { index, nodes, signature, value }] of all.entries()) {
            expect(index).toBe(i)
            if (!isStored(i)) expect(Buffer.compare(value!, blocks[i]!)).toBe(0)
            if (how === "as written" && isBare(i)) continue
            expect(nodes[0]!.hash).toEqual(new Uint8Array(32).fill(i))
            expect(signature).toEqual(new Uint8Array(64).fill(i))
          }
        }
      ),
      { numRuns: 150 }
    )
  })

  it("has hashes and signatures apart from a block that is done with, where it is just large, too", () => {
    for (let size = 3900; size < 4100; size++) {
      const block = new Uint8Array(size).fill(1)
      const reader = new FrameReader()
      const parts = inParts(frames([block]), [1000], false)
      const [frame] = parts.flatMap((bytes) => Either.getOrThrow(reader.read(bytes)))
      const { bytes, end, start, type, value } = frame!
      const data = Either.getOrThrow(Wire.decode(type, bytes, start, end, value)) as Wire.Data
      arrays.give(data.value!)
      scribble()
      expect({ size, hash: data.nodes[0]!.hash, signature: data.signature }).toEqual({
        size,
        hash: new Uint8Array(32),
        signature: new Uint8Array(64)
      })
    }
  })

  it("reads on into the memory of those that it has joined", () => {
    const block = new Uint8Array(30_000).fill(1)
    const parts = inParts(frames([block, block, block]), [8192], false)
    const reader = new FrameReader()
    const read = parts.flatMap((bytes) => Either.getOrThrow(reader.read(bytes)))
    expect(read).toHaveLength(3)
    const again = new Set(Array.from({ length: parts.length }, () => arrays.take(8192).buffer))
    expect(parts.filter(({ buffer }) => again.has(buffer as ArrayBuffer)).length).toBeGreaterThan(
      parts.length / 2
    )
  })
})
