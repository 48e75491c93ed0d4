/**
 * The main job, on a real file: make a feed, append to it, read it back, verify, audit, close, reopen.
 *
 *     npm start                 uses the node executable as the file
 *     npm start -- some.file    uses yours
 */
import { FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Cause, Chunk, Clock, Console, Effect, Stream } from "effect"
import { Feed, toHex } from "effect-hypercore"
import { layer } from "effect-hypercore/node"
import { createHash } from "node:crypto"

const BLOCK_SIZE = 64 * 1024

const text = (value: string) => new TextEncoder().encode(value)

/** The bytes as blocks of `BLOCK_SIZE`, the last one shorter. */
const cut = (bytes: Uint8Array) =>
  Chunk.makeBy(Math.ceil(bytes.length / BLOCK_SIZE), (i) =>
    bytes.subarray(i * BLOCK_SIZE, (i + 1) * BLOCK_SIZE)
  )

/** Runs `work`, which handles `bytes` bytes, and says how long that took and at what rate. */
const timed = <A, E, R>(what: string, bytes: () => number, work: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeNanos
    const result = yield* work
    const seconds = Number((yield* Clock.currentTimeNanos) - start) / 1e9
    const megabytes = bytes() / 1e6
    const rate = megabytes < 1 ? "" : `, ${(megabytes / seconds).toFixed(0)} MB/s`
    yield* Console.log(`${what.padEnd(44)} ${(seconds * 1000).toFixed(1).padStart(8)} ms${rate}`)
    return result
  })

/** SHA-256 of a stream's bytes, as hex. */
const sha256 = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) =>
  Effect.map(
    Stream.runFold(bytes, createHash("sha256"), (hash, chunk) => hash.update(chunk)),
    (hash) => hash.digest("hex")
  )

/** The file to append, found to be there. */
const theFile = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const file = process.argv[2] ?? process.execPath
  const { type, size } = yield* fs.stat(file).pipe(Effect.orElseFail(() => `${file}: no such file`))
  return type === "File" ? { file, size: Number(size) } : yield* Effect.fail(`${file}: is no file`)
})

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const { file, size } = yield* theFile
  // Read a megabyte at a time; each becomes a chunk of sixteen blocks, for which the sink signs once.
  const source = Stream.mapConcatChunk(fs.stream(file, { chunkSize: 16 * BLOCK_SIZE }), cut)

  const feed = yield* Feed.open()
  yield* Console.log(`key            ${toHex(feed.key)}`)
  yield* Console.log(`discovery key  ${toHex(feed.discoveryKey)}`)
  yield* Console.log(`crypto         ${feed.crypto}\n`)

  yield* timed("append hello", () => 0, feed.append(text("hello")))
  yield* timed("append world", () => 0, feed.append(text("world")))
  yield* timed(`append ${file}`, () => size, Stream.run(source, feed.sink))
  yield* Console.log(`  -> ${feed.length} blocks, ${feed.byteLength} bytes`)

  const fileBlocks = feed.stream({ start: 2 })
  const readBack = yield* timed("read it back", () => size, sha256(fileBlocks))
  const same = readBack === (yield* sha256(source))
  yield* Console.log(`  -> ${same ? "the same bytes as the file" : "NOT the same bytes as the file"}`)

  const last = yield* feed.signature()
  yield* timed("verify the signature", () => 0, feed.verify(last.index, last.signature))
  const report = yield* timed("audit", () => feed.byteLength, feed.audit())
  yield* Console.log(`  -> ${report.valid} valid, ${report.invalid} invalid`)
  yield* timed("close", () => 0, feed.close)

  const again = yield* timed("open again", () => 0, Feed.open({ key: feed.key }))
  const hello = new TextDecoder().decode(yield* again.get(0))
  yield* Console.log(`  -> ${again.length} blocks; block 0 is ${JSON.stringify(hello)}`)
  if (!same || report.invalid > 0) return yield* Effect.fail("what was read is not what was written")
})

const withFeedInFreshDirectory = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  yield* theFile
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "quickstart-" })
  yield* Console.log(`feed in        ${directory}`)
  yield* Effect.provide(Effect.scoped(program), layer({ directory }))
})

const main = withFeedInFreshDirectory.pipe(
  Effect.scoped,
  Effect.tapErrorCause((cause) => Console.error(String(Cause.squash(cause)))),
  Effect.provide(NodeContext.layer)
)

NodeRuntime.runMain(main, { disableErrorReporting: true })
