/** Frames: written as the peer writes them, read in any split, and never more held than has come. */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import fc from "fast-check"
import { concat, fromHex, toHex } from "../../src/domain/Bytes.js"
import { type Frame, FrameReader, FrameWriter, MAX_FRAME_SIZE } from "../../src/domain/Framing.js"
import type { Position } from "../../src/domain/FlatTree.js"
import * as Varint from "../../src/domain/Varint.js"
import * as Wire from "../../src/domain/Wire.js"
import * as peer from "../reference/peerWire.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"
import { message } from "./messages.js"

const bytesOf = (hex: string): Uint8Array => fromHex(hex.replaceAll(" ", ""))!

const varint = (value: number): Uint8Array => {
  const bytes = new Uint8Array(Varint.encodedLength(value))
  Varint.encode(value, bytes, 0)
  return bytes
}

/** A frame, of parts laid one after another. */
const frame = (channel: number, type: number, body: Uint8Array): Uint8Array => {
  const header = varint(channel * 16 + type)
  return concat([varint(header.length + body.length), header, body])
}

const plain = ({ body, channel, type }: Pick<Frame, "body" | "channel" | "type">) =>
  `${channel}/${type} ${toHex(body)}`

/** What a reader makes of `parts`, one after another: its frames, then the reason of its error. */
const readAll = (parts: ReadonlyArray<Uint8Array>, reader = new FrameReader()): ReadonlyArray<string> =>
  parts.flatMap((part) =>
    Either.match(reader.read(part), {
      onLeft: ({ reason }) => [reason],
      onRight: (frames) => frames.map(plain)
    })
  )

/** `bytes` in consecutive parts whose sizes are `sizes`, again and again. */
const split = (bytes: Uint8Array, sizes: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const parts: Array<Uint8Array> = []
  for (let offset = 0; offset < bytes.length;) {
    const size = sizes[parts.length % sizes.length]!
    parts.push(bytes.subarray(offset, offset + size))
    offset += size
  }
  return parts
}

const data = (value: Uint8Array | undefined, more: Partial<Wire.Data> = {}): Wire.Data => ({
  _tag: "Data",
  index: 7,
  value,
  nodes: [{ index: 12 as Position, hash: new Uint8Array(32).fill(9), size: 1000 }],
  signature: new Uint8Array(64).fill(8),
  ...more
})

const sent = fc.record({ channel: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 255 })), message })

/** Values from 4096 bytes on have arrays of their own. */
const largeData = fc
  .record({
    channel: fc.nat({ max: 255 }),
    size: fc.integer({ min: 4000, max: 5000 }),
    seed: fc.nat({ max: 999 })
  })
  .map(({ channel, seed, size }) => ({ channel, message: data(pseudoRandomBytes(size, seed)) }))

const conversation = fc.array(fc.oneof({ weight: 5, arbitrary: sent }, { weight: 1, arbitrary: largeData }), {
  maxLength: 12
})

const write = (
  writer: FrameWriter,
  messages: ReadonlyArray<{ channel: number; message: Wire.Message }>
): void => {
  for (const { channel, message } of messages) expect(writer.message(channel, message)).toBe(true)
}

const frameOf = ({ channel, message }: { channel: number; message: Wire.Message }): Uint8Array =>
  frame(channel, Wire.TYPE[message._tag], peer.encode(message))

