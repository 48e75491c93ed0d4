/** What is to be appended: files and standard input, as streams of bytes. */
import * as NodeStream from "@effect/platform-node/NodeStream"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import { Effect, Option, Stream } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import type { Readable } from "node:stream"
import { type CommandFailed, failed, misused } from "./Failure.js"

export interface Input {
  readonly name: string
  /** In bytes, when that is known before reading. */
  readonly size: Option.Option<number>
  readonly bytes: Stream.Stream<Uint8Array, CommandFailed>
}

const STANDARD_INPUT = "-"
/** Read at a time from a file: fewer bytes make more signatures, more make no difference. */
const CHUNK_SIZE = 256 * 1024

/** The inputs of these names, all found to be readable before any is read; standard input when there are none. */
export const open = (
  names: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Input>, CommandFailed, FileSystem.FileSystem> => {
  if (names.filter((name) => name === STANDARD_INPUT).length > 1) {
    return Effect.fail(misused("standard input (-) can be given only once"))
  }
  return Effect.forEach(names.length === 0 ? [STANDARD_INPUT] : names, (name) =>
    name === STANDARD_INPUT ? standardInput : file(name)
  )
}

const standardInput: Effect.Effect<Input> = Effect.sync(() => {
  const name = "standard input"
  return { name, size: redirectedSize(), bytes: read(name, () => process.stdin) }
})

/** The size of the file that standard input is redirected from, if it is. */
const redirectedSize = (): Option.Option<number> => {
  try {
    const stats = fs.fstatSync(0)
    return stats.isFile() ? Option.some(stats.size) : Option.none()
  } catch {
    return Option.none() // closed: reading will say so
  }
}

const file = (name: string): Effect.Effect<Input, CommandFailed, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const info = yield* fileSystem.stat(name).pipe(Effect.mapError(readingFailed(name)))
    if (info.type === "Directory") return yield* failed(`${name}: is a directory`)
    yield* fileSystem.access(name, { readable: true }).pipe(Effect.mapError(readingFailed(name)))
    const isFile = info.type === "File"
    return {
      name,
      size: isFile ? Option.some(Number(info.size)) : Option.none(),
      bytes: isFile
        ? read(name, () => fs.createReadStream(name, { highWaterMark: CHUNK_SIZE }))
        : Stream.unwrap(Effect.map(openPipe(name), (pipe) => read(name, () => pipe)))
    }
  })

/** A read of a pipe can last for ever. As a socket it waits in the event loop, not in a thread that would hold up our exit. */
const openPipe = (name: string): Effect.Effect<Readable, CommandFailed> =>
  Effect.async((resume) => {
    fs.open(name, "r", (error, fd) =>
      resume(
        error === null
          ? Effect.sync(() => pipeOrDevice(fd))
          : Effect.fail(failed(`${name}: cannot be read: ${error.message}`))
      )
    )
  })

const pipeOrDevice = (fd: number): Readable =>
  fs.fstatSync(fd).isFIFO()
    ? new net.Socket({ fd, readable: true, writable: false })
    : fs.createReadStream("", { fd, highWaterMark: CHUNK_SIZE })

const read = (name: string, readable: () => Readable): Stream.Stream<Uint8Array, CommandFailed> =>
  NodeStream.fromReadable<CommandFailed>(readable, (cause) =>
    failed(`${name}: cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`)
  )

/** Why a file cannot be read, in a user's words. */
export const readingFailed =
  (name: string) =>
  (error: PlatformError): CommandFailed => {
    const reason = error._tag === "SystemError" ? error.reason : "BadArgument"
    if (reason === "NotFound") return failed(`${name}: no such file`)
    if (reason === "PermissionDenied") return failed(`${name}: permission denied`)
    return failed(`${name}: cannot be read: ${error.message}`)
  }
