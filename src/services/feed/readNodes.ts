/** Reading the `tree` and `signatures` files, in one storage call a plan. */
import { Effect } from "effect"
import { isBlank } from "../../domain/Bytes.js"
import type { StorageError } from "../../domain/Errors.js"
import type { Position } from "../../domain/FlatTree.js"
import { ENTRY_SIZE, type TreeNode, decode } from "../../domain/Node.js"
import * as Sleep from "../../domain/Sleep.js"
import type { FeedFiles } from "../Storage.js"

/** The nodes stored at `positions`, in that order; `undefined` where there is none. */
export const readNodes = (
  files: FeedFiles,
  positions: ReadonlyArray<Position>
): Effect.Effect<ReadonlyArray<TreeNode | undefined>, StorageError> =>
  positions.length === 0
    ? Effect.succeed([])
    : Effect.map(
        files.read(
          positions.map((position) => ({
            file: "tree" as const,
            offset: Sleep.nodeOffset(position),
            length: ENTRY_SIZE
          }))
        ),
        (entries) => entries.map((entry, i) => decode(positions[i]!, entry))
      )

/** The `tree` entries from one position to another, inclusive, as one run of bytes (short past the end of the file). */
export const readEntries = (
  files: FeedFiles,
  from: Position,
  to: Position
): Effect.Effect<Uint8Array, StorageError> =>
  Effect.map(
    files.read([{ file: "tree", offset: Sleep.nodeOffset(from), length: ENTRY_SIZE * (to - from + 1) }]),
    ([bytes]) => bytes!
  )

/** The signature stored for the log of `length` blocks; `undefined` when the entry is blank or not there. */
export const readSignature = (
  files: FeedFiles,
  length: number
): Effect.Effect<Uint8Array | undefined, StorageError> =>
  Effect.map(
    files.read([
      { file: "signatures", offset: Sleep.signatureOffset(length - 1), length: Sleep.SIGNATURE_SIZE }
    ]),
    ([entry]) => (entry!.length < Sleep.SIGNATURE_SIZE || isBlank(entry!) ? undefined : entry!)
  )