describe("FrameWriter", () => {
  it("writes the peer's bytes, in order, however often they are taken", () => {
    fc.assert(
      fc.property(conversation, fc.nat({ max: 5 }), (messages, every) => {
        const writer = new FrameWriter()
        const taken: Array<Uint8Array> = []
        let waiting = 0
        messages.forEach((one, i) => {
          write(writer, [one])
          waiting += frameOf(one).length
          expect(writer.size).toBe(waiting)
          if (i % (every + 1) !== every) return
          taken.push(...writer.take().map((part) => part.slice()))
          expect(writer.size).toBe(0)
          waiting = 0
        })
        taken.push(...writer.take())
        expect(toHex(concat(taken))).toBe(toHex(concat(messages.map(frameOf))))
        expect(writer.take()).toEqual([])
      }),
      { numRuns: 500 }
    )
  })

  it("gives memory that only the taker writes to, and writes to none that was taken", () => {
    fc.assert(
      fc.property(conversation, conversation, (first, second) => {
        const writer = new FrameWriter()
        write(writer, first)
        const taken = writer.take()
        for (const part of taken) part.fill(0xee)
        write(writer, second)
        const more = writer.take()
        for (const part of taken) expect(part.every((byte) => byte === 0xee)).toBe(true)
        for (const part of taken) part.fill(0xdd)
        expect(toHex(concat(more))).toBe(toHex(concat(second.map(frameOf))))
      }),
      { numRuns: 300 }
    )
  })

  it("a value of 4096 bytes or more is not copied; smaller ones share a chunk", () => {
    const writer = new FrameWriter()
    const [small, large] = [new Uint8Array(4095).fill(1), new Uint8Array(4096).fill(2)]
    write(writer, [
      { channel: 0, message: data(small) },
      { channel: 1, message: data(large) },
      { channel: 2, message: data(small) }
    ])
    const taken = writer.take()
    expect(taken.map((part) => part === large)).toEqual([false, true, false])
    expect(taken[0]!.buffer).toBe(taken[2]!.buffer)
  })

  it("a keep-alive is one zero", () => {
    const writer = new FrameWriter()
    writer.keepAlive()
    write(writer, [{ channel: 0, message: { _tag: "Unhave", start: 1, length: 1 } }])
    writer.keepAlive()
    expect(writer.size).toBe(6)
    expect(toHex(concat(writer.take()))).toBe("00 0304 0801 00".replaceAll(" ", ""))
  })

  it("goes on through many chunks", () => {
    const writer = new FrameWriter()
    const messages = Array.from({ length: 2000 }, (_, i) => ({
      channel: i % 256,
      message: data(pseudoRandomBytes(i % 700, i), { index: i })
    }))
    write(writer, messages)
    const taken = writer.take()
    expect(taken.length).toBeLessThan(20)
    expect(toHex(concat(taken))).toBe(toHex(concat(messages.map(frameOf))))
  })

  it("a message of more than a chunk that has no value: a bitfield, a payload", () => {
    const large = pseudoRandomBytes(200_000, 1)
    const messages = [
      { channel: 0, message: { _tag: "Have", start: 0, length: 1_048_576, bitfield: large, ack: false } },
      { channel: 0, message: { _tag: "Extension", id: 3, payload: large } },
      { channel: 0, message: data(undefined) }
    ] as const
    const writer = new FrameWriter()
    write(writer, messages)
    expect(toHex(concat(writer.take()))).toBe(toHex(concat(messages.map(frameOf))))
  })

  it("never writes a frame above the limit, and goes on after one that would be", () => {
    const overhead = 1 + Wire.encodedLength(data(new Uint8Array(MAX_FRAME_SIZE))) - MAX_FRAME_SIZE
    const payload = MAX_FRAME_SIZE - 2
    for (const [make, most] of [
      [(size: number) => data(new Uint8Array(size)), MAX_FRAME_SIZE - overhead],
      [(size: number) => ({ _tag: "Extension", id: 1, payload: new Uint8Array(size) }) as const, payload]
    ] as const) {
      const writer = new FrameWriter()
      expect(writer.message(0, make(most + 1))).toBe(false)
      expect(writer.size).toBe(0)
      expect(writer.message(8, make(most))).toBe(false) // its header takes two bytes
      expect(writer.message(7, make(most))).toBe(true)
      expect(writer.size).toBe(MAX_FRAME_SIZE + 4)
      expect(writer.message(0, make(most + 1))).toBe(false)
      const reader = new FrameReader()
      const frames = Either.getOrThrow(reader.read(concat(writer.take())))
      expect(frames.map(({ body }) => body.length)).toEqual([MAX_FRAME_SIZE - 1])
      expect(reader.atBoundary).toBe(true)
    }
  })
})

