/** Value encodings of a feed: text, JSON, abstract encodings, schemas; and what is stored for each. */
import { describe, expect } from "@effect/vitest"
import { Chunk, Effect, Either, Schema, Stream } from "effect"
import { createRequire } from "node:module"
import { Feed, ValueEncoding, fromHex } from "../../src/index.js"
import {
  bytes,
  expectFailure,
  inMemory,
  onEachStorage,
  openText,
  source,
  stored,
  transfer
} from "./harness.js"

const dataText = Effect.map(stored(), ({ data }) => new TextDecoder().decode(fromHex(data)))

/** Each way in and each way out gives the values. */
const roundTrips = <A, E>(feed: Feed.Feed<A, E>, values: ReadonlyArray<A>) =>
  Effect.gen(function* () {
    const third = Math.ceil(values.length / 3)
    for (const value of values.slice(0, third)) yield* feed.append(value)
    yield* feed.appendBatch(values.slice(third, 2 * third))
    expect(yield* Stream.run(Stream.fromIterable(values.slice(2 * third)), feed.sink)).toBe(
      values.length - 2 * third
    )
    expect(yield* Effect.forEach(values, (_, index) => feed.get(index))).toEqual(values)
    expect(yield* feed.getBatch(0, values.length)).toEqual(values)
    expect(Chunk.toReadonlyArray(yield* Stream.runCollect(feed.stream()))).toEqual(values)
    expect(yield* feed.head()).toEqual(values.at(-1))
  })

describe("utf-8", () => {
  onEachStorage("carries any text; the data is the text", () =>
    Effect.gen(function* () {
      const texts = ["hello", "", "é ü ß", "日本語", "👩‍👩‍👧", "\u0000\n\r\t", "\uFEFFmarked", "x".repeat(70_000)]
      const feed = yield* openText()
      yield* roundTrips(feed, texts)
      expect(feed.byteLength).toBe(Buffer.byteLength(texts.join("")))
      const raw = Buffer.from((yield* stored()).data, "hex")
      expect(raw.equals(Buffer.from(texts.join("")))).toBe(true)
    })
  )

  onEachStorage("reads bytes that are no text as replacement characters, and takes only strings", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.flatMap(Feed.open(), (feed) => feed.append(Uint8Array.from([0x61, 0xff, 0x62])))
      )
      const feed = yield* openText()
      expect(yield* feed.get(0)).toBe("a\uFFFDb")
      for (const value of [1, null, undefined, {}, bytes("x")]) {
        yield* expectFailure(feed.append(value as string), { _tag: "EncodingError", encoding: "utf-8" })
      }
      expect(feed.length).toBe(1)
    })
  )
})

describe("json", () => {
  const open = Feed.open({ encoding: ValueEncoding.json })

  onEachStorage("carries any JSON; the data file is NDJSON", () =>
    Effect.gen(function* () {
      const values = [{ a: 1 }, [1, "two", null], "text\nof two lines", 0, -1.5, true, null, {}, "日本語"]
      const feed = yield* open
      yield* roundTrips(feed, values)
      const text = yield* dataText
      expect(text.endsWith("\n")).toBe(true)
      expect(
        text
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line) as unknown)
      ).toEqual(values)
    })
  )

  onEachStorage("a value without a JSON form is an EncodingError, and appends nothing of its batch", () =>
    Effect.gen(function* () {
      const feed = yield* open
      const cyclic: Array<unknown> = []
      cyclic.push(cyclic)
      const throwing = {
        toJSON: () => {
          throw new Error("not me")
        }
      }
      for (const value of [undefined, () => 1, Symbol("s"), 1n, cyclic, throwing]) {
        const refused = { _tag: "EncodingError", encoding: "json" }
        yield* expectFailure(feed.append(value), refused)
        yield* expectFailure(feed.appendBatch([{ good: true }, value]), refused)
        yield* expectFailure(
          Stream.run(Stream.make<Array<unknown>>({ good: true }, value), feed.sink),
          refused
        )
      }
      expect(feed.length).toBe(0)
    })
  )

  onEachStorage("a block that is no JSON is an EncodingError for who reads it, not for the others", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.flatMap(openText(), (feed) => feed.appendBatch(['{"a":1}', "no json", "[2]", ""]))
      )
      const feed = yield* open
      const unreadable = { _tag: "EncodingError", encoding: "json" }
      expect(yield* feed.get(0)).toEqual({ a: 1 })
      expect(yield* feed.get(2)).toEqual([2])
      yield* expectFailure(feed.get(1), unreadable)
      yield* expectFailure(feed.head(), unreadable)
      yield* expectFailure(feed.getBatch(0, 3), unreadable)
      yield* expectFailure(Stream.runDrain(feed.stream()), unreadable)
      expect(yield* feed.audit()).toEqual({ valid: 4, invalid: 0 })
    })
  )
})

