/** What a connection with the real peers, in another process, carries besides blocks: many feeds, acknowledgements, extensions, ends. */
import { expect } from "@effect/vitest"
import { Deferred, Effect, Exit, Option, Queue, Scope } from "effect"
import { type Feed, Replication, toHex } from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import { bytes, someBlocks } from "../services/harness.js"
import { expectBlocks, forEachPeer, link, type LinkOptions, linkFeeds, openOurs } from "./links.js"
import { openPeerFeed, type PeerFeed, within } from "./PeerProcess.js"

const base64 = (payload: Uint8Array): string => Buffer.from(payload).toString("base64")
const blocks = someBlocks(60)
const LIVE = { ours: { live: true }, theirs: { live: true } }
const FEEDS = 20

/** A connection of any number of our feeds. */
const linkMany = (
  theirs: ReadonlyArray<PeerFeed>,
  feeds: ReadonlyArray<Feed.Feed>,
  options: LinkOptions & { readonly ours: Replication.Options }
) =>
  link(theirs, { ...options, theirs: { ...options.theirs, multiple: true } }, (connection) =>
    Effect.scoped(
      Effect.gen(function* () {
        const replicator = yield* Replication.connect(connection, options.ours)
        for (const feed of feeds) yield* replicator.add(feed)
        yield* replicator.ended
      })
    ).pipe(Effect.provide(CryptoNode.layer))
  )

/** Answers with those of the feeds that are asked for. */
const answering =
  (feeds: ReadonlyArray<Feed.Feed>): NonNullable<Replication.Options["onFeed"]> =>
  (discoveryKey) =>
    Effect.succeed(
      Option.fromNullable(feeds.find((feed) => toHex(feed.discoveryKey) === toHex(discoveryKey)))
    )

/** Feeds of which every other one is ours, each with some blocks, and the other side's copies, which are empty. */
const manyFeeds = Effect.gen(function* () {
  const pairs = yield* Effect.forEach(
    Array.from({ length: FEEDS }, (_, i) => i),
    (i) =>
      Effect.gen(function* () {
        const own = someBlocks(5 + i, `feed ${i} `)
        if (i % 2 === 0) {
          const { feed } = yield* openOurs()
          yield* feed.appendBatch(own)
          return { ours: feed, theirs: yield* openPeerFeed({ key: feed.key }), own, writer: "ours" as const }
        }
        const theirs = yield* openPeerFeed()
        yield* theirs.append(own)
        const { feed } = yield* openOurs({ key: theirs.key })
        return { ours: feed, theirs, own, writer: "theirs" as const }
      })
  )
  return { pairs, ours: pairs.map(({ ours }) => ours), theirs: pairs.map(({ theirs }) => theirs) }
})

const expectAllThere = (pairs: Effect.Effect.Success<typeof manyFeeds>["pairs"]) =>
  Effect.forEach(pairs, ({ ours, own, theirs }) =>
    Effect.gen(function* () {
      expectBlocks(yield* ours.getBatch(0, own.length, { wait: false }), own)
      expect(yield* ours.audit()).toEqual({ valid: own.length, invalid: 0 })
      expectBlocks(yield* theirs.blocks(0, own.length), own)
      expect(yield* theirs.audit).toEqual({ valid: own.length, invalid: 0 })
    })
  )

