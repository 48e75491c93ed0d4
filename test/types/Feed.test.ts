/** What the types promise: errors by name, no requirements once a feed is open. `tsc` is the judge of these tests. */
import { describe, expectTypeOf, it } from "@effect/vitest"
import { Effect, type ParseResult, Schema, type Scope, type Sink, type Stream } from "effect"
import {
  type BadArgument,
  type BlockUnavailable,
  type CorruptStorage,
  type Crypto,
  type EncodingError,
  Feed,
  type FeedClosed,
  type FeedEvent,
  type ForkDetected,
  type InvalidProof,
  type InvalidSignature,
  type NotWritable,
  type OpenRefused,
  type Proof,
  type StaleWriter,
  type Storage,
  type StorageError,
  type TreeNode,
  ValueEncoding,
  type WriteRefused
} from "../../src/index.js"

type Reads = BadArgument | BlockUnavailable | CorruptStorage | FeedClosed | StorageError
type Appends =
  | BadArgument
  | FeedClosed
  | ForkDetected
  | NotWritable
  | StaleWriter
  | StorageError
  | WriteRefused

interface Item {
  readonly n: number
}
// Only their types are looked at.
const feed = {} as Feed.Feed<Item, "odd">
const bytesFeed = {} as Feed.Feed

describe("open", () => {
  it("needs Crypto, Storage and a Scope, and nothing else", () => {
    const open = () => Feed.open()
    expectTypeOf<ReturnType<typeof open>>().toEqualTypeOf<
      Effect.Effect<
        Feed.Feed<Uint8Array, never>,
        OpenRefused | CorruptStorage | StorageError,
        Crypto | Storage | Scope.Scope
      >
    >()
  })

  it("knows values and errors by the encoding", () => {
    class Person extends Schema.Class<Person>("Person")({ name: Schema.String }) {}
    const opened = {
      text: () => Feed.open({ encoding: ValueEncoding.utf8 }),
      json: () => Feed.open({ encoding: ValueEncoding.json }),
      binary: () => Feed.open({ encoding: ValueEncoding.binary }),
      person: () => Feed.open({ encoding: ValueEncoding.schema(Person) }),
      number: () => Feed.open({ encoding: ValueEncoding.schema(Schema.NumberFromString, ValueEncoding.utf8) })
    }
    type Opened = { [K in keyof typeof opened]: Effect.Effect.Success<ReturnType<(typeof opened)[K]>> }
    expectTypeOf<Opened["text"]>().toEqualTypeOf<Feed.Feed<string, EncodingError>>()
    expectTypeOf<Opened["json"]>().toEqualTypeOf<Feed.Feed<unknown, EncodingError>>()
    expectTypeOf<Opened["binary"]>().toEqualTypeOf<Feed.Feed<Uint8Array, never>>()
    expectTypeOf<Opened["person"]>().toEqualTypeOf<
      Feed.Feed<Person, ParseResult.ParseError | EncodingError>
    >()
    expectTypeOf<Opened["number"]>().toEqualTypeOf<
      Feed.Feed<number, ParseResult.ParseError | EncodingError>
    >()
  })

  it("without an encoding gives bytes, whatever the caller would like", () => {
    const options = {} as Feed.OpenOptions
    const opened = { options: () => Feed.open(options), path: () => Feed.open({ path: "a" }) }
    type Opened = { [K in keyof typeof opened]: Effect.Effect.Success<ReturnType<(typeof opened)[K]>> }
    expectTypeOf<Opened["options"]>().toEqualTypeOf<Feed.Feed<Uint8Array, never>>()
    expectTypeOf<Opened["path"]>().toEqualTypeOf<Feed.Feed<Uint8Array, never>>()
    // @ts-expect-error nothing makes strings of bytes
    void (() => Feed.open<string, never>())
    // @ts-expect-error nothing makes strings of bytes
    void (() => Feed.open<string, never>({ path: "a" }))
    // @ts-expect-error nothing makes strings of bytes
    void ((): Effect.Effect<Feed.Feed<string>, unknown, Crypto | Storage | Scope.Scope> => Feed.open({}))
    const maybe = {} as Feed.OpenOptions<string, EncodingError>
    // @ts-expect-error the encoding may be absent
    void (() => Feed.open(maybe))
    // @ts-expect-error an encoding of other values
    void (() => Feed.open<string, EncodingError>({ encoding: ValueEncoding.json }))
  })

  it("refuses a schema that needs services, and options that do not exist", () => {
    const needy = Schema.String as unknown as Schema.Schema<string, string, Crypto>
    // @ts-expect-error the schema has requirements
    void (() => ValueEncoding.schema(needy))
    // @ts-expect-error no such option
    void (() => Feed.open({ valueEncoding: "json" }))
    // @ts-expect-error a key is bytes
    void (() => Feed.open({ key: "abcd" }))
    // @ts-expect-error a hook needs no services
    void (() => Feed.open({ onwrite: () => Effect.void as Effect.Effect<void, never, Crypto> }))
  })
})