describe("FrameReader", () => {
  it("reads what the writer writes, in any split", () => {
    const sizes = fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 300 })), {
      minLength: 1,
      maxLength: 8
    })
    fc.assert(
      fc.property(conversation, sizes, (messages, parts) => {
        const bytes = concat(messages.map(frameOf))
        const expected = messages.map(({ channel, message }) => ({
          channel,
          type: Wire.TYPE[message._tag],
          body: peer.encode(message)
        }))
        const reader = new FrameReader()
        // A frame of a header and nothing else is no frame on the first channels, where that takes one byte.
        const shown = expected.filter(({ body, channel }) => channel > 7 || body.length > 0).map(plain)
        expect(readAll(split(bytes, parts), reader)).toEqual(shown)
        expect(reader.atBoundary).toBe(true)
      }),
      { numRuns: 500 }
    )
  })

  it("every split in two, and one byte at a time; it is at a boundary exactly between frames", () => {
    const frames = [
      frame(0, 0, bytesOf("0102")),
      bytesOf("00"),
      frame(255, 9, pseudoRandomBytes(200, 1)),
      bytesOf("0105"),
      bytesOf("800002 0f07"),
      frame(3, 15, new Uint8Array(1))
    ]
    const bytes = concat(frames)
    const ends = new Set(frames.map((_, i) => concat(frames.slice(0, i + 1)).length))
    ends.add(concat(frames.slice(0, 4)).length + 2) // the keep-alive in two bytes
    const whole = readAll([bytes])
    expect(whole).toEqual(["0/0 0102", `255/9 ${toHex(pseudoRandomBytes(200, 1))}`, "0/15 07", "3/15 00"])
    for (let at = 0; at <= bytes.length; at++) {
      const reader = new FrameReader()
      const first = readAll([bytes.subarray(0, at)], reader)
      expect({ at, boundary: reader.atBoundary }).toEqual({ at, boundary: at === 0 || ends.has(at) })
      expect([...first, ...readAll([bytes.subarray(at)], reader)]).toEqual(whole)
      expect(reader.atBoundary).toBe(true)
    }
    expect(readAll(split(bytes, [1]))).toEqual(whole)
  })

  it("bodies in one part are views of it; those of a frame in parts are not", () => {
    const bytes = concat([
      frame(0, 1, bytesOf("0102")),
      frame(20, 2, bytesOf("030405")),
      frame(0, 3, bytesOf("0607"))
    ])
    const reader = new FrameReader()
    const part = bytes.slice(0, -1)
    const frames = Either.getOrThrow(reader.read(part))
    expect(frames.map(({ body }) => body.buffer === part.buffer)).toEqual([true, true])
    const last = readAll([bytes.subarray(-1)], reader)
    part.fill(0xff)
    expect(frames.map(plain)).toEqual(["0/1 ffff", "20/2 ffffff"])
    expect(last).toEqual(["0/3 0607"])
  })

  describe("a large value that comes as an array by itself", () => {
    /** As text: a deep comparison of large arrays takes seconds. */
    const decoded = (frames: ReadonlyArray<Frame>) =>
      frames.map(({ bytes, end, start, type, value }) =>
        JSON.stringify(Either.getOrThrow(Wire.decode(type, bytes, start, end, value)), (_, given: unknown) =>
          given instanceof Uint8Array ? Buffer.from(given).toString("base64") : given
        )
      )
    const large = fc
      .record({ size: fc.integer({ min: 4000, max: 9000 }), seed: fc.nat(99) })
      .map(({ seed, size }) => pseudoRandomBytes(size, seed))
    const some = fc.record({
      channel: fc.nat({ max: 20 }),
      message: fc.oneof(
        message,
        large.map((value) => data(value)),
        large.map((value) => data(value, { nodes: [], signature: undefined }))
      )
    })

    it("stays where it is; and says what it says in one part", () => {
      fc.assert(
        fc.property(fc.array(some, { maxLength: 12 }), (messages) => {
          const writer = new FrameWriter()
          for (const { channel, message } of messages) writer.message(channel, message)
          const parts = writer.take()
          const values = messages.flatMap(({ message }) =>
            message._tag === "Data" && message.value !== undefined && message.value.length >= 4096
              ? [message.value.buffer]
              : []
          )
          const apart = new FrameReader()
          const frames = parts.flatMap((part) => Either.getOrThrow(apart.read(part)))
          expect(frames.flatMap(({ value }) => (value === undefined ? [] : [value.buffer]))).toEqual(values)
          expect(apart.atBoundary).toBe(true)
          const whole = Either.getOrThrow(new FrameReader().read(concat(parts)))
          expect(decoded(frames)).toEqual(decoded(whole))
        })
      )
    })

    const value = pseudoRandomBytes(5000, 3)
    const length = varint(value.length)
    const of = (...body: ReadonlyArray<Uint8Array>) => frame(0, 9, concat(body))
    const [index, tag] = [bytesOf("08 07"), bytesOf("12")]

    for (const [about, whole] of [
      ["comes before the index", of(tag, length, value, index)],
      ["follows another", of(index, tag, bytesOf("01 ff"), tag, length, value)],
      ["is none, but the bytes of a field unknown", of(index, bytesOf("7a"), length, value)],
      ["is that of another message", frame(0, 3, concat([index, bytesOf("1a"), length, value]))],
      ["is shorter than its field", of(index, tag, varint(5001), value, bytesOf("ff"))],
      ["is the first of two", of(index, tag, length, value, tag, bytesOf("01 ff"))]
    ] as const) {
      it(`says the same in one part and in three, where it ${about}`, () => {
        const from = Buffer.from(whole).indexOf(value)
        const ends = [0, from, from + value.length, whole.length]
        const parts = ends.slice(1).map((end, i) => whole.slice(ends[i], end))
        const reader = new FrameReader()
        const frames = parts.flatMap((part) => Either.getOrThrow(reader.read(part)))
        expect(reader.atBoundary).toBe(true)
        expect(decoded(frames)).toEqual(decoded(Either.getOrThrow(new FrameReader().read(whole))))
      })
    }

    it("is no Buffer, though it came as one", () => {
      const parts = [Buffer.from(of(index, tag, length, value).slice(0, -5000)), Buffer.from(value)]
      const reader = new FrameReader()
      const [one] = parts.flatMap((part) => Either.getOrThrow(reader.read(part)))
      expect(Buffer.isBuffer(one!.value)).toBe(false)
      expect(one!.value).toEqual(value)
    })
  })

  it("a Buffer's bodies are plain arrays", () => {
    const [one] = Either.getOrThrow(new FrameReader().read(Buffer.from(frame(0, 1, bytesOf("01")))))
    expect(Buffer.isBuffer(one!.body)).toBe(false)
  })

  it("nothing follows from nothing, keep-alives and headers without a body", () => {
    const reader = new FrameReader()
    expect(readAll([new Uint8Array(0), new Uint8Array(1000), bytesOf("0100 01ff 00 0180")], reader)).toEqual(
      []
    )
    expect(reader.atBoundary).toBe(true)
    // A header of two bytes is a frame, with an empty body.
    expect(readAll([bytesOf("02 8202")], reader)).toEqual(["16/2 "])
  })

  it.each([
    ["a frame of the limit and one more", concat([varint(MAX_FRAME_SIZE + 1)]), "too-large"],
    ["a frame of 2^28 - 1 bytes", bytesOf("ffffff7f"), "too-large"],
    ["a length of five bytes", bytesOf("8080808000"), "too-large"],
    ["a length that does not end", new Uint8Array(100).fill(0x80), "too-large"],
    ["channel 256", frame(256, 0, bytesOf("00")), "too-many"],
    ["channel 2^32, 0 in 28 bits", frame(2 ** 32, 0, bytesOf("00")), "too-many"],
    ["a header cut short", bytesOf("028080"), "malformed"],
    ["a header of 2^53", concat([bytesOf("09"), bytesOf("8080808080808010"), bytesOf("00")]), "malformed"],
    [
      "a header of nine bytes",
      concat([bytesOf("0a"), new Uint8Array(9).fill(0x80), bytesOf("00")]),
      "malformed"
    ]
  ] as const)("%s: %s is an error, in any split, and the reader stays with it", (_, bytes, reason) => {
    for (const parts of [[bytes], split(bytes, [1]), split(bytes, [2, 3])]) {
      const reader = new FrameReader()
      expect(readAll([frame(1, 1, bytesOf("05"))], reader)).toEqual(["1/1 05"])
      const results = readAll(parts, reader)
      expect(results).toContain(reason)
      expect(new Set(results).size).toBe(1)
      expect(readAll([frame(1, 1, bytesOf("05")), new Uint8Array(0)], reader)).toEqual([reason, reason])
    }
  })

  it("the number of channels is a parameter", () => {
    expect(readAll([frame(127, 1, bytesOf("05"))], new FrameReader(128))).toEqual(["127/1 05"])
    expect(readAll([frame(128, 1, bytesOf("05"))], new FrameReader(128))).toEqual(["too-many"])
    expect(readAll([frame(255, 1, bytesOf("05"))])).toEqual(["255/1 05"])
  })

  it("a claimed length allocates nothing", () => {
    const before = process.memoryUsage().arrayBuffers
    const readers = Array.from({ length: 200 }, () => new FrameReader())
    for (const reader of readers) {
      readAll([varint(MAX_FRAME_SIZE), bytesOf("10"), new Uint8Array(10)], reader)
      expect(reader.atBoundary).toBe(false)
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MAX_FRAME_SIZE)
  })

  it("a frame of a megabyte, one byte at a time, grows with what came", () => {
    const body = pseudoRandomBytes(1_000_000, 3)
    const bytes = frame(0, 9, body)
    const reader = new FrameReader()
    const frames: Array<Frame> = []
    for (let i = 0; i < bytes.length; i++) {
      const read = reader.read(bytes.subarray(i, i + 1))
      if (Either.isRight(read)) frames.push(...read.right)
    }
    expect(frames).toHaveLength(1)
    expect(Buffer.compare(frames[0]!.body, body)).toBe(0)
  })

  it("random bytes: frames, then perhaps an error, the same in any split", () => {
    const byte = fc.oneof(fc.nat({ max: 255 }), fc.nat({ max: 8 }))
    const bytes = fc.array(byte, { maxLength: 100 }).map((list) => Uint8Array.from(list))
    const REASONS = new Set(["malformed", "too-large", "too-many"])
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(bytes, sizes, (input, parts) => {
        const outcome = (parts: ReadonlyArray<Uint8Array>) => {
          const reader = new FrameReader()
          const frames = readAll(parts, reader).filter((one) => !REASONS.has(one))
          expect(readAll([new Uint8Array(0)], reader)).toEqual(reader.problem ? [reader.problem.reason] : [])
          return { frames, reason: reader.problem?.reason }
        }
        expect(outcome(split(input, parts))).toEqual(outcome([input]))
      }),
      { numRuns: 2000 }
    )
  })
})

