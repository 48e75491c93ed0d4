/** What the façade's types promise to who moves from `hypercore`: what callbacks are given, promises where there are none. `tsc` judges. */
import { describe, expectTypeOf, it } from "@effect/vitest"
import type { Effect } from "effect"
import type { Readable, Writable } from "node:stream"
import hypercore, { fromFeed, type Hypercore } from "../../src/compat/index.js"
import type { LegacyError } from "../../src/compat/LegacyError.js"
import type { Feed } from "../../src/index.js"

interface Item {
  readonly n: number
}

// Only their types are looked at.
const feed = {} as Hypercore<Item>
const key = {} as Buffer
const file = {} as { read: () => void; write: () => void }

describe("a feed", () => {
  it("is made with new or without, by a directory or a function, with a key or without", () => {
    const made = {
      plain: () => hypercore("./a"),
      keyed: () => hypercore<string>("./a", key, { valueEncoding: "utf-8" }),
      hex: () => hypercore<Item>("./a", key.toString("hex"), { valueEncoding: "json", sparse: true }),
      options: () => new hypercore<string>("./a", { valueEncoding: "utf-8", createIfMissing: false }),
      stored: () => hypercore((name) => (name === "secret_key" ? file : file), null, { secretKey: key }),
      own: () =>
        hypercore<number>("./a", {
          valueEncoding: { encode: (n: number) => Buffer.of(n), decode: (b: Buffer) => b[0]! }
        })
    }
    expectTypeOf(made.plain).returns.toEqualTypeOf<Hypercore<Buffer>>()
    expectTypeOf(made.keyed).returns.toEqualTypeOf<Hypercore<string>>()
    expectTypeOf(made.hex).returns.toEqualTypeOf<Hypercore<Item>>()
    expectTypeOf(made.options).returns.toEqualTypeOf<Hypercore<string>>()
    expectTypeOf(made.stored).returns.toEqualTypeOf<Hypercore<Buffer>>()
    expectTypeOf(made.own).returns.toEqualTypeOf<Hypercore<number>>()
    // @ts-expect-error there is no such option
    void (() => hypercore("./a", { encoding: "json" }))
    // @ts-expect-error a storage is a directory's name or a function
    void (() => hypercore(7))
    // @ts-expect-error a function that gives no storage
    void (() => hypercore(() => 7))
  })

  it("takes a hook and callbacks that sign", () => {
    void (() =>
      hypercore<string>("./a", {
        onwrite: (index, data: string, peer, done) => {
          expectTypeOf(index).toEqualTypeOf<number>()
          expectTypeOf(peer?.remoteId).toEqualTypeOf<Buffer | null | undefined>()
          done(data === "" ? new Error("empty") : null)
        },
        crypto: {
          sign: (data, secretKey, done) => {
            expectTypeOf(data).toEqualTypeOf<Buffer>()
            expectTypeOf(secretKey).toEqualTypeOf<Buffer | null>()
            done(null, Buffer.alloc(64))
          },
          verify: (data, signature, publicKey, done) =>
            done(null, data.equals(signature) && publicKey.length > 0)
        }
      }))
  })

  it("can be extended, and keeps what is put on it", () => {
    class Log extends hypercore<string> {
      lines = 0
    }
    expectTypeOf<Log["lines"]>().toEqualTypeOf<number>()
    expectTypeOf(() => new Log("./a").get(0)).returns.toEqualTypeOf<Promise<string>>()
  })

  it("is a feed of an Effect program, and the other way round", () => {
    const open = {} as Feed.Feed
    expectTypeOf(() => fromFeed<string>(open, { valueEncoding: "utf-8" })).returns.toEqualTypeOf<
      Hypercore<string>
    >()
    expectTypeOf<(typeof hypercore)["fromFeed"]>().toEqualTypeOf<typeof fromFeed>()
    expectTypeOf(feed.effect).toEqualTypeOf<Effect.Effect<Feed.Feed, LegacyError>>()
    expectTypeOf(hypercore.discoveryKey).returns.toEqualTypeOf<Buffer>()
    // @ts-expect-error the façade's encoding is its own: it takes feeds of bytes
    void (() => fromFeed({} as Feed.Feed<string>))
  })
})

