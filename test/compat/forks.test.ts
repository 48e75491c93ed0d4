/** Two histories of one key, on the façade: readers end as the real peer's do, with what shows the fork as the cause. */
import { Effect } from "effect"
import type { Duplex } from "node:stream"
import { describe, expect, it } from "vitest"
import { Crypto, Fork, ForkDetected } from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import { type AnyFeed, called, join, type Maker, makers, ram, ready } from "./peers.js"

const crypto = await Effect.runPromise(Effect.provide(Crypto, CryptoNode.layer))
const keys = await Effect.runPromise(crypto.keyPair(new Uint8Array(32).fill(5)))
const key = Buffer.from(keys.publicKey)

const history = (branch: string, length: number): Array<string> =>
  Array.from({ length }, (_, i) => (i < 5 ? `block ${i}` : `${branch} ${i}`))

/** A writer of the branch. */
const writer = async (maker: Maker, branch: string, length: number): Promise<AnyFeed> => {
  const feed = makers[maker](ram, key, { secretKey: Buffer.from(keys.secretKey) })
  await ready(feed)
  await called((callback) => feed.append(history(branch, length), callback))
  return feed
}

/** Links two feeds, live; gives both ends. */
const linked = (a: AnyFeed, b: AnyFeed): readonly [Duplex, Duplex] => {
  const ends = [a.replicate({ live: true }), b.replicate({ live: true })] as const
  join(...ends)
  return ends
}

/** A reader that has all of the writer's, and is not connected any more. */
const readerOf = async (maker: Maker, from: AnyFeed): Promise<AnyFeed> => {
  const reader = makers[maker](ram, key)
  await ready(reader)
  const ends = linked(from, reader)
  for (const end of ends) end.on("error", () => {})
  for (let i = 0; i < from.length; i++) await called((callback) => reader.get(i, callback))
  for (const end of ends) end.destroy()
  return reader
}

const errorOf = (end: Duplex): Promise<Error> => new Promise((resolve) => end.once("error", resolve))

const SIGNATURE = "Remote signature could not be verified"

describe.each(["ours", "7.7.1"] as const)("a reader that meets another branch of %s", (other) => {
  for (const maker of ["ours", "7.7.1"] as const) {
    it(`ends with the real peer's words: ${maker}`, async () => {
      const reader = await readerOf(maker, await writer("ours", "a", 10))
      const [end, far] = linked(reader, await writer(other, "b", 12))
      far.on("error", () => {})
      const error = await errorOf(end)
      expect(error.message).toBe(SIGNATURE)
      expect(reader.length).toBe(10)
      if (maker === "7.7.1") return
      const { cause } = error as { readonly cause?: unknown }
      expect(cause).toBeInstanceOf(ForkDetected)
      const holds = Fork.verifyWith(crypto, (cause as ForkDetected).evidence, key)
      expect(await Effect.runPromise(holds)).toBe(true)
    })
  }

  it("or, as a writer from an old backup, catches up and appends after it", async () => {
    const old = await writer("ours", "a", 7)
    const longer = await writer(other, "a", 40)
    const ends = linked(old, longer)
    await called((callback) => old.update({ minLength: 40 }, callback))
    await called((callback) => old.download({ start: 0, end: 40 }, callback))
    expect(await called((callback) => old.append("more", callback))).toBe(40)
    expect(String(await called((callback) => old.get(39, callback)))).toBe("a 39")
    for (const end of ends) end.destroy()
  })

  it("is no writer any more where it was one", async () => {
    const feed = await writer("ours", "a", 10)
    const [end, far] = linked(feed, await readerOf(other, await writer(other, "b", 8)))
    far.on("error", () => {})
    expect((await errorOf(end)).message).toBe(SIGNATURE)
    const refused = await called((callback) => feed.append("more", callback)).catch((error: unknown) => error)
    expect(refused).toMatchObject({
      message: "This feed is not writable. Did you create it?",
      cause: { _tag: "ForkDetected" }
    })
  })
})
