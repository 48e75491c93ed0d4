/** What was repaired or backed up is a feed for the real peers too. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Feed } from "../../src/index.js"
import { layer } from "../../src/node.js"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { openPeer, peers } from "./peer.js"

const LENGTH = 20_000

const blockOf = (index: number): Buffer => Buffer.from(index % 97 === 5 ? "" : `block ${index}`)

const write = (directory: string) =>
  Effect.gen(function* () {
    const feed = yield* Feed.open()
    for (let start = 0; start < LENGTH; start += 1000) {
      yield* feed.appendBatch(Array.from({ length: 1000 }, (_, i) => blockOf(start + i)))
    }
  }).pipe(Effect.scoped, Effect.provide(layer({ directory })))

const damageFile = (directory: string, file: string, damage: (bytes: Buffer) => Buffer) => {
  const name = path.join(directory, file)
  fs.writeFileSync(name, damage(fs.readFileSync(name)))
}

const flip = (at: number) => (bytes: Buffer) => {
  bytes[at]! ^= 4
  return bytes
}

const entryOf = (position: number) => 32 + 40 * position

const DAMAGES: ReadonlyArray<
  readonly [name: string, damage: (directory: string) => void, expected: Partial<Feed.RepairReport>]
> = [
  [
    "the bitfield is gone",
    (directory) => fs.rmSync(path.join(directory, "bitfield")),
    {
      length: LENGTH,
      blocks: { kept: 0, found: LENGTH, dropped: 0 },
      nodes: { mended: 0, found: 2 * LENGTH - 5, dropped: 0 }
    }
  ],
  [
    "a page of the tree and nodes above it are zeros, bits are wrong, a block is damaged",
    (directory) => {
      damageFile(directory, "tree", (bytes) => bytes.fill(0, entryOf(9000), entryOf(9100)))
      // Roots of pieces and of the log.
      for (const position of [4095, 8191, 16_383, 20_479]) {
        damageFile(directory, "tree", flip(entryOf(position)))
      }
      damageFile(directory, "bitfield", (bytes) => bytes.fill(0, 32 + 64, 32 + 128))
      damageFile(directory, "data", flip(100))
    },
    // The zeros hide the root of 128 blocks, without which those beside it cannot be proven either.
    { length: LENGTH, blocks: { kept: 19_231, found: 512, dropped: 256 + 1 } }
  ]
]

describe.each(peers)("%s opens what was repaired", (_name, hypercore) => {
  for (const [name, damage, expected] of DAMAGES) {
    it.scoped(name, () =>
      Effect.gen(function* () {
        const directory = path.join(yield* temporaryDirectory, "feed")
        yield* write(directory)
        damage(directory)
        let steps = 0
        const onProgress = () => Effect.sync(() => void steps++)
        const report = yield* Feed.repair({ onProgress }).pipe(Effect.provide(layer({ directory })))
        expect(report).toMatchObject(expected)
        expect(steps).toBeGreaterThan(4)
        const peer = yield* openPeer(hypercore, directory)
        expect([peer.feed.length, peer.feed.writable]).toEqual([LENGTH, true])
        expect(yield* peer.verifyLast).toBe(true)
        expect(yield* peer.audit).toEqual({ valid: report.blocks.kept + report.blocks.found, invalid: 0 })
        for (let index = 0; index < LENGTH; index += 61) {
          if (peer.feed.has(index)) expect(yield* peer.get(index)).toEqual(blockOf(index))
        }
      })
    )
  }
})