describe("a call", () => {
  it("gives its callback an error or values", () => {
    void (() =>
      feed.append({ n: 1 }, (error, index) =>
        expectTypeOf({ error, index }).toEqualTypeOf<{
          error: LegacyError | null
          index: number | undefined
        }>()
      ))
    void (() => feed.append([{ n: 1 }, { n: 2 }], () => {}))
    void (() => feed.get(0, (_, item) => expectTypeOf(item).toEqualTypeOf<Item | undefined>()))
    void (() =>
      feed.get(0, { timeout: 100 }, (_, item) => expectTypeOf(item).toEqualTypeOf<Item | undefined>()))
    void (() =>
      feed.getBatch(0, 2, (_, items) => expectTypeOf(items).toEqualTypeOf<Array<Item> | undefined>()))
    void (() =>
      feed.seek(3, (_, index, offset) =>
        expectTypeOf({ index, offset }).toEqualTypeOf<{
          index: number | undefined
          offset: number | undefined
        }>()
      ))
    void (() =>
      feed.signature((_, found) => expectTypeOf(found?.signature).toEqualTypeOf<Buffer | undefined>()))
    void (() => feed.audit((_, report) => expectTypeOf(report?.invalid).toEqualTypeOf<number | undefined>()))
    // @ts-expect-error not a value of this feed
    void (() => feed.append("text"))
    // @ts-expect-error no such option
    void (() => feed.get(0, { encoding: "json" }))
  })

  it("gives a promise where the callback is left out, and nothing where it is not", () => {
    expectTypeOf(() => feed.append({ n: 1 })).returns.toEqualTypeOf<Promise<number>>()
    expectTypeOf(() => feed.get(0)).returns.toEqualTypeOf<Promise<Item>>()
    expectTypeOf(() => feed.getBatch(0, 1)).returns.toEqualTypeOf<Promise<Array<Item>>>()
    expectTypeOf(() => feed.head()).returns.toEqualTypeOf<Promise<Item>>()
    expectTypeOf(() => feed.seek(1)).returns.toEqualTypeOf<Promise<[number, number]>>()
    expectTypeOf(() => feed.update()).returns.toEqualTypeOf<Promise<void>>()
    expectTypeOf(() => feed.ready()).returns.toEqualTypeOf<Promise<void>>()
    expectTypeOf(() => feed.close()).returns.toEqualTypeOf<Promise<void>>()
    expectTypeOf(() => feed.clear(0, 1)).returns.toEqualTypeOf<Promise<void>>()
    expectTypeOf(() => feed.get(0, () => {})).returns.toEqualTypeOf<void>()
    expectTypeOf(() => feed.append({ n: 1 }, () => {})).returns.toEqualTypeOf<void>()
  })

  it("that looks, answers", () => {
    expectTypeOf(() => feed.has(0)).returns.toEqualTypeOf<boolean>()
    expectTypeOf(() => feed.downloaded()).returns.toEqualTypeOf<number>()
    expectTypeOf(feed.key).toEqualTypeOf<Buffer | null>()
    expectTypeOf(feed.length).toEqualTypeOf<number>()
    expectTypeOf(() => feed.createReadStream({ live: true, tail: true })).returns.toEqualTypeOf<Readable>()
    expectTypeOf(() => feed.createWriteStream()).returns.toEqualTypeOf<Writable>()
    expectTypeOf<Hypercore["peers"][number]["remoteLength"]>().toEqualTypeOf<number>()
    expectTypeOf(() => feed.stats!.totals.downloadedBlocks).returns.toEqualTypeOf<number>()
    // @ts-expect-error counted, not set
    void (() => (feed.length = 3))
  })

  it("replicates into a stream of Node's, which carries several feeds", () => {
    void (() => {
      const stream = feed.replicate({ live: true, encrypt: false, ack: true, userData: Buffer.from("me") })
      process.stdin.pipe(stream).pipe(process.stdout)
      hypercore("./other").replicate({ stream })
      expectTypeOf(stream.remoteId).toEqualTypeOf<Buffer | null>()
      expectTypeOf(stream.destroyed).toEqualTypeOf<boolean>()
      // @ts-expect-error no such option
      feed.replicate({ initiator: true })
    })
  })
})
