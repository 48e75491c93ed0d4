/**
 * fork: whether a log that the key signed elsewhere, and the one that is held, are of one history; and what shows it when they are not.
 *
 *     a claim that proves itself     -> SignedProof     nodes that lead to roots that the key signed
 *     each of its nodes that is held -> compared        the same hash, or two histories
 *
 * Nothing is stored. Only evidence that anyone could verify counts: a bad proof, or damage to our own files, is no fork.
 */
import { Effect, Either } from "effect"
import { equals } from "../../domain/Bytes.js"
import { ForkDetected, OpenRefused, type StorageError } from "../../domain/Errors.js"
import type { Evidence, SignedLog } from "../../domain/Evidence.js"
import * as FlatTree from "../../domain/FlatTree.js"
import type { Position } from "../../domain/FlatTree.js"
import * as Hash from "../../domain/Hash.js"
import * as Merkle from "../../domain/Merkle.js"
import type { TreeNode } from "../../domain/Node.js"
import * as Proof from "../../domain/Proof.js"
import type { HeldNodes } from "../../domain/TreeIndex.js"
import { verifyWith } from "../Fork.js"
import { publish } from "./commit.js"
import { type FeedCore, isAuthor } from "./FeedCore.js"
import { readNodes, readSignature } from "./readNodes.js"

/** What a proof tells of a log that the key signed: its tip, its signature, and all nodes on the way, its roots among them. */
export interface SignedProof {
  readonly tip: Merkle.Tip
  readonly signature: Uint8Array
  readonly nodes: ReadonlyMap<Position, TreeNode>
}

export interface Comparison {
  /** Length of the log that was signed, in blocks. */
  readonly length: number
  /** Whether it is shown that the longer of the two logs continues the shorter. */
  readonly isLinked: boolean
  readonly fork: ForkDetected | undefined
}

const NOTHING: HeldNodes = { hasNode: () => false, end: 0 }

/** What a claim proves by itself, with nothing of ours; `undefined` when it needs what it leaves out, or is not signed by the key. */
const proofOf = (core: FeedCore, claim: Proof.Claim): Effect.Effect<SignedProof | undefined> =>
  Effect.gen(function* () {
    const { blake2b256 } = core.crypto
    const { signature } = claim.proof
    if (signature === undefined) return undefined
    const plan = Proof.plan(NOTHING, claim)
    if (Either.isLeft(plan)) return undefined
    const checked = Proof.check(blake2b256, plan.right, () => undefined)
    if (Either.isLeft(checked) || checked.right.roots === undefined) return undefined
    const { nodes, roots } = checked.right
    const valid = yield* core.crypto.verify(Hash.rootHash(blake2b256, roots), signature, core.key)
    return valid ? signedProof(Merkle.tip(roots), signature, nodes) : undefined
  })

export const signedProof = (
  tip: Merkle.Tip,
  signature: Uint8Array,
  nodes: Iterable<TreeNode>
): SignedProof => ({
  tip,
  signature,
  nodes: new Map([...nodes, ...tip.roots].map((node) => [node.index, node]))
})

/**
 * Compares what a claim proves by itself with what is held; `undefined` when it proves nothing. A fork, and a log that makes the author's
 * stale, are noted. The caller holds `core.writer`.
 */
export const examine = (
  core: FeedCore,
  claim: Proof.Claim
): Effect.Effect<Comparison | undefined, StorageError> =>
  Effect.flatMap(proofOf(core, claim), (proof) =>
    proof === undefined ? Effect.succeed(undefined) : compare(core, proof)
  )

/** Compares a log that the key signed with what is held. The caller holds `core.writer`. */
export const compare: (core: FeedCore, proof: SignedProof) => Effect.Effect<Comparison, StorageError> =
  Effect.fnUntraced(function* (core: FeedCore, proof: SignedProof) {
    const positions = [...proof.nodes.keys()].filter((position) => core.bitfield.hasNode(position))
    const held = yield* readNodes(core.files, positions)
    const same = new Set<Position>()
    const differing: Array<Position> = []
    for (const [i, position] of positions.entries()) {
      const own = held[i]
      if (own === undefined) continue
      if (isAlike(core, proof, own)) same.add(position)
      else differing.push(position)
    }
    const shorter = proof.tip.length < core.tip.length ? proof.tip : core.tip
    const isLinked = shorter.roots.every(({ index }) => same.has(index))
    const { length } = proof.tip
    const fork = yield* forkIn(core, proof, differing)
    if (fork !== undefined) noteFork(core, fork)
    else noteSigned(core, length)
    return { length, isLinked, fork }
  })

