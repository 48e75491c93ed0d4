import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, Either, Exit, Option, Stream } from "effect"
import { MAX_BLOCK_SIZE, toHex } from "../../index.js"
import * as BlockCutter from "../BlockCutter.js"
import * as BlockWriter from "../BlockWriter.js"
import { formatBytes, formatCount, parseBlockSize } from "../ByteSize.js"
import { CommandFailed, failed, misused } from "../Failure.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as Input from "../Input.js"
import * as Key from "../Key.js"
import * as Operand from "../Operand.js"
import * as Parser from "../Parser.js"
import * as ProgressBar from "../ProgressBar.js"
import { complain } from "../StandardError.js"
import * as StandardOutput from "../StandardOutput.js"
import * as StoredFiles from "../StoredFiles.js"

const options = {
  dir: FeedDirectory.directory,
  files: Args.path({ name: "file", exists: "either" }).pipe(
    Args.withDescription(
      "What to append: files, in this order. Standard input when there is none, or for '-'."
    ),
    Args.mapEffect(Parser.forArgument(Operand.parse)),
    Args.repeated
  ),
  lines: Options.boolean("lines").pipe(
    Options.withDescription("Make each line one block, without its newline.")
  ),
  blockSize: Options.text("block-size").pipe(
    Options.withPseudoName("N[k|m]"),
    Options.withDescription(
      "Cut each file into blocks of this many bytes (KiB with k, MiB with m); its last block may be shorter."
    ),
    Options.mapEffect(Parser.forOption("block-size", parseBlockSize)),
    Options.optional
  ),
  create: Options.boolean("create").pipe(
    Options.withDescription("Make the feed if there is none in the directory.")
  ),
  durable: Options.boolean("durable").pipe(
    Options.withDescription("Flush each batch to the disk, so that it survives a loss of power.")
  ),
  secretKeyFile: Key.secretKeyFile.pipe(
    Options.withDescription("Sign with the secret key in this file, for a feed that is stored without it.")
  ),
  noProgress: ProgressBar.noProgress
}

const toCutting = (
  lines: boolean,
  blockSize: Option.Option<number>
): Effect.Effect<BlockCutter.Cutting, CommandFailed> => {
  if (lines && Option.isSome(blockSize)) return misused("--lines and --block-size exclude each other")
  if (lines) return Effect.succeed({ _tag: "Lines" })
  return Effect.succeed(
    Option.match(blockSize, {
      onNone: () => ({ _tag: "Whole" }),
      onSome: (size) => ({ _tag: "Pieces", size })
    })
  )
}

/** Refuses before anything is appended what cannot become one block. */
const checkSizes = (inputs: ReadonlyArray<Input.Input>, cutting: BlockCutter.Cutting) =>
  Effect.forEach(
    inputs,
    ({ name, size }) =>
      cutting._tag === "Whole" && Option.getOrElse(size, () => 0) > MAX_BLOCK_SIZE
        ? failed(`${name}: ${BlockCutter.tooLargeForOne}`)
        : Effect.void,
    { discard: true }
  )

const notWritable = (dir: string): CommandFailed =>
  failed(`${dir}: the secret key is not stored here; give it with --secret-key-file`)

/** Opening completes the files of a feed: what cannot be appended to is refused before. */
const checkWritable = (dir: string, secretKey: Option.Option<Uint8Array>) =>
  Effect.flatMap(StoredFiles.lacksSecretKey(dir), (lacking) =>
    lacking && Option.isNone(secretKey) ? notWritable(dir) : Effect.void
  )

/** The blocks of an input, as many at a time as a chunk of it completes. */
const cut = ({ name, bytes }: Input.Input, cutting: BlockCutter.Cutting) =>
  Stream.suspend(() => {
    const cutter = BlockCutter.make(cutting)
    const orFail = Either.mapLeft((problem: string) => failed(`${name}: ${problem}`))
    return bytes.pipe(
      Stream.mapEffect((chunk) => orFail(cutter.push(chunk))),
      Stream.concat(Stream.fromEffect(Effect.suspend(() => orFail(cutter.end()))))
    )
  })