describe("abstract encodings", () => {
  const require = createRequire(createRequire(import.meta.url).resolve("hypercore-7"))
  const codecs = require("codecs") as (name: string) => ValueEncoding.AbstractEncoding<unknown>

  onEachStorage("those that hypercore uses work, and store what it stores", () =>
    Effect.gen(function* () {
      const cases = [
        ["ndjson", [{ a: 1 }, "b"], '{"a":1}\n"b"\n'],
        ["json", [{ a: 1 }, "b"], '{"a":1}"b"'],
        ["utf-8", ["a", "bé"], "abé"],
        ["hex", ["00ff", "61"], "\u0000\uFFFDa"]
      ] as const
      for (const [name, values, text] of cases) {
        const encoding = ValueEncoding.fromAbstract(codecs(name))
        const feed = yield* Feed.open({ encoding, overwrite: true })
        yield* feed.appendBatch(values)
        expect([name, yield* dataText]).toEqual([name, text])
        expect([name, yield* feed.getBatch(0, 2)]).toEqual([name, values])
        yield* feed.close
      }
    })
  )

  onEachStorage("of one's own: what it throws is an EncodingError", () =>
    Effect.gen(function* () {
      const numbers = ValueEncoding.fromAbstract<number>({
        name: "byte",
        encode: (value) => {
          if (value > 255) throw new RangeError(`${value} is no byte`)
          return Uint8Array.from([value])
        },
        decode: (block) => {
          if (block.length !== 1) throw new RangeError("not one byte")
          return block[0]!
        }
      })
      const feed = yield* Feed.open({ encoding: numbers })
      yield* roundTrips(feed, [1, 2, 255, 0, 7])
      yield* expectFailure(feed.append(256), {
        _tag: "EncodingError",
        encoding: "byte",
        detail: expect.stringContaining("256 is no byte")
      })
      yield* feed.close
      yield* Effect.scoped(Effect.flatMap(openText(), (text) => text.append("two")))
      const again = yield* Feed.open({ encoding: numbers })
      yield* expectFailure(again.head(), { _tag: "EncodingError", encoding: "byte" })
      expect(yield* again.get(2)).toBe(255)
    })
  )

  inMemory("that gives something else than bytes is a bad argument", () =>
    Effect.gen(function* () {
      const broken = ValueEncoding.fromAbstract<string>({
        encode: (value) => value as unknown as Uint8Array,
        decode: String
      })
      const feed = yield* Feed.open({ encoding: broken })
      yield* expectFailure(feed.append("text"), { _tag: "BadArgument", operation: "append" })
      expect(feed.length).toBe(0)
    })
  )
})

class Reading extends Schema.Class<Reading>("Reading")({
  at: Schema.Date,
  celsius: Schema.Number.pipe(Schema.greaterThan(-273.15))
}) {
  get fahrenheit(): number {
    return this.celsius * 1.8 + 32
  }
}

