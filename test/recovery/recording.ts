/** A storage that writes down everything done to a feed's files, so that the files can be had as of any moment of it. */
import { Effect } from "effect"
import { type FeedFiles, type FileName, StorageMemory, type StorageService } from "../../src/index.js"
import { FILES } from "../../src/domain/Sleep.js"
import type { Image } from "./images.js"

/** One step on the files, or a promise made to the caller at that moment. */
export type Step =
  | { readonly _tag: "Write"; readonly file: FileName; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly _tag: "Truncate"; readonly file: FileName; readonly size: number }
  | { readonly _tag: "Remove"; readonly file: FileName; readonly offset: number; readonly length: number }
  | { readonly _tag: "Acknowledged"; readonly length: number; readonly held: ReadonlySet<number> }

export interface Recording {
  readonly storage: StorageService
  readonly steps: Array<Step>
}

export const makeRecording: Effect.Effect<Recording> = Effect.map(StorageMemory.make, (memory) => {
  const steps: Array<Step> = []
  const record = (files: FeedFiles): FeedFiles => ({
    ...files,
    write: (writes) => {
      for (const { file, offset, parts } of writes) {
        let at = offset
        for (const part of parts) {
          steps.push({ _tag: "Write", file, offset: at, bytes: part.slice() })
          at += part.length
        }
      }
      return files.write(writes)
    },
    truncate: (file, size) => {
      steps.push({ _tag: "Truncate", file, size })
      return files.truncate(file, size)
    },
    remove: (file, offset, length) => {
      steps.push({ _tag: "Remove", file, offset, length })
      return files.remove(file, offset, length)
    }
  })
  return { steps, storage: { open: (path) => Effect.map(memory.open(path), record) } }
})

const grown = (bytes: Uint8Array, size: number): Uint8Array => {
  if (bytes.length >= size) return bytes.slice()
  const larger = new Uint8Array(size)
  larger.set(bytes)
  return larger
}

/** The files after the step, of which only `kept` bytes reached them (when it is a write). */
export const applyStep = (image: Image, step: Step, kept = Number.POSITIVE_INFINITY): Image => {
  switch (step._tag) {
    case "Acknowledged":
      return image
    case "Truncate":
      return { ...image, [step.file]: image[step.file].slice(0, step.size) }
    case "Remove": {
      const before = image[step.file]
      if (step.offset + step.length >= before.length) {
        return { ...image, [step.file]: before.slice(0, step.offset) }
      }
      const after = before.slice().fill(0, step.offset, step.offset + step.length)
      return { ...image, [step.file]: after }
    }
    case "Write": {
      const bytes = step.bytes.subarray(0, kept)
      if (bytes.length === 0) return image
      const after = grown(image[step.file], step.offset + bytes.length)
      after.set(bytes, step.offset)
      return { ...image, [step.file]: after }
    }
  }
}

export const emptyImage: Image = Object.fromEntries(
  FILES.map((file) => [file, new Uint8Array(0)])
) as unknown as Image
