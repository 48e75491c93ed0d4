/** Values to blocks and back. Whatever cannot be encoded or decoded is a `Left`; nothing throws. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Option, Schema } from "effect"
import fc from "fast-check"
import { runInNewContext } from "node:vm"
import { EncodingError } from "../../src/domain/Errors.js"
import * as ValueEncoding from "../../src/domain/ValueEncoding.js"
import { codecs } from "../reference/peer.js"

const left = (result: Either.Either<unknown, unknown>) => Either.getOrThrow(Either.flip(result))

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (value: string) => new TextEncoder().encode(value)

const roundTrip = <A, E>(encoding: ValueEncoding.ValueEncoding<A, E>, value: A): A =>
  Either.getOrThrow(encoding.decode(Either.getOrThrow(encoding.encode(value))))

const expectEncodingError = (result: Either.Either<unknown, unknown>, encoding: string): void => {
  expect(Either.isLeft(result)).toBe(true)
  if (!Either.isLeft(result)) return
  expect(result.left).toBeInstanceOf(EncodingError)
  expect((result.left as EncodingError).encoding).toBe(encoding)
}

describe("binary", () => {
  it("is the bytes themselves", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (block) => {
        expect(Either.getOrThrow(ValueEncoding.binary.encode(block))).toBe(block)
        expect(Either.getOrThrow(ValueEncoding.binary.decode(block))).toBe(block)
      })
    )
  })
})

describe("utf-8", () => {
  const { utf8 } = ValueEncoding
  it("is the bytes that the peer's encoder gives", () => {
    fc.assert(
      fc.property(fc.fullUnicodeString(), (value) => {
        const block = Either.getOrThrow(utf8.encode(value))
        expect([...block]).toEqual([...codecs("utf-8").encode(value)])
        expect(roundTrip(utf8, value)).toBe(value)
      })
    )
  })

  it("keeps a byte order mark", () => {
    expect(roundTrip(utf8, "\uFEFFx")).toBe("\uFEFFx")
  })

  it("reads any bytes as the peer does", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (block) => {
        const value = Either.getOrThrow(utf8.decode(block))
        expect(value).toBe(codecs("utf-8").decode(Buffer.from(block)))
      })
    )
  })

  it("refuses what is not a string", () => {
    const encode = utf8.encode as (value: unknown) => Either.Either<Uint8Array, EncodingError>
    for (const value of [5, undefined, null, {}, new Uint8Array(2)]) {
      expectEncodingError(encode(value), "utf-8")
    }
  })
})

describe("json", () => {
  const { json } = ValueEncoding

  it("is one JSON text and a newline, as the peer's ndjson", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const block = Either.getOrThrow(json.encode(value))
        expect(text(block)).toBe(JSON.stringify(value) + "\n")
        expect([...block]).toEqual([...codecs("ndjson").encode(value)])
        expect(text(block).trimEnd()).not.toContain("\n")
        expect(Either.getOrThrow(json.decode(block))).toEqual(JSON.parse(JSON.stringify(value)))
      })
    )
  })

  it("refuses what has no JSON form", () => {
    const cyclic: Record<string, unknown> = {}
    cyclic["self"] = cyclic
    const throwing = {
      toJSON: () => {
        throw new Error("no")
      }
    }
    for (const value of [undefined, () => 1, Symbol("s"), 10n, { n: 10n }, cyclic, throwing]) {
      expectEncodingError(json.encode(value), "json")
    }
  })

  class Point {
    constructor(
      readonly x: number,
      readonly y: unknown
    ) {}
  }

  it.each<readonly [value: unknown, where: string]>([
    [Number.NaN, ": NaN"],
    [{ a: [1, { b: -Infinity }] }, ".a[1].b: -Infinity"],
    [[1, undefined], "[1]: undefined"],
    [Array(3), "[0]: undefined"],
    [{ f: () => 1 }, ".f: function"],
    [[Symbol("s")], "[0]: symbol"],
    [{ m: new Map([[1, 2]]) }, ".m: Map"],
    [new Set([1]), ": Set"],
    [{ bytes: Uint8Array.of(1) }, ".bytes: Uint8Array"],
    [new ArrayBuffer(2), ": ArrayBuffer"],
    [{ e: new Error("x") }, ".e: Error"],
    [/x/, ": RegExp"],
    [Promise.resolve(1), ": Promise"],
    [new Point(1, new Map()), ".y: Map"]
  ])("refuses what it would store as something else: %o", (value, where) => {
    expectEncodingError(json.encode(value), "json")
    expect(String(left(json.encode(value)))).toContain(`JSON cannot hold what is at value${where}`)
  })

  it("stores an object with toJSON as that says, and of a class its properties", () => {
    const kept = { at: new Date(0), buffer: Buffer.from([1]), own: { toJSON: () => "mine" }, gone: undefined }
    const block = Either.getOrThrow(json.encode([kept, new Point(1, 2), Object.create(null)]))
    expect(Either.getOrThrow(json.decode(block))).toEqual([
      { at: "1970-01-01T00:00:00.000Z", buffer: { type: "Buffer", data: [1] }, own: "mine" },
      { x: 1, y: 2 },
      {}
    ])
  })

  it.each(["", "{", "{}{}", "undefined", "'a'", "\u0000"])("refuses the block %j", (block) => {
    expectEncodingError(json.decode(bytes(block)), "json")
  })

  it("answers any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (block) => {
        const value = json.decode(block)
        if (Either.isLeft(value)) expect(value.left).toBeInstanceOf(EncodingError)
      })
    )
  })
})

describe("abstract encodings", () => {
  const strings = ["ascii", "utf-8", "hex", "base64", "ucs2", "utf16le"] as const

  it.each(strings)("codecs' %s gives and takes the same bytes", (name) => {
    const codec = codecs(name)
    const encoding = ValueEncoding.fromAbstract(codec)
    for (const value of ["", "c0ffee", "00ff"]) {
      const block = Either.getOrThrow(encoding.encode(value))
      expect([...block]).toEqual([...codec.encode(value)])
      expect(Either.getOrThrow(encoding.decode(Uint8Array.from(block)))).toBe(
        codec.decode(Buffer.from(block))
      )
    }
  })

  it("codecs' json and binary", () => {
    const json = ValueEncoding.fromAbstract(codecs("json"))
    expect(text(Either.getOrThrow(json.encode({ a: [1] })))).toBe('{"a":[1]}')
    expect(roundTrip(json, { a: [1, null, "x"] })).toEqual({ a: [1, null, "x"] })
    const binary = ValueEncoding.fromAbstract(codecs("binary"))
    expect([...(roundTrip(binary, Buffer.from([1, 2])) as Uint8Array)]).toEqual([1, 2])
  })

  it("what one throws is an EncodingError that names it", () => {
    const { decode, encode } = codecs("json")
    expectEncodingError(ValueEncoding.fromAbstract(codecs("json")).decode(bytes("{")), "json")
    expectEncodingError(
      ValueEncoding.fromAbstract({ encode, decode }).decode(bytes("{")),
      "abstract-encoding"
    )
    expectEncodingError(ValueEncoding.fromAbstract({ encode, decode }).encode(undefined), "abstract-encoding")
    const thrower = ValueEncoding.fromAbstract<number>({
      name: "thrower",
      encode: () => {
        throw new RangeError("too large")
      },
      decode: () => {
        // eslint-disable-next-line no-throw-literal, typescript/only-throw-error
        throw "a string"
      }
    })
    expectEncodingError(thrower.encode(1), "thrower")
    expectEncodingError(thrower.decode(bytes("x")), "thrower")
    expect(Either.getOrThrow(Either.flip(thrower.encode(1))).detail).toContain("too large")
  })

  it("is called as a method, with a Buffer over the block's own bytes", () => {
    class Counter {
      readonly name = "counter"
      seen: Uint8Array | undefined
      encode(value: number) {
        return Uint8Array.of(value)
      }
      decode(block: Uint8Array) {
        this.seen = block
        return block[0]!
      }
    }
    const counter = new Counter()
    const encoding = ValueEncoding.fromAbstract(counter)
    expect(encoding.name).toBe("counter")
    const file = Uint8Array.of(9, 9, 7, 9)
    expect(Either.getOrThrow(encoding.decode(file.subarray(2, 3)))).toBe(7)
    expect(Buffer.isBuffer(counter.seen)).toBe(true)
    expect(counter.seen).toHaveLength(1)
  })
})

describe("schema", () => {
  class Person extends Schema.Class<Person>("Person")({
    name: Schema.NonEmptyString,
    born: Schema.Date
  }) {
    get label() {
      return `${this.name}, ${this.born.getUTCFullYear()}`
    }
  }

  it("stores the encoded form as NDJSON and gives the class back", () => {
    const people = ValueEncoding.schema(Person)
    const ada = new Person({ name: "Ada", born: new Date("1815-12-10T00:00:00Z") })
    const block = Either.getOrThrow(people.encode(ada))
    expect(text(block)).toBe('{"name":"Ada","born":"1815-12-10T00:00:00.000Z"}\n')
    const back = Either.getOrThrow(people.decode(block))
    expect(back).toBeInstanceOf(Person)
    expect(back.label).toBe("Ada, 1815")
    expect(back).toEqual(ada)
  })

  it("over another encoding", () => {
    const numbers = ValueEncoding.schema(Schema.NumberFromString, ValueEncoding.utf8)
    expect(text(Either.getOrThrow(numbers.encode(42)))).toBe("42")
    expect(Either.getOrThrow(numbers.decode(bytes("7")))).toBe(7)
    const hex = ValueEncoding.schema(Schema.StringFromHex, ValueEncoding.utf8)
    expect(roundTrip(hex, "hi")).toBe("hi")
    const raw = ValueEncoding.schema(Schema.Uint8ArrayFromSelf, ValueEncoding.binary)
    expect(roundTrip(raw, Uint8Array.of(1, 2))).toEqual(Uint8Array.of(1, 2))
  })

  it("any value of a schema comes back", () => {
    const Shape = Schema.Struct({
      id: Schema.Int,
      tags: Schema.Array(Schema.String),
      when: Schema.optional(Schema.ValidDateFromSelf.pipe(Schema.filter((date) => date.getTime() > 0)))
    })
    const encoded = ValueEncoding.schema(
      Schema.Struct({ id: Schema.Int, tags: Schema.Array(Schema.String), when: Schema.optional(Schema.Date) })
    )
    const value = fc.record(
      {
        id: fc.integer(),
        tags: fc.array(fc.string()),
        when: fc.date({ min: new Date(1), max: new Date(4e12), noInvalidDate: true })
      },
      { requiredKeys: ["id", "tags"] }
    )
    fc.assert(
      fc.property(value, (shape) => {
        expect(Schema.is(Shape)(shape)).toBe(true)
        expect(roundTrip(encoded, shape)).toEqual(shape)
      })
    )
  })

  it("what does not fit is a ParseError, what is not JSON an EncodingError", () => {
    const people = ValueEncoding.schema(Person)
    expect(left(people.decode(bytes('{"name":"","born":"2000-01-01"}')))).toMatchObject({
      _tag: "ParseError"
    })
    expect(left(people.decode(bytes('{"name":"Ada"}')))).toMatchObject({ _tag: "ParseError" })
    expect(left(people.decode(bytes("nothing")))).toMatchObject({ _tag: "EncodingError", encoding: "json" })
    const impostor = { name: "", born: new Date(0) } as unknown as Person
    expect(left(people.encode(impostor))).toMatchObject({ _tag: "ParseError" })
    expect(left(people.encode(undefined as unknown as Person))).toMatchObject({ _tag: "ParseError" })
    const nothing = ValueEncoding.schema(Schema.Undefined)
    expect(left(nothing.encode(undefined))).toMatchObject({ _tag: "EncodingError" })
  })

  it("refuses values whose encoded form JSON could not give back", () => {
    class Point {
      constructor(readonly x: number) {}
    }
    const losing = <A, I>(schema: Schema.Schema<A, I>, value: A) =>
      ValueEncoding.schema(schema).encode(value) as Either.Either<Uint8Array, unknown>
    for (const result of [
      losing(Schema.Number, Number.NaN),
      losing(Schema.Struct({ n: Schema.Number }), { n: Infinity }),
      losing(Schema.DateFromSelf, new Date(0)),
      losing(Schema.MapFromSelf({ key: Schema.String, value: Schema.Number }), new Map([["a", 1]])),
      losing(Schema.Uint8ArrayFromSelf, Uint8Array.of(1)),
      losing(Schema.Array(Schema.UndefinedOr(Schema.Number)), [1, undefined]),
      losing(Schema.BigIntFromSelf, 1n),
      losing(Schema.OptionFromSelf(Schema.Number), Option.some(1)),
      losing(Schema.instanceOf(Point), new Point(1))
    ]) {
      expectEncodingError(result, "json")
    }
    const explicit = ValueEncoding.schema(
      Schema.DateFromSelf as Schema.Schema<Date, unknown>,
      ValueEncoding.json
    )
    expectEncodingError(explicit.encode(new Date(0)), "json")
  })

  it("gives back what has an undefined property, and objects of another realm", () => {
    const Loose = Schema.Struct({ a: Schema.UndefinedOr(Schema.Number), b: Schema.Unknown })
    const b: unknown = runInNewContext("({ c: [1] })")
    expect(roundTrip(ValueEncoding.schema(Loose), { a: undefined, b })).toEqual({ b: { c: [1] } })
  })

  it("an asynchronous schema is a ParseError that says so", () => {
    const Later = Schema.transformOrFail(Schema.String, Schema.String, {
      decode: (value) => Effect.delay(Effect.succeed(value), 1),
      encode: (value) => Effect.delay(Effect.succeed(value), 1)
    })
    const encoding = ValueEncoding.schema(Later)
    for (const result of [encoding.encode("x"), encoding.decode(bytes('"x"\n'))]) {
      const error = Either.getOrThrow(Either.flip(result as Either.Either<unknown, unknown>))
      expect(error).toMatchObject({ _tag: "ParseError" })
      expect(String(error)).toMatch(/synchronously|async/i)
    }
  })

  it("a transformation that throws is a Left", () => {
    const Big = Schema.transform(Schema.String, Schema.BigIntFromSelf, {
      decode: (value) => BigInt(value),
      encode: String
    })
    const encoding = ValueEncoding.schema(Big)
    expect(roundTrip(encoding, 12n)).toBe(12n)
    expect(Either.isLeft(encoding.decode(bytes('"twelve"\n')))).toBe(true)
  })
})
