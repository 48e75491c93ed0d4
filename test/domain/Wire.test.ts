/** Messages: the peer's bytes both ways, and a typed error for whatever is no message. */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import fc from "fast-check"
import { concat, fromHex, toHex } from "../../src/domain/Bytes.js"
import { ProtocolError } from "../../src/domain/Errors.js"
import type { Position } from "../../src/domain/FlatTree.js"
import * as Varint from "../../src/domain/Varint.js"
import * as Wire from "../../src/domain/Wire.js"
import * as peer from "../reference/peerWire.js"
import { message } from "./messages.js"

const encode = (value: Wire.Message): Uint8Array => {
  const bytes = new Uint8Array(Wire.encodedLength(value))
  expect(Wire.encode(value, bytes, 0)).toBe(bytes.length)
  return bytes
}

const decodeAs = (tag: peer.Tag, bytes: Uint8Array) => Wire.decode(Wire.TYPE[tag], bytes, 0, bytes.length)

/** Byte fields as hexadecimal, so that views and Buffers compare. */
const plain = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return toHex(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== "object" || value === null) return value ?? undefined
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]))
}

const bytesOf = (hex: string): Uint8Array => fromHex(hex.replaceAll(" ", ""))!

/** The reason, or the message in plain form. */
const verdict = (tag: peer.Tag, bytes: Uint8Array): unknown =>
  Either.match(decodeAs(tag, bytes), { onLeft: ({ reason }) => reason, onRight: plain })

const varint = (value: number): Uint8Array => {
  const bytes = new Uint8Array(Varint.encodedLength(value))
  Varint.encode(value, bytes, 0)
  return bytes
}

/** A field of wire type 2. */
const field = (number: number, bytes: Uint8Array): Uint8Array =>
  concat([varint(number * 8 + 2), varint(bytes.length), bytes])

const HASH = new Uint8Array(32).fill(0xab)
const KEY = new Uint8Array(32).fill(0xcd)
const node = (hash = HASH): Uint8Array => concat([bytesOf("08 02"), field(2, hash), bytesOf("18 03")])

describe("a message", () => {
  it("has the peer's bytes", () => {
    fc.assert(
      fc.property(message, (value) => {
        expect(toHex(encode(value))).toBe(toHex(peer.encode(value)))
      }),
      { numRuns: 2000 }
    )
  })

  it("is read as it was written, wherever it lies", () => {
    fc.assert(
      fc.property(message, fc.nat({ max: 9 }), fc.nat({ max: 9 }), (value, before, after) => {
        const size = Wire.encodedLength(value)
        const bytes = new Uint8Array(before + size + after).fill(0xff)
        expect(Wire.encode(value, bytes, before)).toBe(before + size)
        expect(bytes.subarray(before + size).every((byte) => byte === 0xff)).toBe(true)
        const view = bytes.subarray(Math.min(before, 3))
        const start = before - Math.min(before, 3)
        const read = Wire.decode(Wire.TYPE[value._tag], view, start, start + size)
        expect(Either.map(read, plain)).toEqual(Either.right(plain(value)))
      }),
      { numRuns: 2000 }
    )
  })

  it("is read by the peer as by us", () => {
    fc.assert(
      fc.property(message, (value) => {
        if (value._tag === "Extension") return
        const { _tag, ...fields } = value
        const read = peer.messages[_tag].decode(Buffer.from(encode(value)))
        // Where nothing was sent the peer has null, and 0 for a number.
        const expected = "start" in fields ? { ...fields, length: fields.length ?? 0 } : fields
        expect(plain(read)).toEqual(plain(expected))
      }),
      { numRuns: 2000 }
    )
  })

  it("holds views of what it was read from, which are plain arrays even of a Buffer", () => {
    const bytes = Buffer.from(
      encode({
        _tag: "Data",
        index: 1,
        value: Uint8Array.of(1, 2, 3),
        nodes: [{ index: 2 as Position, hash: HASH, size: 3 }],
        signature: new Uint8Array(64)
      })
    )
    const read = Either.getOrThrow(decodeAs("Data", bytes)) as Wire.Data
    for (const view of [read.value!, read.nodes[0]!.hash, read.signature!]) {
      expect(view.buffer).toBe(bytes.buffer)
      expect(Buffer.isBuffer(view)).toBe(false)
    }
    const extension = Either.getOrThrow(decodeAs("Extension", Buffer.from([1, 2, 3]))) as Wire.Extension
    expect(Buffer.isBuffer(extension.payload)).toBe(false)
  })
})

