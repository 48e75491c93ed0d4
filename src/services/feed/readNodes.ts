/** Reading the `tree` and `signatures` files, in one storage call a plan. */
import { Effect } from "effect"
import { isBlank } from "../../domain/Bytes.js"
import type { StorageError } from "../../domain/Errors.js"
import type { Position } from "../../domain/FlatTree.js"
import { ENTRY_SIZE, type TreeNode, decode } from "../../domain/Node.js"
import * as Sleep from "../../domain/Sleep.js"
import type { FeedFiles } from "../Storage.js"

/** Entries between two nodes that are read with them: a call costs more than a kilobyte. */
const MOST_BETWEEN = 32
/** Entries of one run. */
const MOST_IN_RUN = 512

/** The nodes stored at `positions`, in that order; `undefined` where there is none. Neighbours are read in one run. */
export const readNodes = (
  files: FeedFiles,
  positions: ReadonlyArray<Position>
): Effect.Effect<ReadonlyArray<TreeNode | undefined>, StorageError> => {
  if (positions.length === 0) return Effect.succeed([])
  const runs = runsOf(positions)
  const ranges = runs.map(({ first, last }) => ({
    file: "tree" as const,
    offset: Sleep.nodeOffset(first),
    length: ENTRY_SIZE * (last - first + 1)
  }))
  return Effect.map(files.read(ranges), (read) => {
    const nodes: Array<TreeNode | undefined> = Array.from({ length: positions.length })
    for (const [i, { first, places }] of runs.entries()) {
      for (const place of places) {
        const position = positions[place]!
        nodes[place] = decode(position, read[i]!, ENTRY_SIZE * (position - first))
      }
    }
    return nodes
  })
}

/** Positions close to each other, by their places in what was asked for. */
interface Run {
  readonly first: Position
  last: Position
  readonly places: Array<number>
}

const runsOf = (positions: ReadonlyArray<Position>): ReadonlyArray<Run> => {
  const places = positions.map((_, place) => place)
  if (positions.length > 1) places.sort((a, b) => positions[a]! - positions[b]!)
  const runs: Array<Run> = []
  let run: Run | undefined
  for (const place of places) {
    const position = positions[place]!
    if (run !== undefined && position - run.last <= MOST_BETWEEN && position - run.first < MOST_IN_RUN) {
      run.last = position
      run.places.push(place)
    } else runs.push((run = { first: position, last: position, places: [place] }))
  }
  return runs
}

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
