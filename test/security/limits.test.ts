/**
 * The table of limits in docs/security.md: its numbers are those of the constants that it names, and each is a limit indeed: by a test here,
 * which takes the number from the table, or by one elsewhere that is named here.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { concat } from "../../src/domain/Bytes.js"
import { FrameReader, FrameWriter } from "../../src/domain/Framing.js"
import { Multiplexer } from "../../src/domain/Multiplexer.js"
import { Peer } from "../../src/domain/Peer.js"
import * as Varint from "../../src/domain/Varint.js"
import { Window } from "../../src/domain/Window.js"
import * as Wire from "../../src/domain/Wire.js"
import { Feed } from "../../src/index.js"
import { arena, field, handshake, have, outcome, pass, request, want } from "../replication/Hostile.js"
import { memory, quiet } from "../services/harness.js"

const root = path.resolve(import.meta.dirname, "../..")
const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

interface Limit {
  readonly most: number
  readonly name: string
  readonly file: string
}

/** `| what | number, with thousands separated | NAME in file | ... |` */
const ROW = /^\|[^|]+\| +([\d,]+)[^|]*\| `(\w+)` in `([\w/.]+)`/gm

const limits: ReadonlyArray<Limit> = [...read("docs/security.md").matchAll(ROW)].map(
  ([, most, name, file]) => ({ most: Number(most!.replaceAll(",", "")), name: name!, file: file! })
)

/** The value of `a - b`, `a * b` or `a ** b`, of numbers and names of constants of the source. */
const evaluate = (source: string, text: string): number => {
  const split = (operator: string) => text.split(` ${operator} `).map((part) => evaluate(source, part))
  if (text.includes(" - ")) return split("-").reduce((left, right) => left - right)
  if (text.includes(" * ")) return split("*").reduce((left, right) => left * right)
  if (text.includes(" ** ")) return split("**").reduceRight((right, left) => left ** right)
  if (/^[A-Z]\w*$/.test(text)) return valueOf(source, text)
  if (!/^[\d_]+$/.test(text)) throw new Error(`${text} is no number`)
  return Number(text.replaceAll("_", ""))
}

/** The number that a constant of a source has. */
const valueOf = (source: string, name: string): number => {
  const text = new RegExp(`^(?:export )?const ${name} = (.+)$`, "m").exec(source)?.[1]
  if (text === undefined) throw new Error(`there is no constant ${name}`)
  return evaluate(source, text)
}

const sizeOf = (message: Wire.Message): number => Wire.encodedLength(message)

/** How decoding ends: the reason why it failed, or `undefined`. */
const problemOf = (tag: "Data" | "Handshake" | "Info", ...parts: ReadonlyArray<ReadonlyArray<number>>) => {
  const bytes = Uint8Array.from(parts.flat())
  return Either.match(Wire.decode(Wire.TYPE[tag], bytes, 0, bytes.length), {
    onLeft: ({ reason }) => reason,
    onRight: () => undefined
  })
}

const times = <A>(count: number, one: (i: number) => A): Array<A> =>
  Array.from({ length: count }, (_, i) => one(i))

const lengthOf = (size: number): Uint8Array => {
  const bytes = new Uint8Array(Varint.encodedLength(size))
  Varint.encode(size, bytes, 0)
  return bytes
}

const openPeer = () =>
  new Peer(
    { live: true, download: true, upload: true, ack: false, allowPush: false, mostRequests: undefined },
    { length: 100, has: () => true }
  )

const failureOf = (peer: Peer, message: Wire.Message): string | undefined =>
  peer.receive(message, 0).flatMap((action) => (action._tag === "Fail" ? [action.error.reason] : []))[0]

const plain = { encrypt: false, handshake, xsalsa20: () => () => {} }
const keyOf = (i: number): Uint8Array => new Uint8Array(32).fill(i >> 8, 0, 1).fill(i, 1)

