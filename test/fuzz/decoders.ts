/** Decoders of bytes and numbers that a stranger, or a damaged disk, gives: all of `domain` that reads them. */
import { Either } from "effect"
import fc from "fast-check"
import { expect } from "vitest"
import { Bitfield } from "../../src/domain/Bitfield.js"
import { BitfieldPages, PAGE_SIZE } from "../../src/domain/BitfieldPages.js"
import * as BitfieldRle from "../../src/domain/BitfieldRle.js"
import { concat } from "../../src/domain/Bytes.js"
import * as ClaimShape from "../../src/domain/ClaimShape.js"
import type { Position } from "../../src/domain/FlatTree.js"
import { FrameReader, FrameWriter, MAX_FRAME_SIZE } from "../../src/domain/Framing.js"
import * as Identity from "../../src/domain/Identity.js"
import { Multiplexer } from "../../src/domain/Multiplexer.js"
import * as Node from "../../src/domain/Node.js"
import * as Proof from "../../src/domain/Proof.js"
import * as Sleep from "../../src/domain/Sleep.js"
import * as TreeIndex from "../../src/domain/TreeIndex.js"
import * as ValueEncoding from "../../src/domain/ValueEncoding.js"
import * as Varint from "../../src/domain/Varint.js"
import * as Wire from "../../src/domain/Wire.js"
import { message } from "../domain/messages.js"
import { handshake } from "../replication/Hostile.js"
import { within } from "./Effort.js"
import { edge, mutated } from "./mutated.js"
import { type AnyTarget, target } from "./Target.js"

const REASONS = ["malformed", "too-large", "too-many", "no-nonce", "other-feed"]

/** What was read; `undefined` for a typed error, which must be one of these. */
const orTyped = <A>(result: Either.Either<A, { readonly _tag: string; readonly reason?: string }>) => {
  if (Either.isRight(result)) return result.right
  expect(result.left._tag).toBe("ProtocolError")
  expect(REASONS).toContain(result.left.reason)
  return undefined
}

const body = message.map((one) => {
  const bytes = new Uint8Array(Wire.encodedLength(one))
  Wire.encode(one, bytes, 0)
  return { type: Wire.TYPE[one._tag], bytes }
})

const wire = target(
  "a message",
  2000,
  body.chain(({ bytes, type }) =>
    fc.tuple(
      fc.oneof({ weight: 4, arbitrary: fc.constant(type) }, { weight: 1, arbitrary: fc.nat({ max: 15 }) }),
      mutated(fc.constant(bytes))
    )
  ),
  ([type, bytes]) => {
    const bounds = { looks: 16 * bytes.length + 64, allocated: 2 * bytes.length + 4096 }
    orTyped(within(bounds, bytes, (all) => Wire.decode(type, all, 0, all.length)))
  }
)

const frames = fc.array(fc.tuple(fc.nat({ max: 300 }), message), { maxLength: 8 }).map((all) => {
  const writer = new FrameWriter()
  for (const [channel, one] of all) {
    if (channel % 7 === 0) writer.keepAlive()
    writer.message(channel, one)
  }
  return concat(writer.take())
})

const chunks = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 })

const cutUp = (bytes: Uint8Array, sizes: ReadonlyArray<number>): Array<Uint8Array> => {
  const parts: Array<Uint8Array> = []
  for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length]!)
    parts.push(bytes.slice(at, at + sizes[i % sizes.length]!))
  return parts
}

const framing = target(
  "frames, in parts of any size",
  1000,
  fc.tuple(mutated(frames), chunks),
  ([bytes, sizes]) => {
    const reader = new FrameReader()
    let size = 0
    for (const part of cutUp(bytes, sizes)) {
      const bounds = { looks: 16 * part.length + 16, allocated: 16 * bytes.length + 16_384 }
      let read = within(bounds, part, (all) => reader.read(all, 10))
      for (let steps = 0; ; steps++) {
        expect(steps).toBeLessThanOrEqual(part.length)
        const found = orTyped(read)
        if (found === undefined) {
          // It stays so.
          expect(Either.isLeft(reader.read(part))).toBe(true)
          return
        }
        for (const frame of found) {
          expect(frame.size).toBeLessThan(MAX_FRAME_SIZE)
          size += frame.size
        }
        if (reader.rest.length === 0) break
        read = reader.read(reader.rest, 10)
      }
    }
    expect(size).toBeLessThanOrEqual(bytes.length)
  }
)

const keyOf = (feed: number) => new Uint8Array(32).fill(feed + 1)