/** Bytes given by hand, of what `hypercore@7.7.1` sends. */
const GOLDEN: ReadonlyArray<readonly [message: Wire.Message, hex: string]> = [
  [{ _tag: "Feed", discoveryKey: KEY }, `0a20${"cd".repeat(32)}`],
  [
    { _tag: "Feed", discoveryKey: KEY, nonce: new Uint8Array(24) },
    `0a20${"cd".repeat(32)}1218${"00".repeat(24)}`
  ],
  [{ _tag: "Handshake", live: false, extensions: [], ack: false }, "1000 2800"],
  [{ _tag: "Handshake", live: false, extensions: [], ack: false, ordered: true }, "1000 2800 7801"],
  [
    { _tag: "Handshake", id: KEY, live: true, userData: Uint8Array.of(7), extensions: ["a", "é"], ack: true },
    `0a20${"cd".repeat(32)} 1001 1a0107 220161 2202c3a9 2801`
  ],
  [{ _tag: "Info", uploading: true, downloading: false }, "0801 1000"],
  [{ _tag: "Have", start: 300, length: 1, ack: false }, "08ac02"],
  [{ _tag: "Have", start: 0, length: 1, ack: true }, "0800 1001 2001"],
  [{ _tag: "Have", start: 0, length: 5, ack: false }, "0800 1005"],
  [
    { _tag: "Have", start: 0, length: 1_048_576, bitfield: bytesOf("0b0280"), ack: false },
    "0800 10808040 1a030b0280"
  ],
  [{ _tag: "Have", start: 0, length: 1, bitfield: bytesOf("0280"), ack: false }, "0800 1001 1a020280"],
  [{ _tag: "Unhave", start: 3, length: 1 }, "0803"],
  [{ _tag: "Unhave", start: 3, length: 2 }, "0803 1002"],
  [{ _tag: "Want", start: 0, length: 1_048_576 }, "0800 10808040"],
  [{ _tag: "Want", start: 8192 }, "088040"],
  [{ _tag: "Unwant", start: 0, length: 0 }, "0800 1000"],
  [{ _tag: "Request", index: 9, bytes: 0, hash: false, nodes: 0 }, "0809 1000 1800 2000"],
  [{ _tag: "Cancel", index: 9, bytes: 0, hash: true }, "0809 1000 1801"],
  [
    {
      _tag: "Data",
      index: 1,
      value: new Uint8Array(0),
      nodes: [{ index: 2 as Position, hash: HASH, size: 3 }],
      signature: KEY
    },
    `0801 1200 1a26 0802 1220${"ab".repeat(32)}1803 2220${"cd".repeat(32)}`
  ],
  [{ _tag: "Data", index: 1, nodes: [] }, "0801"],
  [{ _tag: "Extension", id: 200, payload: Uint8Array.of(1, 2) }, "c8010102"]
]

describe("golden bytes", () => {
  it.each(GOLDEN.map(([value, hex]) => [value._tag, hex, value] as const))("%s %s", (_, hex, value) => {
    expect(toHex(encode(value))).toBe(hex.replaceAll(" ", ""))
  })
})

describe("defaults and what is ignored", () => {
  it.each([
    ["Handshake", "", { live: false, extensions: [], ack: false }],
    ["Info", "", { uploading: false, downloading: false }],
    ["Have", "0805", { start: 5, length: 1, ack: false }],
    ["Unhave", "0805", { start: 5, length: 1 }],
    ["Want", "0805", { start: 5 }],
    ["Unwant", "0805", { start: 5 }],
    ["Request", "0805", { index: 5, bytes: 0, hash: false, nodes: 0 }],
    ["Cancel", "0805", { index: 5, bytes: 0, hash: false }],
    ["Data", "0805", { index: 5, nodes: [] }]
  ] as const)("%s %s", (tag, hex, fields) => {
    expect(verdict(tag, bytesOf(hex))).toEqual({ _tag: tag, ...fields })
  })

  it("types 10 to 14, and an Extension of no bytes, are nothing", () => {
    for (let type = 10; type <= 14; type++) {
      for (const bytes of [new Uint8Array(0), Uint8Array.of(0xff, 0xff)]) {
        expect(Wire.decode(type, bytes, 0, bytes.length)).toEqual(Either.right(undefined))
      }
    }
    expect(verdict("Extension", new Uint8Array(0))).toBeUndefined()
    expect(verdict("Extension", Uint8Array.of(0))).toEqual({ _tag: "Extension", id: 0, payload: "" })
  })

  const unknown = fc
    .tuple(
      fc.oneof(fc.integer({ min: 6, max: 40 }), fc.integer({ min: 6, max: 2 ** 28 - 1 })),
      fc.constantFrom(0, 1, 2, 5),
      fc.uint8Array({ maxLength: 20 })
    )
    .map(([number, wire, bytes]) => {
      const tag = varint(number * 8 + wire)
      if (wire === 0) return concat([tag, varint(bytes.length)])
      if (wire === 2) return concat([tag, varint(bytes.length), bytes])
      return concat([tag, new Uint8Array(wire === 1 ? 8 : 4).fill(0xff)])
    })

  it("unknown fields, before, between and after, change nothing; the peer skips them too", () => {
    fc.assert(
      fc.property(fc.array(unknown, { minLength: 4, maxLength: 4 }), ([a, b, c, d]) => {
        const bytes = concat([a!, bytesOf("08 05"), b!, field(3, concat([c!, node(), d!])), c!])
        const nodes = [{ index: 2, hash: toHex(HASH), size: 3 }]
        expect(verdict("Data", bytes)).toEqual({ _tag: "Data", index: 5, nodes })
        expect(plain(peer.messages.Data.decode(Buffer.from(bytes)))).toEqual({ index: 5, nodes })
      })
    )
  })

  it("an unknown number may take ten bytes", () => {
    const bytes = bytesOf(`f801 ${"ff".repeat(9)}01 0805`)
    expect(verdict("Want", bytes)).toEqual({ _tag: "Want", start: 5 })
    expect(verdict("Want", bytesOf(`f801 ${"ff".repeat(10)}01 0805`))).toBe("malformed")
  })

  it("of a field given twice the last counts; a boolean is any number but zero", () => {
    expect(verdict("Want", bytesOf("0805 0806"))).toEqual({ _tag: "Want", start: 6 })
    expect(verdict("Info", bytesOf("0802 108001"))).toEqual({
      _tag: "Info",
      uploading: true,
      downloading: true
    })
  })
})