/** A side that has opened one feed, and one that says `messages` on another, which is not open there. */
const sayEarly = (messages: ReadonlyArray<Wire.Message>): string | undefined => {
  const [ours, theirs] = [new Multiplexer(plain), new Multiplexer(plain)]
  ours.open(keyOf(0), keyOf(0), new Uint8Array(24))
  theirs.open(keyOf(0), keyOf(0), new Uint8Array(24))
  const channel = Either.getOrThrow(theirs.open(keyOf(1), keyOf(1), new Uint8Array(24)))
  for (const message of messages) theirs.send(channel, message)
  ours.keep(concat(theirs.take()))
  while (ours.hasMore) {
    const events = ours.more()
    if (Either.isLeft(events)) return events.left.reason
  }
  return undefined
}

const extension = (size: number): Wire.Extension => ({
  _tag: "Extension",
  id: 0,
  payload: new Uint8Array(size)
})

/** A test of a limit, in which one more makes the difference. */
type Proof = (most: number) => void | Effect.Effect<void, unknown>

const here: Record<string, Proof> = {
  "MAX_FRAME_SIZE in src/domain/Framing.ts": (most) => {
    expect(Either.isRight(new FrameReader(1).read(lengthOf(most), 9))).toBe(true)
    const tooLarge = new FrameReader(1).read(lengthOf(most + 1), 9)
    expect(Either.flip(tooLarge)).toMatchObject({ right: { reason: "too-large" } })
    const writer = new FrameWriter()
    expect(writer.message(0, extension(most - 2))).toBe(true)
    expect(writer.message(0, extension(most - 1))).toBe(false)
  },
  "MAX_CHANNELS in src/domain/Framing.ts": (most) => {
    const one = new Multiplexer(plain)
    const opened = times(most + 1, (i) => one.open(keyOf(i), keyOf(i), new Uint8Array(24)))
    expect(opened.filter(Either.isRight)).toHaveLength(most)
    expect(Either.flip(opened[most]!)).toMatchObject({ right: { reason: "too-many" } })
  },
  "MOST_EARLY in src/domain/Multiplexer.ts": (most) => {
    expect(sayEarly(times(most, () => have(1)))).toBeUndefined()
    expect(sayEarly(times(most + 1, () => have(1)))).toBe("too-many")
  },
  "MOST_EARLY_BYTES in src/domain/Multiplexer.ts": (most) => {
    const size = sizeOf(extension(1000)) - 1000
    expect(sayEarly([extension(most - size - 100)])).toBeUndefined()
    expect(sayEarly([extension(most + 1)])).toBe("too-many")
  },
  "MAX_FIELDS in src/domain/Protobuf.ts": (most) => {
    expect(problemOf("Info", ...times(most, () => field(1, 1)))).toBeUndefined()
    expect(problemOf("Info", ...times(most + 1, () => field(1, 1)))).toBe("too-large")
  },
  "MAX_NODES in src/domain/Wire.ts": (most) => {
    const node = Uint8Array.from([...field(1, 2), ...field(2, new Uint8Array(32)), ...field(3, 5)])
    const data = (count: number) => problemOf("Data", field(1, 1), ...times(count, () => field(3, node)))
    expect([data(most), data(most + 1)]).toEqual([undefined, "too-large"])
  },
  "MAX_EXTENSIONS in src/domain/Wire.ts": (most) => {
    const named = (count: number) =>
      problemOf("Handshake", ...times(count, () => field(4, Uint8Array.of(97))))
    expect([named(most), named(most + 1)]).toEqual([undefined, "too-large"])
  },
  "MAX_EXTENSION_NAME in src/domain/Wire.ts": (most) => {
    const named = (size: number) => problemOf("Handshake", field(4, new Uint8Array(size)))
    expect([named(most), named(most + 1)]).toEqual([undefined, "too-large"])
  },
  "MAX_USER_DATA in src/domain/Wire.ts": (most) => {
    for (const which of [1, 3]) {
      const head = (size: number) => Uint8Array.from([(which << 3) | 2, ...lengthOf(size)])
      const given = (size: number) => {
        const bytes = concat([head(size), new Uint8Array(size)])
        return Either.isRight(Wire.decode(Wire.TYPE.Handshake, bytes, 0, bytes.length))
      }
      expect([given(most), given(most + 1)]).toEqual([true, false])
    }
  },
  "MOST_REGIONS in src/domain/Peer.ts": (most) => {
    const peer = openPeer()
    const wanted = times(most + 1, (region) => peer.wantRegion(region, () => false).length)
    expect(wanted).toEqual([...times(most, () => 1), 0])
  },
  "REGION_BLOCKS in src/domain/Peer.ts": (most) => {
    const peer = openPeer()
    expect(peer.wantRegion(0, () => false)).toMatchObject([{ message: { _tag: "Want", length: most } }])
    const ones = (bytes: number) => lengthOf(4 * bytes + 3)
    expect(failureOf(peer, have(0, 1, ones(most / 8)))).toBeUndefined()
    expect(peer.remoteLength).toBe(most)
    expect(failureOf(peer, have(0, 1, ones(most / 8 + 1)))).toBe("too-large")
    // What was not asked for is not kept.
    expect(failureOf(peer, have(2 * most, most))).toBeUndefined()
    expect(peer.remote.has(2 * most)).toBe(false)
  },
  "MOST_REGIONS_EVER in src/domain/Peer.ts": (most) => {
    const peer = openPeer()
    let wanted = 0
    for (let region = 0; region < most + 100; region++) {
      wanted += peer
        .wantRegion(region, () => true)
        .filter((action) => action._tag === "Send" && action.message._tag === "Want").length
      peer.receive(have(region * 1_048_576, 1, new Uint8Array(0)), 0)
    }
    expect(wanted).toBe(most + 32)
  },
  "MOST_BLOCKS in src/domain/Peer.ts": (most) => {
    expect(failureOf(openPeer(), have(most - 1, 1))).toBeUndefined()
    expect(failureOf(openPeer(), have(most, 1))).toBe("malformed")
  },
  "MOST_ASKS in src/domain/Peer.ts": (most) => {
    const peer = openPeer()
    const failures = times(most + 1, (i) => failureOf(peer, request(i)))
    expect(failures.slice(0, most).every((reason) => reason === undefined)).toBe(true)
    expect(failures[most]).toBe("too-many")
  },
  "MOST_DESCRIBED in src/domain/Peer.ts": (most) => {
    const peer = openPeer()
    peer.receive(want(0, 2 * most), 0)
    peer.receive(want(0), 0)
    expect(peer.asks).toMatchObject([{ length: most }, { length: most }])
  },
  "MOST in src/domain/Window.ts": (most) => {
    const window = new Window(undefined)
    for (let i = 0; i < 2 * most; i++) window.answered(1, 1, true, i)
    expect(window.limit).toBe(most)
  },
  "MOST_BYTES in src/domain/Window.ts": (most) => {
    const window = new Window(undefined)
    for (let i = 0; i < 10_000; i++) window.answered(1, 100_000, true, i)
    expect(window.limit * 100_000).toBeLessThan(most + 100_000)
  },
  "TICKS_DEAD in src/services/replication/ticking.ts": (most) =>
    Effect.gen(function* () {
      const { hostile, session } = yield* arena("reader", { timeout: "4 seconds" })
      yield* Effect.fork(hostile.open)
      yield* quiet
      yield* pass(most)
      expect(yield* outcome(session)).toBe("goes on")
      yield* pass(1)
      expect(yield* outcome(session)).toBe("timeout")
    }).pipe(Effect.scoped, Effect.provide(memory)),
  "MAX_BLOCK_SIZE in src/domain/Append.ts": (most) =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      expect(yield* feed.append(new Uint8Array(most))).toBe(0)
      const refused = yield* Effect.flip(feed.append(new Uint8Array(most + 1)))
      expect(refused).toMatchObject({ _tag: "BadArgument", operation: "append" })
    }).pipe(Effect.scoped, Effect.provide(memory))
}