describe("the first frame", () => {
  const rest = pseudoRandomBytes(50, 1)
  const first = frame(0, 0, bytesOf("0a0b0c"))
  const bytes = concat([bytesOf("00 0105"), first, rest])

  it("comes with the bytes after it unread, in any split in two", () => {
    for (let at = 0; at <= bytes.length; at++) {
      const reader = new FrameReader()
      const parts = [bytes.subarray(0, at), bytes.subarray(at)]
      const one = Either.getOrThrow(reader.readFirst(parts[0]!))
      const two = one ?? Either.getOrThrow(reader.readFirst(parts[1]!))
      expect(two === undefined ? undefined : plain(two.frame)).toBe("0/0 0a0b0c")
      expect(reader.atBoundary).toBe(true)
      const unread = one === undefined ? [two!.rest] : [one.rest, parts[1]!]
      expect(toHex(concat(unread))).toBe(toHex(rest))
    }
  })

  it("is followed by frames in what is then read", () => {
    const reader = new FrameReader()
    const { rest } = Either.getOrThrow(reader.readFirst(concat([first, first, first])))!
    expect(readAll([rest], reader)).toEqual(["0/0 0a0b0c", "0/0 0a0b0c"])
  })

  it("is an error like any other", () => {
    const reader = new FrameReader()
    const read = () =>
      Either.match(reader.readFirst(bytesOf("ffffffff")), { onLeft: (e) => e.reason, onRight: () => "" })
    expect([read(), read(), ...readAll([first], reader)]).toEqual(["too-large", "too-large", "too-large"])
  })
})