describe("malformed", () => {
  const MALFORMED: ReadonlyArray<readonly [about: string, tag: peer.Tag, bytes: Uint8Array]> = [
    ["no discovery key", "Feed", new Uint8Array(0)],
    ["a discovery key of 31 bytes", "Feed", field(1, KEY.subarray(1))],
    ["a discovery key of 33 bytes", "Feed", field(1, new Uint8Array(33))],
    ["a nonce of 23 bytes", "Feed", concat([field(1, KEY), field(2, new Uint8Array(23))])],
    ["a nonce of 32 bytes", "Feed", concat([field(1, KEY), field(2, KEY)])],
    ["no start", "Have", bytesOf("1001")],
    ["no start", "Unhave", new Uint8Array(0)],
    ["no start", "Want", new Uint8Array(0)],
    ["no start", "Unwant", new Uint8Array(0)],
    ["no index", "Request", bytesOf("1000 1800")],
    ["no index", "Cancel", new Uint8Array(0)],
    ["no index", "Data", field(2, KEY)],
    ["bytes where a number belongs", "Want", field(1, KEY)],
    ["a number where bytes belong", "Feed", bytesOf("0820")],
    ["a number where a node belongs", "Data", bytesOf("0801 1801")],
    ["4 bytes where a number belongs", "Want", bytesOf("0d 01020304")],
    ["8 bytes where a boolean belongs", "Info", bytesOf("09 0102030405060708")],
    ["a number where text belongs", "Handshake", bytesOf("2001")],
    ["bytes past the end", "Have", bytesOf("0801 1a05 01020304")],
    ["2^52 bytes", "Data", concat([bytesOf("0801 12"), varint(2 ** 52)])],
    ["a field without its value", "Want", bytesOf("08")],
    ["a number cut short", "Want", bytesOf("0880")],
    ["a tag cut short", "Want", bytesOf("0801 80")],
    ["a number of 2^53", "Want", bytesOf("08 8080808080808010")],
    ["a number of nine bytes", "Request", bytesOf("0801 20 808080808080808001")],
    ["a group", "Want", bytesOf("0801 fb01 fc01")],
    ["an end of a group", "Want", bytesOf("0801 fc01")],
    ["wire type 6", "Want", bytesOf("0801 fe01")],
    ["wire type 7", "Want", bytesOf("0801 ff01")],
    ["an unknown field of 8 bytes cut short", "Want", bytesOf("0801 f901 01020304050607")],
    ["an unknown field of 4 bytes cut short", "Want", bytesOf("0801 fd01 010203")],
    ["unknown bytes cut short", "Want", bytesOf("0801 fa01 02 01")],
    ["an unknown number cut short", "Want", bytesOf("0801 f801 80")],
    ["a hash of 3 bytes", "Data", concat([bytesOf("0801"), field(3, node(HASH.subarray(0, 3)))])],
    ["a hash of 33 bytes", "Data", concat([bytesOf("0801"), field(3, node(new Uint8Array(33)))])],
    ["a node of no bytes", "Data", bytesOf("0801 1a00")],
    ["a node without a size", "Data", concat([bytesOf("0801"), field(3, node().subarray(0, 36))])],
    ["a node without a hash", "Data", concat([bytesOf("0801"), field(3, bytesOf("0801 1801"))])],
    ["a node without an index", "Data", concat([bytesOf("0801"), field(3, node().subarray(2))])],
    ["a node whose hash ends past it", "Data", concat([bytesOf("0801 1a05 0802 1220"), HASH])],
    ["a node past the end", "Data", concat([bytesOf("0801 1a27"), node()])],
    ["a signature of 63 bytes", "Data", concat([bytesOf("0801"), field(4, new Uint8Array(63))])],
    ["a signature of no bytes", "Data", bytesOf("0801 2200")],
    ["an extension number cut short", "Extension", bytesOf("80")],
    ["an extension number of 2^53", "Extension", bytesOf("8080808080808010")]
  ]

  it.each(MALFORMED)("%s (%s)", (_, tag, bytes) => {
    const result = decodeAs(tag, bytes)
    expect(Either.flip(result).pipe(Either.getOrThrow)).toBeInstanceOf(ProtocolError)
    expect(verdict(tag, bytes)).toBe("malformed")
    // The bytes after the message do not complete it.
    const longer = concat([bytes, new Uint8Array(100).fill(1)])
    expect(Either.isLeft(Wire.decode(Wire.TYPE[tag], longer, 0, bytes.length))).toBe(true)
  })
})