/** Tests elsewhere, by their titles. */
const elsewhere: Record<string, readonly [file: string, title: string]> = {
  "MOST_KEPT in src/domain/ArrayPool.ts": ["domain/ArrayPool.test.ts", "keeps 8 MiB at most"],
  "MOST_WAITING in src/services/replication/Inquiry.ts": [
    "replication/inquiry.test.ts",
    "does not wait for that answer with more than it keeps"
  ],
  "MOST_MILLIS in src/services/replication/Inquiry.ts": [
    "replication/inquiry.test.ts",
    "is given up where silence is borne for ever"
  ],
  "MOST_FRUITLESS in src/services/replication/Inquiry.ts": [
    "replication/inquiry.test.ts",
    "is asked no more after a while, however often it makes itself longer"
  ],
  "MOST_CONNECTIONS in src/cli/commands/serve.ts": [
    "cli/network.test.ts",
    "no more are served at a time than --max-connections says"
  ],
  "MOST_ASKS in src/services/replication/Session.ts": [
    "replication/channels.test.ts",
    "requests of many feeds that wait are bounded together"
  ],
  "MOST_REPLIES in src/services/replication/Session.ts": [
    "replication/stalling.test.ts",
    "is refused when it makes us speak on and on"
  ],
  "ANSWER_BYTES in src/services/replication/writing.ts": [
    "replication/stalling.test.ts",
    "has no more answers made than the connection takes"
  ],
  "MOST_NEWS in src/services/replication/Member.ts": [
    "replication/stalling.test.ts",
    "is told of everything when it reads at last, in few words"
  ],
  "LONGEST in src/services/Turn.ts": ["replication/turns.test.ts", "is bounded: "],
  "BUFFER_SIZE in src/layers/NetworkTcp.ts": ["suites/connection.ts", "testHeldUp("],
  "BUFFER_SIZE in src/layers/NetworkWebSocketNode.ts": ["suites/connection.ts", "testHeldUp("],
  "MAX_PAYLOAD in src/layers/NetworkWebSocketNode.ts": [
    "layers/NetworkWebSocketNode.test.ts",
    "a message of text or one too long breaks the connection"
  ],
  "MAX_WAITING in src/layers/NetworkWebSocket.ts": ["layers/NetworkWebSocket.test.ts", "maxWaiting"],
  "BACKLOG in src/services/feed/events.ts": ["services/events.test.ts", "4096"]
}