const describe = (whole: Option.Option<number>) => (done: number, rate: number) => {
  const of = Option.match(whole, { onNone: () => "", onSome: (size) => ` of ${formatBytes(size)}` })
  return `${formatBytes(done)}${of}, ${formatBytes(Math.round(rate))}/s`
}

const wholeSize = (inputs: ReadonlyArray<Input.Input>): Option.Option<number> =>
  Option.map(Option.all(inputs.map((input) => input.size)), (sizes) =>
    sizes.reduce((sum, size) => sum + size, 0)
  )

/** When the command is interrupted it says, once the feed is closed, how many blocks `appended` counts. */
const tellWhenInterrupted = Effect.gen(function* () {
  const appended = { count: () => 0 }
  yield* Effect.addFinalizer((exit) => {
    if (!Exit.isInterrupted(exit)) return Effect.void
    const blocks = appended.count()
    return complain(`interrupted: ${formatCount(blocks, "block")} ${blocks === 1 ? "is" : "are"} appended`)
  })
  return appended
})

export const append = Command.make("append", options, (given) =>
  Effect.gen(function* () {
    const cutting = yield* toCutting(given.lines, given.blockSize)
    const inputs = yield* Input.open(given.files)
    yield* checkSizes(inputs, cutting)
    const secretKey = yield* Key.readSecretKey(given.secretKeyFile)
    yield* checkWritable(given.dir, secretKey)
    const appended = yield* tellWhenInterrupted
    const feed = yield* FeedDirectory.open(
      given.dir,
      {
        createIfMissing: given.create,
        durability: given.durable ? "power" : "process",
        ...Option.match(secretKey, {
          onNone: () => ({}),
          onSome: (secretKey) => ({ secretKey, storeSecretKey: false })
        })
      },
      { missing: "make one with 'hypercore create', or append with --create" }
    )
    if (!feed.writable && feed.fork === undefined) return yield* notWritable(given.dir)
    const { length: before } = feed
    appended.count = () => feed.length - before
    const done = { blocks: 0, bytes: 0 }
    const whole = wholeSize(inputs)
    yield* Effect.gen(function* () {
      const bar = yield* ProgressBar.make({ hidden: given.noProgress, whole, describe: describe(whole) })
      const blocks = Stream.flatMap(Stream.fromIterable(inputs), (input) => cut(input, cutting))
      yield* BlockWriter.writeAll(feed, blocks, (batch) => {
        done.blocks += batch.blocks
        done.bytes += batch.bytes
        return bar.update(done.bytes)
      })
    }).pipe(
      Effect.scoped,
      Effect.mapError(FeedDirectory.explain(given.dir)),
      Effect.mapError((error) => (done.blocks === 0 ? error : afterPart(error, done.blocks)))
    )
    yield* StandardOutput.writeRows([
      ["appended", `${formatCount(done.blocks, "block")}, ${formatCount(done.bytes, "byte")}`],
      ["length", formatCount(feed.length, "block")],
      ["key", toHex(feed.key)]
    ])
  }).pipe(Effect.scoped)
).pipe(
  Command.withDescription(
    "Append files or standard input to a feed. A file becomes one block, unless --lines or --block-size cuts it."
  )
)

const afterPart = (error: CommandFailed, blocks: number): CommandFailed =>
  new CommandFailed({
    exitCode: error.exitCode,
    message: `${error.message} (${formatCount(blocks, "block")} before it ${blocks === 1 ? "is" : "are"} appended)`
  })

export const examples = [
  "hypercore append log photo.jpg            # one block",
  "hypercore append --block-size 64k log film.mkv",
  "tail -f app.log | hypercore append --lines log"
]
