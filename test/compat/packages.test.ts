/**
 * Packages that were made for the real hypercore 6 and 7, unchanged, on the façade. docs/compat-packages.md has the results of more of
 * them; these two are small enough to stay.
 */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import type { Duplex } from "node:stream"
import { describe } from "vitest"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { assertions, bundle, run } from "./ownTests.js"
import { type AnyFeed, called, ends, join, type Maker, makers, ram, values } from "./peers.js"

const require = createRequire(import.meta.url)

describe("append-tree, of hypercore 6, by its own tests", () => {
  const runOn = (hypercore: string) =>
    run("append-tree/test.js", "hypercoreOfTest.cjs", { HYPERCORE: hypercore })

  it.scoped("passes with ours as it does with the real package", () =>
    Effect.gen(function* () {
      const outfile = yield* bundle("index", fs.realpathSync(yield* temporaryDirectory))
      const [real, ours] = yield* Effect.all([runOn(require.resolve("hypercore-6")), runOn(outfile)], {
        concurrency: 2
      })
      const expected = assertions(real)
      const all = [...expected.values()].flat()
      expect(all).toHaveLength(141)
      expect(all.filter((line) => line.startsWith("not"))).toEqual([])
      expect(Object.fromEntries(assertions(ours))).toEqual(Object.fromEntries(expected))
      expect(ours.code).toBe(0)
    })
  )
})

/** What is used of it. */
interface Multifeed {
  readonly writer: (callback: (error: Error | null, feed?: AnyFeed) => void) => void
  readonly feeds: () => ReadonlyArray<AnyFeed>
  readonly replicate: (options?: object) => Duplex
}

const multifeed = require("multifeed") as (
  hypercore: unknown,
  storage: unknown,
  options: { readonly valueEncoding: "json" }
) => Multifeed

const writtenBy = async (maker: Maker, entries: ReadonlyArray<unknown>): Promise<Multifeed> => {
  const feeds = multifeed(makers[maker], () => (ram as () => unknown)(), { valueEncoding: "json" })
  const feed = await called<AnyFeed>((callback) => feeds.writer(callback))
  await called((callback) => void feed.append(entries, callback as never))
  return feeds
}

const contents = async (multi: Multifeed): Promise<ReadonlyArray<unknown>> =>
  (await Promise.all(multi.feeds().map((feed) => values(feed)))).sort((a, b) => a.length - b.length)

describe("multifeed, on real protocol streams", () => {
  const [one, other] = [[{ a: 1 }, { a: 2 }], ["only"]]

  it.effect.each<readonly [Maker, Maker]>([
    ["7.7.1", "6.25.2"],
    ["ours", "ours"],
    ["ours", "7.7.1"],
    ["6.25.2", "ours"]
  ])("exchanges the feeds of both sides: %s", ([here, there]) =>
    Effect.promise(async () => {
      const [mine, theirs] = await Promise.all([writtenBy(here, one), writtenBy(there, other)])
      const [a, b] = [mine.replicate(), theirs.replicate()]
      const over = ends(a, b)
      join(a, b)
      await over
      for (const multi of [mine, theirs]) expect(await contents(multi)).toEqual([other, one])
    })
  )
})
