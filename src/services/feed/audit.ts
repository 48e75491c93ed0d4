/** audit: compares every held block with its leaf in the tree, and clears the have-bit of each that differs. */
import { Effect } from "effect"
import { equals } from "../../domain/Bytes.js"
import * as Change from "../../domain/Change.js"
import type { FeedClosed, StorageError } from "../../domain/Errors.js"
import * as Hash from "../../domain/Hash.js"
import { Turn } from "../Turn.js"
import { hashAhead } from "./hashAhead.js"
import { type Run, extentOf, readRun } from "./readBlocks.js"
import { commit } from "./commit.js"
import { type FeedCore, whileOpen } from "./FeedCore.js"

/**
 * `valid`: held blocks that matched their leaf. `invalid`: those that did not; those whose bytes were found to be lost when the feed was opened,
 * and have not come again; and those that would be read from another place than where they matched, because a node of the tree is damaged. These last
 * stay marked as held, since what is fetched again would be stored in that place, too. `repair` mends the tree.
 */
export interface AuditReport {
  readonly valid: number
  readonly invalid: number
}

/** `checked` blocks of the `length` of the feed have been looked at. */
export interface AuditProgress extends AuditReport {
  readonly checked: number
  readonly length: number
}

export interface AuditOptions {
  /** Run after each stretch of a thousand blocks or less. */
  readonly onProgress?: (progress: AuditProgress) => Effect.Effect<void>
}

export type AuditError = FeedClosed | StorageError

const STRETCH_BLOCKS = 1024
const STRETCH_BYTES = 512 * 1024

/** A feed that was opened read-only is audited too, but its bits stay as they are. */
export const audit = (core: FeedCore, options: AuditOptions = {}): Effect.Effect<AuditReport, AuditError> =>
  Effect.gen(function* () {
    const turn = new Turn()
    let valid = 0
    let invalid = countLost(core)
    let next = 0
    // What is appended meanwhile is not audited: it might never end.
    const length = core.tip.length
    yield* whileOpen(core)
    while (next < length) {
      yield* turn.giveWay
      const stretch = yield* core.writer.exclusive(auditStretch(core, next, length))
      valid += stretch.valid
      invalid += stretch.invalid
      next = stretch.end
      if (options.onProgress !== undefined) {
        yield* options.onProgress({ checked: next, length, valid, invalid })
      }
    }
    if (!core.readOnly) core.lost = []
    return { valid, invalid }
  })

/** Opening has marked them as not held already. */
const countLost = ({ bitfield, lost }: FeedCore): number => {
  let count = 0
  for (const { end, start } of lost) count += end - start - bitfield.count(start, end)
  return count
}

const auditStretch = (core: FeedCore, from: number, length: number) =>
  Effect.gen(function* () {
    yield* whileOpen(core)
    const start = core.bitfield.nextHeld(from, length)
    if (start === length) return { valid: 0, invalid: 0, end: start }
    const end = core.bitfield.nextMissing(start, Math.min(length, start + STRETCH_BLOCKS))
    const run = yield* readStretch(core, start, end)
    const bad: Array<number> = []
    const ahead = hashAhead(core.crypto, run.blocks)
    const blake2b = ahead === undefined ? core.crypto.blake2b256 : yield* ahead
    const suspects = badBlocks(blake2b, run)
    for (const suspect of suspects) {
      // In a run, a leaf of the wrong size shifts all blocks after it: each is found bad only where its own way leads.
      bad.push(...badBlocks(core.crypto.blake2b256, yield* readStretch(core, suspect, suspect + 1)))
    }
    if (bad.length > 0 && !core.readOnly) {
      yield* commit(core, {
        ...Change.none,
        bits: bad.map((index) => ({ _tag: "Have", start: index, end: index + 1, held: false }))
      })
    }
    const invalid = bad.length + (yield* countMisplaced(core, run, new Set(suspects)))
    return { valid: run.blocks.length - invalid, invalid, end: start + run.blocks.length }
  })

/** Blocks that matched as one of the run, and whose own way leads elsewhere. */
const countMisplaced = (core: FeedCore, run: Run, suspects: ReadonlySet<number>) =>
  Effect.gen(function* () {
    let offset = (yield* extentOf(core, run.start))?.offset ?? 0
    let misplaced = 0
    for (const [i, { length }] of run.blocks.entries()) {
      const index = run.start + i
      // No effect a block, but where its place is not remembered.
      const extent = core.offsets.cached(index) ?? (yield* extentOf(core, index))
      if (length > 0 && !suspects.has(index) && extent?.offset !== offset) misplaced++
      offset += run.sizes[i]!
    }
    return misplaced
  })

const emptyRun = (start: number): Run => ({
  start,
  sizes: [0],
  blocks: [new Uint8Array(0)],
  hashes: [new Uint8Array(0)]
})

/** The run of blocks from `start` on; where the tree cannot tell, one block that no hash matches. */
const readStretch = (core: FeedCore, start: number, end: number): Effect.Effect<Run, StorageError> =>
  readRun(core, start, end, STRETCH_BYTES).pipe(
    Effect.catchTag("CorruptStorage", () =>
      // A missing leaf further on fails the whole stretch: shorten it to the one block.
      end - start === 1 ? Effect.succeed(emptyRun(start)) : readStretch(core, start, start + 1)
    )
  )

const badBlocks = (blake2b: Hash.Blake2b256, run: Run): Array<number> => {
  const bad: Array<number> = []
  for (let i = 0; i < run.blocks.length; i++) {
    const hash = Hash.leafHash(blake2b, run.blocks[i]!)
    if (!equals(hash, run.hashes[i]!)) bad.push(run.start + i)
  }
  return bad
}
