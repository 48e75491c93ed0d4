/** Connections of feeds of ours with those of the real peer in another process. */
import { describe, expect, layer, type Vitest } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { type Connection, Feed, Replication } from "../../src/index.js"
import { layer as nodeLayer, NetworkTcp, NetworkWebSocketNode } from "../../src/node.js"
import { temporaryDirectory } from "../temporaryDirectory.js"
import {
  openPeerFeed,
  type PeerFeed,
  PeerProcess,
  layer as peerProcess,
  peers,
  within
} from "./PeerProcess.js"

/** The tests, for each real peer, with a process of its. */
export const forEachPeer = (
  tests: (it: Vitest.MethodsNonLive<PeerProcess, true>, name: (typeof peers)[number]) => void
): void =>
  describe.each(peers)("%s", (name) => {
    layer(peerProcess(name), { excludeTestServices: true })((it) => tests(it, name))
  })

export const EACH_SIDE = ["ours", "theirs"] as const

/** A feed of ours in a directory of its own, or in the one given. */
export const openOurs = (options: Feed.OpenOptions & { readonly directory?: string } = {}) =>
  Effect.gen(function* () {
    const directory = options.directory ?? (yield* temporaryDirectory)
    const feed = yield* Effect.provide(Feed.open(options), nodeLayer({ directory }))
    return { feed, directory }
  })

/** A feed of theirs in a directory of its own, or in the one given. */
export const openTheirs = (options: Parameters<typeof openPeerFeed>[0] = {}) =>
  Effect.gen(function* () {
    const directory = options.directory ?? (yield* temporaryDirectory)
    const feed = yield* openPeerFeed({ ...options, directory })
    return { feed, directory }
  })

/** The same blocks; it says which one is the first to differ. */
export const expectBlocks = (found: ReadonlyArray<Uint8Array>, blocks: ReadonlyArray<Uint8Array>): void => {
  expect(found.length).toBe(blocks.length)
  const differs = blocks.findIndex((block, index) => Buffer.compare(block, found[index]!) !== 0)
  expect(differs, "the first block that differs").toBe(-1)
}

const read = (directory: string, file: string) =>
  fs.readFileSync(path.join(directory, file)).toString("base64")

/** Two directories with the same feed, whole, are equal where it does not matter whose it is. */
export const expectSameFiles = (left: string, right: string): void => {
  for (const file of ["key", "data", "tree"]) expect(read(left, file), file).toBe(read(right, file))
}

export interface LinkOptions {
  /** Who listens; the other one connects. */
  readonly listens?: "ours" | "theirs"
  /** Over a WebSocket; otherwise over TCP. */
  readonly webSocket?: boolean
  /** All bytes come, on both sides, in chunks of this size, or what there is of it. */
  readonly chunk?: number
  /** What the real peer replicates with: its own options, and those of `replicationPeer.mjs`. */
  readonly theirs?: Record<string, unknown>
}

/** Turns of the event loop after which chunks that are not full are passed on. */
const IDLE_TURNS = 20

const turn = Effect.async<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** The same connection, its bytes pulled in chunks of `size`. */
export const rechunked = (connection: Connection, size: number): Connection => ({
  remote: connection.remote,
  push: connection.push,
  end: connection.end,
  pull: Effect.gen(function* () {
    const arrays = [...(yield* connection.pull)]
    if (arrays.length === 0) return arrays
    const length = () => arrays.reduce((sum, one) => sum + one.length, 0)
    while (length() < size) {
      const more = yield* Effect.raceFirst(
        connection.pull,
        Effect.as(Effect.repeatN(turn, IDLE_TURNS - 1), undefined)
      )
      if (more === undefined || more.length === 0) break
      arrays.push(...more)
    }
    const all = Buffer.concat(arrays)
    const chunks: Array<Uint8Array> = []
    for (let at = 0; at < all.length; at += size) chunks.push(new Uint8Array(all.subarray(at, at + size)))
    return chunks
  })
})

type Run<R> = (connection: Connection) => Effect.Effect<void, Replication.ReplicationError, R>

/** Connects: `use` is run with our end, and gives its name over there and how `use` ended, when it has. */
const connected = <R>(feeds: ReadonlyArray<PeerFeed>, options: LinkOptions, use: Run<R>) =>
  Effect.gen(function* () {
    const { call, newName } = yield* PeerProcess
    const { chunk, listens, theirs, webSocket = false } = options
    const network = webSocket ? NetworkWebSocketNode.make() : NetworkTcp.make()
    const ended = yield* Deferred.make<void, Replication.ReplicationError>()
    const run = (connection: Connection) =>
      Effect.intoDeferred(use(chunk === undefined ? connection : rechunked(connection, chunk)), ended)
    const name = yield* newName
    const given = { link: name, feeds: feeds.map((feed) => feed.name), chunk, webSocket, ...theirs }
    if (listens === "ours") {
      const { address } = yield* network.listen({ host: "127.0.0.1", port: 0 }, run)
      yield* call("connect", { ...given, port: address.port })
    } else {
      const port = yield* call<number>("listen", given)
      const connecting = Effect.flatMap(network.connect({ host: "127.0.0.1", port }), run)
      yield* Effect.forkScoped(Effect.scoped(connecting))
    }
    return { name, ended: Deferred.await(ended) }
  })

/** Connects our end, `use`, with these feeds over there. The connection does not outlive the scope. */
export const link = <R>(feeds: ReadonlyArray<PeerFeed>, options: LinkOptions, use: Run<R>) =>
  Effect.gen(function* () {
    const { call } = yield* PeerProcess
    const { ended, name } = yield* connected(feeds, options, use)
    const ask = <A = void>(command: string, given: Record<string, unknown> = {}) =>
      call<A>(command, { link: name, ...given })
    /** Both sides end, and neither has anything to complain about. */
    const bothEnd = Effect.gen(function* () {
      yield* within("the end of our side", ended)
      expect(yield* ask("ended")).toEqual([])
    })
    return {
      ask,
      ended,
      bothEnd,
      /** The real peer ends a connection that would go on. */
      finish: Effect.zipRight(ask("finalize"), bothEnd)
    }
  }).pipe(Effect.orDie)

/** Connects one feed of ours with one of theirs. */
export const linkFeeds = (
  ours: Replication.AnyFeed,
  theirs: PeerFeed,
  options: LinkOptions & { readonly ours?: Replication.Options } = {}
) => link([theirs], options, (connection) => Replication.replicate(ours, connection, options.ours))