describe("schemas", () => {
  const encoding = ValueEncoding.schema(Reading)
  const readings = [10, 20.5, -3].map((celsius, i) => new Reading({ at: new Date(1e12 + i), celsius }))

  onEachStorage("a feed of a class gives instances of it, stored as lines of its encoded form", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open({ encoding })
      yield* roundTrips(feed, readings)
      const last = yield* feed.head()
      expect(last).toBeInstanceOf(Reading)
      expect(last.fahrenheit).toBeCloseTo(26.6)
      const [line] = (yield* dataText).split("\n")
      expect(JSON.parse(line!)).toEqual({ at: "2001-09-09T01:46:40.000Z", celsius: 10 })
    })
  )

  onEachStorage("what does not fit is a ParseError going in, and coming out", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open({ encoding })
      yield* feed.append(readings[0]!)
      const wrong = { at: new Date(), celsius: "warm" } as unknown as Reading
      yield* expectFailure(feed.append(wrong), { _tag: "ParseError" })
      yield* expectFailure(feed.appendBatch([readings[1]!, wrong]), { _tag: "ParseError" })
      expect(feed.length).toBe(1)
      yield* feed.close
      yield* Effect.scoped(
        Effect.flatMap(openText(), (text) =>
          text.append('{"at":"2001-09-09T01:46:40.000Z","celsius":-300}\n')
        )
      )
      const again = yield* Feed.open({ encoding })
      expect(yield* again.get(0)).toEqual(readings[0])
      const error = yield* expectFailure(again.get(1), { _tag: "ParseError" })
      expect(String(error)).toContain("celsius")
      yield* expectFailure(again.getBatch(0, 2), { _tag: "ParseError" })
      yield* expectFailure(Stream.runDrain(again.stream()), { _tag: "ParseError" })
    })
  )

  onEachStorage("a block that is no JSON at all is the inner encoding's error", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Effect.flatMap(openText(), (text) => text.append("no json")))
      const feed = yield* Feed.open({ encoding })
      yield* expectFailure(feed.get(0), { _tag: "EncodingError", encoding: "json" })
    })
  )

  onEachStorage("over another inner encoding", () =>
    Effect.gen(function* () {
      const encoding = ValueEncoding.schema(Schema.NumberFromString, ValueEncoding.utf8)
      const feed = yield* Feed.open({ encoding })
      yield* roundTrips(feed, [1, 2.5, -3, 4])
      expect(yield* dataText).toBe("12.5-34")
    })
  )

  inMemory("one that is not synchronous is a ParseError, not a defect", () =>
    Effect.gen(function* () {
      const later = Schema.transformOrFail(Schema.String, Schema.String, {
        strict: true,
        decode: (text) => Effect.delay(Effect.succeed(text), "1 second"),
        encode: (text) => Effect.delay(Effect.succeed(text), "1 second")
      })
      const feed = yield* Feed.open({ encoding: ValueEncoding.schema(later) })
      yield* expectFailure(feed.append("x"), { _tag: "ParseError" })
      expect(feed.length).toBe(0)
    })
  )
})

describe("an encoding", () => {
  onEachStorage("is the caller's view only: proofs, puts and other views carry the same blocks", () =>
    Effect.gen(function* () {
      const from = yield* source(['{"n":1}\n', '{"n":2}\n'].map(bytes))
      const feed = yield* Feed.open({ key: from.key, encoding: ValueEncoding.json, sparse: true })
      yield* transfer(from, feed, 1)
      expect(yield* feed.get(1)).toEqual({ n: 2 })
      yield* feed.close
      const raw = yield* Feed.open({ readOnly: true })
      expect(yield* raw.get(1)).toEqual(bytes('{"n":2}\n'))
    })
  )

  inMemory("of one's own says its own errors", () =>
    Effect.gen(function* () {
      const even: ValueEncoding.ValueEncoding<number, "odd"> = {
        name: "even",
        encode: (value) => (value % 2 === 0 ? Either.right(Uint8Array.from([value])) : Either.left("odd")),
        decode: (block) => (block[0]! % 2 === 0 ? Either.right(block[0]!) : Either.left("odd"))
      }
      const feed = yield* Feed.open({ encoding: even })
      yield* feed.append(2)
      expect(yield* Effect.flip(feed.append(3))).toBe("odd")
      yield* feed.close
      yield* Effect.scoped(Effect.flatMap(Feed.open(), (raw) => raw.append(Uint8Array.from([5]))))
      expect(yield* Effect.flip((yield* Feed.open({ encoding: even })).head())).toBe("odd")
    })
  )

  inMemory("that throws is a defect of its own append only", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open({
        encoding: {
          name: "throws",
          encode: (value: string) => {
            if (value === "bad") throw new Error("a bug")
            return Either.right(bytes(value))
          },
          decode: (block) => Either.right(String(block.length))
        }
      })
      const exits = yield* Effect.forEach(["a", "bad", "b"], (value) => Effect.exit(feed.append(value)), {
        concurrency: "unbounded"
      })
      expect(exits.map(({ _tag }) => _tag)).toEqual(["Success", "Failure", "Success"])
      expect(feed.length).toBe(2)
    })
  )
})
