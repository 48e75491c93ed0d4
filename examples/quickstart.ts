/**
 * The main job, on a real file: make a feed, append to it, read it back, verify, audit, close, reopen; then serve it over TCP,
 * clone it from another process, and verify the clone.
 *
 *     npm start                 uses the node executable as the file
 *     npm start -- some.file    uses yours
 */
import { Command, FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Cause, Chunk, Clock, Console, Effect, Stream } from "effect"
import { Feed, Network, Replication, toHex } from "effect-hypercore"
import { layer, NetworkTcp } from "effect-hypercore/node"
import { createHash } from "node:crypto"
import { fileURLToPath } from "node:url"

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

/** Gives the feed to whoever connects, until the scope closes; answers where. */
const serve = (feed: Feed.Feed) =>
  Effect.gen(function* () {
    const network = yield* Network
    const { address } = yield* network.listen({ host: "127.0.0.1", port: 0 }, (connection) =>
      Replication.replicate(feed, connection, { live: true })
    )
    return `${address.host}:${address.port}`
  }).pipe(Effect.provide(NetworkTcp.layer()))

/** The command that comes with the package. */
const hypercore = fileURLToPath(
  new URL("./dist/hypercore.js", import.meta.resolve("effect-hypercore/package.json"))
)

/** Clones a feed into `directory` in another process; fails when that does. */
const clone = (key: Uint8Array, address: string, directory: string) =>
  Effect.gen(function* () {
    const command = Command.make(
      process.execPath,
      hypercore,
      "clone",
      toHex(key),
      directory,
      "--from",
      address
    )
    const child = yield* Command.start(Command.stderr(command, "inherit"))
    const said = yield* Stream.mkString(Stream.decodeText(child.stdout))
    if ((yield* child.exitCode) !== 0) return yield* Effect.fail("the clone failed")
    return said.trim()
  }).pipe(Effect.scoped)

const program = (cloneDirectory: string) =>
  Effect.gen(function* () {
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

    const address = yield* serve(again)
    yield* Console.log(`\nserved on      ${address}`)
    const said = yield* timed(
      "clone it from another process, its start included",
      () => again.byteLength,
      clone(again.key, address, cloneDirectory)
    )
    yield* Console.log(`  -> ${said}`)
    yield* verifyClone(again, readBack).pipe(
      Effect.scoped,
      Effect.provide(layer({ directory: cloneDirectory }))
    )
  })

/** Fails unless the clone is the feed, to the last byte. */
const verifyClone = (original: Feed.Feed, sha: string) =>
  Effect.gen(function* () {
    const copy = yield* Feed.open({ key: original.key, createIfMissing: false })
    const copied = yield* timed(
      "read the clone",
      () => copy.byteLength,
      sha256(copy.stream({ start: 2, wait: false }))
    )
    const report = yield* timed("audit the clone", () => copy.byteLength, copy.audit())
    yield* Console.log(`  -> ${copy.length} blocks, ${copy.byteLength} bytes, ${report.valid} valid`)
    const isWhole = report.valid === original.length && copy.length === original.length
    yield* Console.log(
      `  -> ${copied === sha ? "the same bytes as the file" : "NOT the same bytes as the file"}`
    )
    if (copied !== sha || !isWhole) return yield* Effect.fail("the clone is not what was served")
  })

const withFeedInFreshDirectory = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  yield* theFile
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "quickstart-" })
  yield* Console.log(`feed in        ${directory}`)
  yield* Effect.provide(
    Effect.scoped(program(`${directory}/clone`)),
    layer({ directory: `${directory}/original` })
  )
})

const main = withFeedInFreshDirectory.pipe(
  Effect.scoped,
  Effect.tapErrorCause((cause) => Console.error(String(Cause.squash(cause)))),
  Effect.provide(NodeContext.layer)
)

NodeRuntime.runMain(main, { disableErrorReporting: true })