/** What a side says that opens two feeds. */
const conversation = fc
  .tuple(fc.boolean(), fc.array(message, { maxLength: 6 }))
  .map(([encrypt, messages]) => {
    const side = new Multiplexer({ encrypt, handshake, xsalsa20: () => () => {} })
    const channels = [0, 1].map((feed) =>
      Either.getOrThrow(side.open(keyOf(feed), keyOf(feed), new Uint8Array(24).fill(9)))
    )
    for (const [i, one] of messages.entries()) side.send(channels[i % 2]!, one)
    return { encrypt, bytes: concat(side.take()) }
  })

const multiplexer = target(
  "a connection",
  1000,
  conversation.chain(({ bytes, encrypt }) =>
    fc.tuple(fc.constant(encrypt), mutated(fc.constant(bytes)), chunks, fc.boolean())
  ),
  ([encrypt, bytes, sizes, isOpen]) => {
    const ours = new Multiplexer({ encrypt, handshake, xsalsa20: () => () => {} })
    if (isOpen) ours.open(keyOf(0), keyOf(0), new Uint8Array(24))
    let early = 0
    for (const part of cutUp(bytes, sizes)) {
      ours.keep(part)
      for (let steps = 0; ours.hasMore; steps++) {
        expect(steps).toBeLessThanOrEqual(bytes.length + 2)
        const events = orTyped(ours.more())
        if (events === undefined) return
        for (const event of events) {
          if (event._tag === "Opened") early += ours.early(event.channel).length
        }
      }
    }
    expect(early).toBe(0)
  }
)

const bitfields = fc
  .array(fc.constantFrom(0, 0, 0xff, 0xff, 0x0f, 0x55), { maxLength: 400 })
  .map((runs) =>
    BitfieldRle.encode(
      Uint8Array.from(runs.flatMap((byte, i) => Array.from({ length: 1 + (i % 9) }, () => byte)))
    )
  )

const rle = target("a run-length bitfield", 1500, fc.tuple(mutated(bitfields), edge), ([bytes, edged]) => {
  const most = edged % 4096
  const bounds = { looks: 32 * bytes.length + 64, allocated: most + 4096 + 8 }
  const bits = orTyped(within(bounds, bytes, (all) => BitfieldRle.decode(all, most)))
  if (bits !== undefined) expect(bits.length).toBeLessThanOrEqual(most + 3)
  let runs = 0
  const visited = BitfieldRle.eachRun(bytes, most, (at, count) => {
    runs++
    expect(at + count).toBeLessThanOrEqual(most + 3)
  })
  expect(Either.isRight(visited)).toBe(bits !== undefined)
  expect(runs).toBeLessThanOrEqual(bytes.length)
})

const varints = target("numbers", 1000, fc.uint8Array({ maxLength: 100 }), (bytes) => {
  within({ looks: 9 * bytes.length + 9, allocated: 0 }, bytes, (all) => {
    const reader = new Varint.Reader(all, 0, all.length)
    for (let steps = 0; reader.offset < reader.end; steps++) {
      const value = reader.varint()
      if (value < 0) {
        expect([Varint.TRUNCATED, Varint.TOO_LARGE]).toContain(value)
        break
      }
      expect(Number.isSafeInteger(value)).toBe(true)
    }
  })
})

const headered = fc.constantFrom("tree" as const, "signatures" as const, "bitfield" as const)

const sleep = target(
  "a header, and a node",
  1000,
  headered.chain((file) =>
    fc.tuple(fc.constant(file), mutated(edge.map((size) => Sleep.header(file, size % 65_536))))
  ),
  ([file, bytes]) => {
    const bounds = { looks: 200, allocated: 200 }
    const size = within(bounds, bytes, (all) => Sleep.entrySize(file, all))
    if (size !== undefined) expect(size).toBeLessThan(65_536)
    if (Sleep.isTornHeader(file, 40, bytes)) expect(bytes.length).toBeLessThan(Sleep.HEADER_SIZE)
    const node = Node.decode(0 as Position, bytes)
    if (node !== undefined) expect([node.hash.length, Number.isSafeInteger(node.size)]).toEqual([32, true])
  }
)

const keyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 70 }),
  fc.constantFrom(0, 5, 32, 33, 64, 65).map((n) => new Uint8Array(n).fill(7))
)
const maybe = <A>(arbitrary: fc.Arbitrary<A>) => fc.option(arbitrary, { nil: undefined })

const identity = target(
  "key files",
  1500,
  fc.tuple(
    fc.record({
      key: maybe(keyBytes),
      secretKey: maybe(keyBytes),
      createIfMissing: fc.boolean(),
      openExisting: fc.boolean(),
      overwrite: fc.boolean(),
      storeSecretKey: fc.boolean(),
      static: fc.boolean()
    }),
    fc.record({ key: keyBytes, secretKey: keyBytes, entries: fc.boolean(), data: fc.boolean() })
  ),
  ([request, stored]) => {
    const decided = Identity.decide(request, stored)
    if (Either.isLeft(decided)) {
      expect(["OpenRefused", "CorruptStorage"]).toContain(decided.left._tag)
      return
    }
    const { key, secretKey } = decided.right
    expect([undefined, 32]).toContain(key?.length)
    expect([undefined, 64]).toContain(secretKey?.length)
    // Never a key that was not asked for, nor a secret that is not its own.
    if (request.key !== undefined) expect(key).toEqual(request.key)
    if (key !== undefined && secretKey !== undefined) expect(Identity.publicHalf(secretKey)).toEqual(key)
  }
)