const idOf = ({ file, name }: Limit): string => `${name} in ${file}`

describe("each limit in docs/security.md", () => {
  it("is there, and is tested here or elsewhere", () => {
    expect(limits.map(idOf).sort()).toEqual([...Object.keys(here), ...Object.keys(elsewhere)].sort())
  })

  it.each(limits.map((limit) => [idOf(limit), limit] as const))("is the constant: %s", (_, limit) => {
    expect(valueOf(read(limit.file), limit.name)).toBe(limit.most)
  })

  for (const limit of limits) {
    const proof = here[idOf(limit)]
    if (proof === undefined) continue
    it.effect(`is a limit: ${idOf(limit)}`, () => Effect.suspend(() => proof(limit.most) ?? Effect.void))
  }

  it.each(Object.entries(elsewhere))("has its test elsewhere: %s", (_, [file, title]) => {
    expect(read(`test/${file}`)).toContain(title)
  })
})

it("the value of a constant is that of what it is made of", () => {
  const source = "const A = 1_000\nexport const B = 2 * A - 4\nconst C = f(1)\nconst E = 3 * 2 ** 3\n"
  expect(["A", "B", "E"].map((name) => valueOf(source, name))).toEqual([1000, 1996, 24])
  expect(() => valueOf(source, "C")).toThrow("f(1) is no number")
  expect(() => valueOf(source, "D")).toThrow("no constant")
})