forEachPeer((it, name) => {
  for (const encrypt of [true, false]) {
    const how = encrypt ? "encrypted" : "in clear"

    it.scoped(`${FEEDS} feeds on a connection, which they open and we answer, ${how}`, () =>
      Effect.gen(function* () {
        const { ours, pairs, theirs } = yield* manyFeeds
        const connection = yield* linkMany(theirs, [], {
          ours: { encrypt, onFeed: answering(ours) },
          theirs: { encrypt, expectedFeeds: FEEDS }
        })
        yield* connection.bothEnd
        yield* expectAllThere(pairs)
      })
    )

    it.scoped(`${FEEDS} feeds on a connection, which we open and they answer, ${how}`, () =>
      Effect.gen(function* () {
        const { ours, pairs, theirs } = yield* manyFeeds
        const connection = yield* linkMany([], ours, {
          ours: { encrypt, expectedFeeds: FEEDS },
          theirs: { encrypt, answers: theirs.map((feed) => feed.name) }
        })
        yield* connection.bothEnd
        yield* expectAllThere(pairs)
      })
    )
  }

  it.scoped("a live connection: feeds that one side has alone are left alone, the others go on", () =>
    Effect.gen(function* () {
      const { ours, pairs, theirs } = yield* manyFeeds
      const alone = yield* openPeerFeed()
      const [first, ...others] = theirs
      const connection = yield* linkMany([first!, alone, ...others], [], {
        ours: { live: true, onFeed: answering(ours) },
        theirs: { live: true }
      })
      const [atFirst, later] = [pairs[0]!, pairs[5]!]
      yield* atFirst.theirs.until({ downloaded: atFirst.own.length })
      yield* within("a feed of theirs", later.ours.getBatch(0, later.own.length))
      yield* atFirst.ours.append(bytes("later"))
      yield* atFirst.theirs.until({ downloaded: atFirst.own.length + 1 })
      yield* later.theirs.append([bytes("later")])
      expect(yield* within("a block of theirs", later.ours.get(later.own.length))).toEqual(bytes("later"))
      yield* connection.finish
    })
  )

  it.scoped("we acknowledge each block, if they ask for that", () =>
    Effect.gen(function* () {
      const theirs = yield* openPeerFeed()
      yield* theirs.append(blocks)
      const { feed } = yield* openOurs({ key: theirs.key })
      const connection = yield* linkFeeds(feed, theirs, {
        ours: { live: true },
        theirs: { live: true, ack: true }
      })
      yield* within("the blocks", feed.getBatch(0, 60))
      if (name === "hypercore-7") {
        const acks = yield* connection.ask<ReadonlyArray<readonly [number, number]>>("acks", { count: 60 })
        const starts = acks.map(([start]) => start).sort((a, b) => a - b)
        expect(starts).toEqual(Array.from({ length: 60 }, (_, i) => i))
        expect(acks.every(([, length]) => length === 1)).toBe(true)
      }
      yield* connection.finish
    })
  )

  // 6.25.2 never acknowledges.
  if (name === "hypercore-7") {
    it.scoped("they acknowledge each block, if we ask for that", () =>
      Effect.gen(function* () {
        const { feed } = yield* openOurs()
        yield* feed.appendBatch(blocks)
        const theirs = yield* openPeerFeed({ key: feed.key })
        const acks = yield* Queue.unbounded<number>()
        const connection = yield* linkFeeds(feed, theirs, {
          ours: { live: true, ack: true, onAck: (start) => Queue.unsafeOffer(acks, start) },
          theirs: { live: true }
        })
        const starts = [...(yield* within("60 acknowledgements", Queue.takeN(acks, 60)))]
        expect(starts.sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => i))
        yield* connection.finish
      })
    )
  }

  it.scoped("extension messages go both ways, by name; those of one side alone are not sent", () =>
    Effect.gen(function* () {
      const theirs = yield* openPeerFeed()
      yield* theirs.append(blocks)
      const { feed } = yield* openOurs({ key: theirs.key, sparse: true })
      const heard = yield* Queue.unbounded<readonly [name: string, payload: Uint8Array, sent: boolean]>()
      const connection = yield* linkFeeds(feed, theirs, {
        ours: {
          live: true,
          extensions: ["shared", "a", "only-ours", "z"],
          onExtension: (extension, payload, peer) => {
            expect(peer.remoteExtensions).toEqual(["a", "b", "shared", "z"])
            peer.extension(extension, Uint8Array.from(payload).reverse())
            Queue.unsafeOffer(heard, [extension, payload, peer.extension("only-ours", payload)])
          }
        },
        theirs: { live: true, extensions: ["a", "b", "shared", "z"] }
      })
      const sent = [
        ["shared", bytes("hello")],
        ["z", new Uint8Array(0)],
        ["a", new Uint8Array(100_000).fill(7)]
      ] as const
      for (const [type, payload] of sent) {
        yield* connection.ask("extension", { type: "b", payload: base64(payload) })
        yield* connection.ask("extension", { type, payload: base64(payload) })
        expect(yield* within("an extension message", Queue.take(heard))).toEqual([type, payload, false])
        const [back] = yield* connection.ask<ReadonlyArray<readonly [string, string]>>("extensions", {
          count: 1
        })
        expect(back).toEqual([type, base64(Uint8Array.from(payload).reverse())])
      }
      yield* connection.finish
    })
  )

  it.scoped("the handshake tells each side of the other", () =>
    Effect.gen(function* () {
      const { feed } = yield* openOurs()
      const theirs = yield* openPeerFeed({ key: feed.key, options: { sparse: true } })
      const told = yield* Deferred.make<Uint8Array | undefined>()
      const connection = yield* linkFeeds(feed, theirs, {
        ours: {
          live: true,
          ack: true,
          userData: bytes("ours"),
          extensions: ["x"],
          onExtension: (_, __, peer) => Deferred.unsafeDone(told, Exit.succeed(peer.remoteUserData))
        },
        theirs: { live: true, userData: base64(bytes("theirs")), extensions: ["x"] }
      })
      yield* connection.ask("extension", { type: "x", payload: "" })
      expect(yield* within("their user data", Deferred.await(told))).toEqual(bytes("theirs"))
      yield* feed.append(bytes("block"))
      yield* theirs.get(0)
      const handshake = yield* connection.ask<Record<string, unknown>>("handshake")
      expect(handshake).toEqual({ live: true, ack: true, userData: base64(bytes("ours")) })
      yield* connection.finish
    })
  )

  it.scoped("both count the same blocks and bytes", () =>
    Effect.gen(function* () {
      const size = blocks.reduce((sum, block) => sum + block.length, 0)
      const given = { uploadedBlocks: 60, uploadedBytes: size, downloadedBlocks: 0, downloadedBytes: 0 }
      const taken = { uploadedBlocks: 0, uploadedBytes: 0, downloadedBlocks: 60, downloadedBytes: size }

      const theirs = yield* openPeerFeed()
      yield* theirs.append(blocks)
      const here = yield* openOurs({ key: theirs.key })
      const connection = yield* linkFeeds(here.feed, theirs, LIVE)
      yield* within("the blocks", here.feed.getBatch(0, 60))
      expect(Replication.stats(here.feed)).toEqual({ totals: taken, peers: [taken] })
      if (name === "hypercore-7") expect((yield* theirs.info).totals).toEqual(given)
      yield* connection.finish

      const { feed } = yield* openOurs()
      yield* feed.appendBatch(blocks)
      const there = yield* openPeerFeed({ key: feed.key })
      const other = yield* linkFeeds(feed, there, LIVE)
      yield* there.until({ downloaded: 60 })
      expect(Replication.stats(feed)).toEqual({ totals: given, peers: [given] })
      if (name === "hypercore-7") expect((yield* there.info).totals).toEqual(taken)
      yield* other.finish
    })
  )

  /** Ends when all that the two sides had to say to each other by themselves has been said. */
  const settled = (ask: <A = void>(command: string, given?: Record<string, unknown>) => Effect.Effect<A>) =>
    Effect.zipRight(ask("extension", { type: "x", payload: "" }), ask("extensions", { count: 1 }))
  const echoing: Replication.Options = {
    live: true,
    extensions: ["x"],
    onExtension: (extension, payload, peer) => peer.extension(extension, payload)
  }
  const withX = { live: true, extensions: ["x"] }

  it.scoped("upload only, download only", () =>
    Effect.gen(function* () {
      const theirs = yield* openPeerFeed()
      yield* theirs.append(blocks)
      const { feed } = yield* openOurs({ key: theirs.key })
      const uploading = yield* linkFeeds(feed, theirs, {
        ours: { ...echoing, download: false },
        theirs: withX
      })
      yield* settled(uploading.ask)
      yield* settled(uploading.ask)
      expect([feed.length, yield* feed.downloaded()]).toEqual([0, 0])
      yield* uploading.finish

      const taking = yield* linkFeeds(feed, theirs)
      yield* taking.bothEnd
      expect(yield* feed.downloaded()).toBe(60)

      const reader = yield* openPeerFeed({ key: theirs.key })
      const downloading = yield* linkFeeds(feed, reader, {
        ours: { ...echoing, upload: false },
        theirs: withX
      })
      yield* settled(downloading.ask)
      yield* settled(downloading.ask)
      expect(yield* reader.held).toEqual([])
      yield* downloading.finish

      const uninterested = yield* linkFeeds(feed, reader, {
        ours: echoing,
        theirs: { ...withX, download: false }
      })
      yield* settled(uninterested.ask)
      yield* settled(uninterested.ask)
      expect(yield* reader.held).toEqual([])
      yield* uninterested.finish

      yield* (yield* linkFeeds(feed, reader, { ours: { download: false } })).bothEnd
      expect(yield* reader.audit).toEqual({ valid: 60, invalid: 0 })
    })
  )

  it.scoped("what was interrupted goes on with the next connection, in either direction", () =>
    Effect.gen(function* () {
      const long = someBlocks(400)
      const theirs = yield* openPeerFeed()
      yield* theirs.append(long)
      const { feed } = yield* openOurs({ key: theirs.key })
      const scope = yield* Scope.make()
      const cut = yield* Scope.extend(linkFeeds(feed, theirs), scope)
      yield* within("the first block", feed.getBatch(0, 1))
      yield* Scope.close(scope, Exit.void)
      // They see a connection that ended or broke, and that is all.
      yield* cut.ask("ended")
      yield* (yield* linkFeeds(feed, theirs)).bothEnd
      expectBlocks(yield* feed.getBatch(0, 400, { wait: false }), long)

      const reader = yield* openPeerFeed({ key: theirs.key })
      const other = yield* linkFeeds(feed, reader, LIVE)
      yield* reader.until({ downloaded: 1 })
      yield* other.ask("finalize")
      yield* within("the end of our side", other.ended)
      yield* (yield* linkFeeds(feed, reader)).bothEnd
      expectBlocks(yield* reader.blocks(0, 400), long)
    })
  )

  it.scoped("they have the last block alone, from another connection: they fetch the rest", () =>
    Effect.gen(function* () {
      const { feed } = yield* openOurs()
      yield* feed.appendBatch(blocks)
      const sparse = yield* openOurs({ key: feed.key, sparse: true })
      yield* sparse.feed.put({ index: 59, block: yield* feed.get(59), proof: yield* feed.proof(59) })
      const theirs = yield* openPeerFeed({ key: feed.key })
      const first = yield* linkFeeds(sparse.feed, theirs, LIVE)
      yield* theirs.until({ downloaded: 1 })
      yield* first.finish
      yield* (yield* linkFeeds(feed, theirs)).bothEnd
      expect(yield* theirs.audit).toEqual({ valid: 60, invalid: 0 })
    })
  )

  it.scoped("our feed is closed: they see the connection end", () =>
    Effect.gen(function* () {
      const { feed } = yield* openOurs()
      yield* feed.appendBatch(blocks)
      const theirs = yield* openPeerFeed({ key: feed.key })
      const connection = yield* linkFeeds(feed, theirs, LIVE)
      yield* theirs.until({ downloaded: 60 })
      yield* feed.close
      const exit = yield* within("the end of our side", Effect.exit(connection.ended))
      expect(Exit.isFailure(exit)).toBe(true)
      yield* connection.ask("ended")
    })
  )

  it.scoped("other feeds first: both sides refuse", () =>
    Effect.gen(function* () {
      const { feed } = yield* openOurs()
      const theirs = yield* openPeerFeed()
      const connection = yield* linkFeeds(feed, theirs, LIVE)
      const error = yield* within("our refusal", Effect.flip(connection.ended))
      expect(error).toMatchObject({ _tag: "ProtocolError", reason: "other-feed" })
      yield* connection.ask("ended")
    })
  )
})