describe("too large", () => {
  const times = (count: number, bytes: Uint8Array) => concat(Array.from({ length: count }, () => bytes))
  const shown = (tag: peer.Tag, bytes: Uint8Array) =>
    Either.match(decodeAs(tag, bytes), { onLeft: ({ reason }) => reason, onRight: (read) => read?._tag })

  it.each([
    [
      "nodes",
      "Data",
      (more: number) => concat([bytesOf("0801"), times(Wire.MAX_NODES + more, field(3, node()))])
    ],
    [
      "extensions",
      "Handshake",
      (more: number) => times(Wire.MAX_EXTENSIONS + more, field(4, Uint8Array.of(97)))
    ],
    [
      "bytes of a name",
      "Handshake",
      (more: number) => field(4, new Uint8Array(Wire.MAX_EXTENSION_NAME + more))
    ],
    [
      "bytes of user data",
      "Handshake",
      (more: number) => field(3, new Uint8Array(Wire.MAX_USER_DATA + more))
    ],
    ["bytes of an id", "Handshake", (more: number) => field(1, new Uint8Array(Wire.MAX_USER_DATA + more))]
  ] as const)("more %s (%s) than the limit", (_, tag, make) => {
    expect(shown(tag, make(0))).toBe(tag)
    expect(shown(tag, make(1))).toBe("too-large")
    expect(shown(tag, make(1000))).toBe("too-large")
  })
})

describe("whatever the bytes", () => {
  const byte = fc.oneof(
    fc.nat({ max: 255 }),
    fc.nat({ max: 42 }),
    fc.constantFrom(8, 10, 16, 18, 24, 26, 32, 34)
  )

  /** A message, or an error; the message is one that we could have sent. */
  const expectSound = (type: number, bytes: Uint8Array): void => {
    const result = Wire.decode(type, bytes, 0, bytes.length)
    if (Either.isLeft(result)) {
      expect(["malformed", "too-large"]).toContain(result.left.reason)
      return
    }
    const read = result.right
    if (read === undefined) return
    // Bytes that are no UTF-8 are read as U+FFFD, three bytes each, as the peer reads them.
    if (read._tag === "Handshake" && read.extensions.some((name) => name.includes("\uFFFD"))) return
    const again = decodeAs(read._tag, encode(read))
    expect(Either.map(again, plain)).toEqual(Either.right(plain(read)))
    expect(Wire.TYPE[read._tag]).toBe(type)
  }

  it("random ones", () => {
    const bytes = fc.array(byte, { maxLength: 60 }).map((list) => Uint8Array.from(list))
    fc.assert(fc.property(fc.nat({ max: 15 }), bytes, expectSound), { numRuns: 5000 })
  })

  it("a message with bytes changed, cut out and put in", () => {
    const change = fc.record({
      at: fc.nat(),
      remove: fc.nat({ max: 3 }),
      insert: fc.array(byte, { maxLength: 3 })
    })
    fc.assert(
      fc.property(message, fc.array(change, { minLength: 1, maxLength: 4 }), (value, changes) => {
        const bytes = changes.reduce(
          (list, { at, insert, remove }) => list.toSpliced(at % (list.length + 1), remove, ...insert),
          [...encode(value)]
        )
        expectSound(Wire.TYPE[value._tag], Uint8Array.from(bytes))
      }),
      { numRuns: 5000 }
    )
  })

  it("a message cut anywhere", () => {
    fc.assert(
      fc.property(message, (value) => {
        const bytes = encode(value)
        for (let end = 0; end < bytes.length; end++)
          expectSound(Wire.TYPE[value._tag], bytes.subarray(0, end))
      }),
      { numRuns: 200 }
    )
  })
})
