/** Cutting by chunks against cutting all at once: where chunks end must not matter. */
import { Either } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as BlockCutter from "../../src/cli/BlockCutter.js"
import { formatBytes, formatCount, parseBlockSize } from "../../src/cli/ByteSize.js"
import { MAX_BLOCK_SIZE } from "../../src/index.js"

const cutAll = (cutting: BlockCutter.Cutting, chunks: ReadonlyArray<Uint8Array>): Array<string> => {
  const cutter = BlockCutter.make(cutting)
  const cuts = [...chunks.map((chunk) => cutter.push(chunk)), cutter.end()]
  return cuts.flatMap((cut) =>
    Either.getOrThrow(cut).map((block: Uint8Array) => Buffer.from(block).toString("latin1"))
  )
}

const chunks = fc.array(
  fc.array(fc.constantFrom(10, 13, 97), { maxLength: 12 }).map((bytes) => Uint8Array.from(bytes)),
  { maxLength: 8 }
)

const text = (parts: ReadonlyArray<Uint8Array>): string => Buffer.concat(parts).toString("latin1")

describe("BlockCutter", () => {
  it("makes one block of all", () => {
    fc.assert(
      fc.property(chunks, (parts) => {
        expect(cutAll({ _tag: "Whole" }, parts)).toEqual([text(parts)])
      })
    )
  })

  it("makes a block of each line", () => {
    fc.assert(
      fc.property(chunks, (parts) => {
        const lines = text(parts).split("\n")
        if (lines.at(-1) === "") lines.pop()
        expect(cutAll({ _tag: "Lines" }, parts)).toEqual(lines)
      })
    )
  })

  it("makes blocks of one size, and a last one of what is left", () => {
    fc.assert(
      fc.property(chunks, fc.integer({ min: 1, max: 20 }), (parts, size) => {
        const all = text(parts)
        const blocks = Array.from({ length: Math.ceil(all.length / size) }, (_, i) =>
          all.slice(i * size, (i + 1) * size)
        )
        expect(cutAll({ _tag: "Pieces", size }, parts)).toEqual(blocks)
      })
    )
  })

  it("takes a block of the largest size, and no larger one", () => {
    const largest = new Uint8Array(MAX_BLOCK_SIZE)
    for (const _tag of ["Whole", "Lines"] as const) {
      expect(cutAll({ _tag }, [largest])).toHaveLength(1)
      const cutter = BlockCutter.make({ _tag })
      expect(Either.isRight(cutter.push(largest))).toBe(true)
      expect(Either.isLeft(cutter.push(new Uint8Array(1)))).toBe(true)
    }
  })
})

describe("ByteSize", () => {
  it("reads block sizes", () => {
    const sizes = ["1", "4096", "64k", "64K", "1m", String(MAX_BLOCK_SIZE)].map((size) =>
      parseBlockSize(size)
    )
    expect(sizes.map(Either.getOrNull)).toEqual([1, 4096, 65_536, 65_536, 1_048_576, MAX_BLOCK_SIZE])
    for (const bad of ["", "0", "-1", "1.5k", "1g", "k", "8m", "1e3", "9".repeat(400)]) {
      expect(Either.isLeft(parseBlockSize(bad))).toBe(true)
    }
  })

  it("writes counts", () => {
    const counts = [0, 1, 999, 1000, 1_234_567].map((count) => formatCount(count, "block"))
    expect(counts).toEqual(["0 blocks", "1 block", "999 blocks", "1,000 blocks", "1,234,567 blocks"])
  })

  it("writes sizes", () => {
    const sizes = [0, 1023, 1024, 1536, 1024 * 1024 - 1, 5 * 1024 ** 3, 1024 ** 5]
    expect(sizes.map(formatBytes)).toEqual([
      "0 B",
      "1023 B",
      "1.0 KiB",
      "1.5 KiB",
      "1.0 MiB",
      "5.0 GiB",
      "1024.0 TiB"
    ])
  })
})