/** A bitfield of some pages of any bytes. */
const anyBitfield = fc
  .tuple(
    fc.integer({ min: 1, max: 2 }),
    fc.array(fc.tuple(fc.nat({ max: 2 * PAGE_SIZE - 1 }), fc.nat({ max: 255 })), { maxLength: 60 }),
    fc.constantFrom(0, 0xff)
  )
  .map(([pages, places, fill]) => {
    const bytes = new Uint8Array(pages * PAGE_SIZE).fill(fill)
    for (const [at, byte] of places) if (at < bytes.length) bytes[at] = byte
    const loaded = new BitfieldPages(PAGE_SIZE)
    loaded.load(bytes, 0)
    return new Bitfield(loaded)
  })

/** The bits, which count the questions. */
const counted = (bits: Bitfield) => {
  const held = {
    questions: 0,
    end: bits.end,
    hasNode: (position: Position): boolean => {
      held.questions++
      return bits.hasNode(position)
    }
  }
  return held
}

/** Questions about the way up from a leaf, of 53 levels at most, and to the roots from each. */
const MOST_QUESTIONS = 4 * 53 * 53

const treeIndex = target("a digest", 1500, fc.tuple(anyBitfield, edge, edge), ([bits, index, digest]) => {
  const held = counted(bits)
  const plan = TreeIndex.proofPlan(held, index, { digest })
  if (plan !== undefined) expect(plan.nodes.length).toBeLessThan(4 * 53)
  // Beyond, a leaf's place is no exact number: `feed.digest` refuses it.
  const own = TreeIndex.digest(held, index % 2 ** 52)
  expect(Number.isSafeInteger(own) && own >= 0).toBe(true)
  expect(Number.isSafeInteger(TreeIndex.length(held))).toBe(true)
  expect(held.questions).toBeLessThan(MOST_QUESTIONS)
})

const anyNode = fc.record({
  index: edge.map((index) => index as Position),
  hash: fc.oneof(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array({ maxLength: 40 })),
  size: fc.oneof(edge, fc.constantFrom(-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60))
})

export const anyClaim = fc.record({
  index: fc.oneof(edge, fc.constantFrom(-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY)),
  block: maybe(fc.uint8Array({ maxLength: 40 })),
  proof: fc.record({
    nodes: fc.array(anyNode, { maxLength: 70 }),
    signature: maybe(fc.uint8Array({ maxLength: 70 }))
  })
})

const proofs = target("a proof", 1500, fc.tuple(anyBitfield, anyClaim), ([bits, claim]) => {
  const held = counted(bits)
  const plan = Proof.plan(held, claim)
  if (Either.isLeft(plan)) expect(plan.left._tag).toBe("InvalidProof")
  else expect(plan.right.reads.length).toBeLessThan(8 * 53)
  expect(Proof.reads(held, claim).length).toBeLessThan(8 * 53)
  expect(held.questions).toBeLessThan(MOST_QUESTIONS)
})

const claimShape = target("what is no claim", 1000, fc.anything({ withTypedArray: true }), (value) => {
  expect(typeof ClaimShape.isClaim(value)).toBe("boolean")
  expect(typeof ClaimShape.isClaim({ index: value, block: value, proof: value })).toBe("boolean")
  expect(typeof ClaimShape.isClaim({ index: 1, proof: { nodes: [value], signature: value } })).toBe("boolean")
})

const throwing: ValueEncoding.AbstractEncoding<unknown> = {
  encode: () => {
    throw new Error("no")
  },
  decode: () => {
    // oxlint-disable-next-line no-throw-literal
    throw "text"
  }
}

const values = target(
  "values of a block",
  1000,
  fc.tuple(mutated(fc.json().map((text) => new TextEncoder().encode(text))), fc.anything()),
  ([bytes, value]) => {
    const encodings = [ValueEncoding.utf8, ValueEncoding.json, ValueEncoding.fromAbstract(throwing)] as const
    for (const encoding of encodings) {
      for (const result of [encoding.decode(bytes), encoding.encode(value as never)]) {
        if (Either.isLeft(result)) expect(result.left._tag).toBe("EncodingError")
      }
    }
  }
)

export const decoders: ReadonlyArray<AnyTarget> = [
  wire,
  framing,
  multiplexer,
  rle,
  varints,
  sleep,
  identity,
  treeIndex,
  proofs,
  claimShape,
  values
]
