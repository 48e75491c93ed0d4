/**
 * repairSignatures: every stored signature against the roots that it is over. A sparse feed's signatures prove nodes that the last one
 * does not lead to; one that proves nothing is dropped, since whoever is sent it would end the connection.
 */
import { Effect } from "effect"
import * as Change from "../../domain/Change.js"
import type { StorageError } from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import * as Hash from "../../domain/Hash.js"
import type { TreeNode } from "../../domain/Node.js"
import * as Sleep from "../../domain/Sleep.js"
import { commit } from "./commit.js"
import { readNodes, readSignature } from "./readNodes.js"
import { signedLengths } from "./recoverLength.js"
import { proveWithDerived } from "./repairLength.js"
import { type Repairing, verifyUnder } from "./repairTree.js"

/** Entries gone through at a time. */
const SCAN_ENTRIES = 512
/** Signatures of which the roots are derived anew, which can take the reading of the whole tree. */
const MAX_DERIVED = 128

const blankEntry = new Uint8Array(Sleep.SIGNATURE_SIZE)

/**
 * Goes through the signatures of the logs of `from` blocks and fewer, the longest first. Those of more blocks than the log has prove
 * nothing.
 */
export const verifySignatures = (repairing: Repairing, from: number): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { core, tally } = repairing
    let derived = 0
    for (let end = from; end > 0; end -= SCAN_ENTRIES) {
      const dropped: Array<Change.Write> = []
      for (const length of yield* signedLengths(core, Math.max(0, end - SCAN_ENTRIES), end)) {
        let roots: ReadonlyArray<TreeNode> | undefined = yield* provenRoots(repairing, length)
        const isUnknown = length < core.tip.length && !isKnown(repairing, length)
        if (roots === undefined && isUnknown && derived++ < MAX_DERIVED) {
          roots = (yield* proveWithDerived(core, length))?.roots
        }
        if (roots === undefined) {
          dropped.push(Change.signatureWrite(length, blankEntry))
          continue
        }
        tally.signaturesKept++
        let offset = 0
        for (const root of roots) {
          yield* verifyUnder(repairing, root, offset)
          offset += root.size
        }
      }
      tally.signaturesDropped += dropped.length
      if (dropped.length > 0) yield* commit(core, { ...Change.none, writes: dropped })
      yield* repairing.progress
      yield* Effect.yieldNow()
    }
  })

const isKnown = ({ proven }: Repairing, length: number): boolean =>
  FlatTree.fullRoots(length).every((position) => proven.hasNode(position))

/** The stored roots of the log of `length` blocks, when its signature is over them. */
const provenRoots = ({ core }: Repairing, length: number) =>
  Effect.gen(function* () {
    if (length > core.tip.length) return undefined
    const roots: Array<TreeNode> = []
    for (const node of yield* readNodes(core.files, FlatTree.fullRoots(length))) {
      if (node === undefined) return undefined
      roots.push(node)
    }
    const signature = yield* readSignature(core.files, length)
    if (signature === undefined) return undefined
    const message = Hash.rootHash(core.crypto.blake2b256, roots)
    return (yield* core.crypto.verify(message, signature, core.key)) ? roots : undefined
  })
