/** The judge of the kills: it sees a fork, and takes neither blank entries nor torn ones for one. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { Signatures } from "./Signatures.js"

const entry = (fill: number, length = 64): Buffer => Buffer.alloc(64).fill(fill, 0, length)

it.scoped("two signatures for one length", () =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const signatures = new Signatures()
    const collect = (...entries: ReadonlyArray<Buffer>) => {
      fs.writeFileSync(path.join(directory, "signatures"), Buffer.concat([Buffer.alloc(32), ...entries]))
      signatures.collect(directory)
      return [...signatures.forked]
    }
    expect(collect(entry(1), entry(0), entry(3), entry(4, 20))).toEqual([])
    expect(collect(entry(1), entry(2), entry(0), entry(4))).toEqual([])
    expect(collect(entry(1), entry(2), entry(3, 10), entry(4, 30))).toEqual([])
    expect(signatures.size).toBe(4)
    expect(collect(entry(1), entry(5), entry(3), entry(4))).toEqual([2])
    expect(collect(entry(1), entry(5), entry(3), entry(6, 63))).toEqual([2, 4])
  })
)
