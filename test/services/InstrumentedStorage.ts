/**
 * A Storage around another that tells of each thing done to the files, one file operation at a time, and lets a test make
 * any of them fail: not done at all, done half (a torn write), or done and reported as failed all the same.
 */
import { Effect, Layer } from "effect"
import { type FeedFiles, type FileName, Storage, StorageError, type StorageService } from "../../src/index.js"

export interface Step {
  readonly operation: "read" | "write" | "remove" | "truncate" | "sync"
  readonly file: FileName
  readonly offset: number
  readonly length: number
  /** What a write writes. */
  readonly content?: Uint8Array
}

export type Fault = "before" | "torn" | "after"

/** Called with each step before it is done; answers how it fails, if it does. */
export type Instrument = (step: Step) => Fault | undefined

const failed = (step: Step): StorageError =>
  new StorageError({
    reason: "io",
    operation: step.operation,
    file: step.file,
    cause: new Error("injected")
  })

/** Does the step, whole or in part, and fails as the instrument says. */
const perform = <A>(
  instrument: Instrument,
  step: Step,
  whole: Effect.Effect<A, StorageError>,
  half: Effect.Effect<unknown, StorageError> = Effect.void
): Effect.Effect<A, StorageError> =>
  Effect.suspend(() => {
    const fault = instrument(step)
    if (fault === undefined) return whole
    const done = fault === "after" ? whole : fault === "torn" ? half : Effect.void
    return Effect.zipRight(done, Effect.fail(failed(step)))
  })

const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))

const instrumentFiles = (files: FeedFiles, instrument: Instrument): FeedFiles => ({
  lock: files.lock,
  size: files.size,
  read: (ranges) =>
    Effect.zipRight(
      Effect.forEach(ranges, (range) => perform(instrument, { operation: "read", ...range }, Effect.void), {
        discard: true
      }),
      files.read(ranges)
    ),
  write: (writes) =>
    Effect.forEach(
      writes,
      ({ file, offset, parts }) => {
        const content = joined(parts)
        const half = content.subarray(0, Math.floor(content.length / 2))
        return perform(
          instrument,
          { operation: "write", file, offset, length: content.length, content },
          files.write([{ file, offset, parts: [content] }]),
          half.length === 0 ? Effect.void : files.write([{ file, offset, parts: [half] }])
        )
      },
      { discard: true }
    ),
  remove: (file, offset, length) =>
    perform(
      instrument,
      { operation: "remove", file, offset, length },
      files.remove(file, offset, length),
      files.remove(file, offset, Math.floor(length / 2))
    ),
  truncate: (file, size) =>
    perform(instrument, { operation: "truncate", file, offset: size, length: 0 }, files.truncate(file, size)),
  sync: (names) =>
    Effect.zipRight(
      Effect.forEach(
        names,
        (file) => perform(instrument, { operation: "sync", file, offset: 0, length: 0 }, Effect.void),
        { discard: true }
      ),
      files.sync(names)
    )
})

export const instrumented = (inner: StorageService, instrument: Instrument): StorageService => ({
  open: (path) => Effect.map(inner.open(path), (files) => instrumentFiles(files, instrument))
})

/** Puts the instrument between an effect and the storage it is run with. */
export const withInstrument =
  (instrument: Instrument) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Storage> =>
    Effect.provide(
      effect,
      Layer.effect(
        Storage,
        Effect.map(Storage, (inner) => instrumented(inner, instrument))
      )
    ) as Effect.Effect<A, E, R | Storage>