/** Sizes are signed for where both are roots. */
const isAlike = (core: FeedCore, { nodes, tip }: SignedProof, own: TreeNode): boolean => {
  const other = nodes.get(own.index)!
  const areRoots = [tip, core.tip].every(({ roots }) => roots.some(({ index }) => index === own.index))
  return equals(own.hash, other.hash) && (!areRoots || own.size === other.size)
}

/** Evidence from one of the nodes that differ, the highest first: its way is the shortest. */
const forkIn = Effect.fnUntraced(function* (
  core: FeedCore,
  proof: SignedProof,
  differing: ReadonlyArray<Position>
) {
  const highest = [...differing].sort((a, b) => FlatTree.depth(b) - FlatTree.depth(a))
  for (const position of highest) {
    const theirs = signedLog(position, proof.tip.roots, proof.signature, (at) => proof.nodes.get(at))
    if (theirs === undefined) continue
    for (const length of lengthsOf(core, position, proof.tip.length)) {
      const ours = yield* ownLog(core, position, length)
      if (ours === undefined) continue
      const evidence = { position, logs: [ours, theirs] } as const
      if (yield* verifyWith(core.crypto, evidence, core.key)) return new ForkDetected({ evidence })
    }
  }
  return undefined
})

/** Lengths at which our log may have been signed with a node in it: the other's own first, where both sign the same length. */
const lengthsOf = (core: FeedCore, position: Position, other: number): Iterable<number> => {
  const lengths = new Set([other, core.tip.length])
  for (let node = position; FlatTree.endBlock(node) <= core.tip.length; node = FlatTree.parent(node)) {
    lengths.add(FlatTree.endBlock(node))
  }
  const least = FlatTree.endBlock(position)
  return [...lengths].filter((length) => length >= least && length <= core.tip.length)
}

/** What our files say that the key signed at a length, as far as they do. */
const ownLog = Effect.fnUntraced(function* (core: FeedCore, position: Position, length: number) {
  const signature = yield* readSignature(core.files, length)
  if (signature === undefined) return undefined
  const roots = FlatTree.fullRoots(length)
  const way: Array<Position> = [position]
  for (let node = position; !roots.includes(node); node = FlatTree.parent(node)) {
    if (FlatTree.endBlock(node) > length) return undefined
    way.push(FlatTree.sibling(node))
  }
  const stored = new Map<Position, TreeNode>()
  for (const node of yield* readNodes(core.files, [...roots, ...way])) {
    if (node === undefined) return undefined
    stored.set(node.index, node)
  }
  const at = (index: Position): TreeNode | undefined => stored.get(index)
  return signedLog(
    position,
    roots.map((root) => at(root)!),
    signature,
    at
  )
})

const signedLog = (
  position: Position,
  roots: ReadonlyArray<TreeNode>,
  signature: Uint8Array,
  at: (position: Position) => TreeNode | undefined
): SignedLog | undefined => {
  const { length } = Merkle.tip(roots)
  const path: Array<TreeNode> = []
  let next = at(position)
  for (let node = position; next !== undefined; node = FlatTree.parent(node)) {
    path.push(next)
    if (roots.some(({ index }) => index === node)) {
      return { length, roots: roots.map(hashed), signature: signature.slice(), path: path.map(hashed) }
    }
    next = at(FlatTree.sibling(node))
  }
  return undefined
}

/** Copies: what came over a connection shares its memory with what comes next. */
const hashed = ({ hash, size }: TreeNode) => ({ hash: hash.slice(), size })

/** The fork that evidence from elsewhere shows. */
export const shownBy = (core: FeedCore, evidence: Evidence): Effect.Effect<ForkDetected, OpenRefused> =>
  Effect.flatMap(verifyWith(core.crypto, evidence, core.key), (holds) =>
    holds
      ? Effect.succeed(new ForkDetected({ evidence }))
      : Effect.fail(
          new OpenRefused({
            reason: "bad-evidence",
            detail: "what is given does not show a fork of this feed"
          })
        )
  )

/** From now on the feed knows that its key has signed two histories. */
export const noteFork = (core: FeedCore, fork: ForkDetected): void => {
  if (core.fork !== undefined) return
  core.fork = fork
  publish(core, { _tag: "Fork", evidence: fork.evidence })
}

/** The key has signed a log of `length` blocks: an author whose log is shorter must catch up. */
export const noteSigned = (core: FeedCore, length: number): void => {
  if (!isAuthor(core) || length <= Math.max(core.tip.length, core.stale?.signedLength ?? 0)) return
  core.stale = { from: core.stale?.from ?? core.tip.length, signedLength: length }
  publish(core, { _tag: "Stale", signedLength: length })
}