describe("the operations", () => {
  it("that write take values and say how they fail", () => {
    expectTypeOf(feed.append).toEqualTypeOf<(value: Item) => Effect.Effect<number, Appends | "odd">>()
    expectTypeOf(feed.appendBatch).toEqualTypeOf<
      (values: Iterable<Item> & object) => Effect.Effect<number, Appends | "odd">
    >()
    expectTypeOf(feed.sink).toEqualTypeOf<Sink.Sink<number, Item, never, Appends | "odd">>()
    expectTypeOf(bytesFeed.append).toEqualTypeOf<(value: Uint8Array) => Effect.Effect<number, Appends>>()
    expectTypeOf(feed.clear).returns.toEqualTypeOf<
      Effect.Effect<void, BadArgument | FeedClosed | NotWritable | StorageError>
    >()
    expectTypeOf(feed.put).returns.toEqualTypeOf<
      Effect.Effect<
        void,
        | BadArgument
        | FeedClosed
        | ForkDetected
        | InvalidProof
        | InvalidSignature
        | NotWritable
        | StorageError
        | WriteRefused
      >
    >()
    const texts = {} as Feed.Feed<string>
    void (() => texts.appendBatch(["a"]))
    void (() => texts.appendBatch(new Set(["a"]) as Iterable<string>))
    // @ts-expect-error a batch of texts, not of a text's characters
    void (() => texts.appendBatch("oops"))
    // @ts-expect-error not a value of this feed
    void (() => feed.append("text"))
  })

  it("that read give values and say how they fail", () => {
    expectTypeOf(feed.get).returns.toEqualTypeOf<Effect.Effect<Item, Reads | "odd">>()
    expectTypeOf(feed.head).returns.toEqualTypeOf<Effect.Effect<Item, Reads | "odd">>()
    expectTypeOf(feed.getBatch).returns.toEqualTypeOf<Effect.Effect<ReadonlyArray<Item>, Reads | "odd">>()
    expectTypeOf(feed.stream).returns.toEqualTypeOf<Stream.Stream<Item, Reads | "odd">>()
    expectTypeOf(bytesFeed.get).returns.toEqualTypeOf<Effect.Effect<Uint8Array, Reads>>()
  })

  it("that look at the log say less", () => {
    expectTypeOf(feed.has).returns.toEqualTypeOf<Effect.Effect<boolean, BadArgument | FeedClosed>>()
    expectTypeOf(feed.downloaded).returns.toEqualTypeOf<Effect.Effect<number, BadArgument | FeedClosed>>()
    expectTypeOf(feed.digest).returns.toEqualTypeOf<Effect.Effect<number, BadArgument | FeedClosed>>()
    expectTypeOf(feed.update).returns.toEqualTypeOf<
      Effect.Effect<number, BadArgument | BlockUnavailable | FeedClosed>
    >()
    expectTypeOf(feed.audit).returns.toEqualTypeOf<
      Effect.Effect<Feed.AuditReport, FeedClosed | StorageError>
    >()
    expectTypeOf(feed.seek).returns.toEqualTypeOf<Effect.Effect<Feed.SeekResult, Reads>>()
    expectTypeOf(feed.proof).returns.toEqualTypeOf<Effect.Effect<Proof, Reads>>()
    type Trees = BadArgument | BlockUnavailable | FeedClosed | StorageError
    expectTypeOf(feed.signature).returns.toEqualTypeOf<Effect.Effect<Feed.IndexedSignature, Trees>>()
    expectTypeOf(feed.rootHashes).returns.toEqualTypeOf<Effect.Effect<ReadonlyArray<TreeNode>, Trees>>()
    expectTypeOf(feed.verify).returns.toEqualTypeOf<Effect.Effect<void, Trees | InvalidSignature>>()
    expectTypeOf(feed.close).toEqualTypeOf<Effect.Effect<void, StorageError>>()
    expectTypeOf(feed.events).toEqualTypeOf<Stream.Stream<FeedEvent>>()
  })

  it("need no services", () => {
    type Required = {
      [K in keyof Feed.Feed]: Feed.Feed[K] extends (...args: Array<never>) => infer A
        ? A extends Effect.Effect<unknown, unknown, infer R>
          ? R
          : A extends Stream.Stream<unknown, unknown, infer R>
            ? R
            : never
        : never
    }[keyof Feed.Feed]
    expectTypeOf<Required>().toEqualTypeOf<never>()
  })

  it("can be told apart by tag, every one of them", () => {
    const handled = () =>
      feed.get(0).pipe(
        Effect.catchTags({
          BadArgument: () => Effect.succeed("argument"),
          BlockUnavailable: ({ index, reason }) => Effect.succeed(`${index} ${reason}`),
          CorruptStorage: ({ file }) => Effect.succeed(file),
          FeedClosed: () => Effect.succeed("closed"),
          StorageError: ({ reason }) => Effect.succeed(reason)
        })
      )
    expectTypeOf(handled).returns.toEqualTypeOf<Effect.Effect<Item | string, "odd">>()
  })

  it("leave the feed as it is", () => {
    // @ts-expect-error read-only
    void (() => (feed.length = 3))
    // @ts-expect-error read-only
    void (() => (feed.key = new Uint8Array(32)))
  })
})
