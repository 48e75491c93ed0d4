/** `valueEncoding`: the bytes, values and errors of the package as the peer uses it. */
import { describe, expect, it } from "vitest"
import { createRequire } from "node:module"
import { toCodec } from "../../src/compat/codecs.js"

interface Encoder {
  readonly encode: (value: unknown) => unknown
  readonly decode: (bytes: Buffer) => unknown
}

// The one that hypercore 7 finds.
const peerRequire = createRequire(createRequire(import.meta.url).resolve("hypercore-7"))
const codecs = peerRequire("codecs") as (encoding: unknown) => Encoder
const peer = (encoding: unknown): Encoder => codecs(encoding === "json" ? "ndjson" : encoding)

const attempt = (run: () => unknown): unknown => {
  try {
    return { value: run() }
  } catch (error) {
    return { error: (error as Error).constructor.name, message: (error as Error).message }
  }
}

const ENCODINGS = [
  "json",
  "ndjson",
  "binary",
  "ascii",
  "utf8",
  "utf-8",
  "hex",
  "base64",
  "ucs2",
  "ucs-2",
  "utf16le",
  "utf16-le",
  "JSON",
  "no such encoding",
  "",
  undefined,
  null,
  0,
  {},
  { encode: () => Buffer.alloc(1) }
]

const circle: Array<unknown> = []
circle.push(circle)

const VALUES: ReadonlyArray<unknown> = [
  "",
  "text",
  "ä ß 漢字 😀 \0 \ud800",
  "00ff",
  "0f0",
  "aGk=",
  Buffer.from([0, 1, 0xff, 0x80]),
  Uint8Array.from([0, 1, 0xff]),
  new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3),
  new Uint16Array([1, 2]),
  new DataView(new ArrayBuffer(3)),
  new ArrayBuffer(2),
  { hello: "world" },
  [1, "two", null],
  12,
  1.5,
  true,
  null,
  undefined,
  new Date(0),
  Symbol.iterator,
  10n,
  circle
]

const BLOCKS = ["", '{"a":1}\n', "[1]", "{", "text", "\ufeff1", "\xff\x80"].map((text) =>
  Buffer.from(text, "latin1")
)

describe("values and blocks are what the peer makes of them", () => {
  for (const encoding of ENCODINGS) {
    const name = JSON.stringify(encoding) ?? "undefined"

    it(`encode, ${name}`, () => {
      for (const value of VALUES) {
        const expected = attempt(() => peer(encoding).encode(value))
        const actual = attempt(() => toCodec(encoding).encode(value))
        expect(actual).toEqual(expected)
      }
    })

    it(`decode, ${name}`, () => {
      for (const block of BLOCKS) {
        const expected = attempt(() => peer(encoding).decode(block))
        expect(attempt(() => toCodec(encoding).decode(block))).toEqual(expected)
        // What storage gives need not be a Buffer.
        expect(attempt(() => toCodec(encoding).decode(Uint8Array.from(block)))).toEqual(expected)
      }
    })
  }

  it("JSON ends with a newline", () => {
    expect(toCodec("json").encode({ hello: "world" }).toString()).toBe('{"hello":"world"}\n')
  })

  it("binary takes text and bytes, and gives Buffers", () => {
    const codec = toCodec(undefined)
    expect(codec.encode("hé")).toEqual(Buffer.from("hé"))
    expect(Buffer.isBuffer(codec.encode(Uint8Array.from([1])))).toBe(true)
    expect(Buffer.isBuffer(codec.decode(Uint8Array.from([1])))).toBe(true)
  })
})

describe("an encoder of the caller's", () => {
  it("is called as a method, with a Buffer to decode, and what it throws is thrown", () => {
    const encoder = {
      step: 1,
      encode(value: number) {
        if (value < 0) throw new RangeError("negative")
        return Uint8Array.from([value + this.step])
      },
      decode(bytes: Buffer) {
        return bytes.readUInt8(0) - this.step
      }
    }
    const codec = toCodec(encoder)
    expect(codec.encode(4)).toEqual(Buffer.from([5]))
    expect(codec.decode(Uint8Array.from([5]))).toBe(4)
    expect(() => codec.encode(-1)).toThrow(new RangeError("negative"))
    expect(() => codec.decode(new Uint8Array(0))).toThrow(RangeError)
  })

  it("that gives no bytes is an error", () => {
    for (const given of [undefined, null, "text", 5, [1]]) {
      const codec = toCodec({ encode: () => given, decode: () => 0 })
      expect(() => codec.encode(1)).toThrow("the value encoding gave no bytes")
    }
  })
})
