/**
 * repairTree: from a trusted root down to the blocks. What leads to it is kept, or mended from what it consists of; held blocks
 * are compared with their leaves.
 */
import { Effect } from "effect"
import { MAX_BLOCK_SIZE } from "../../domain/Append.js"
import type { Bitfield } from "../../domain/Bitfield.js"
import * as BitfieldIndex from "../../domain/BitfieldIndex.js"
import { equals } from "../../domain/Bytes.js"
import * as Change from "../../domain/Change.js"
import type { StorageError } from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import type { Position } from "../../domain/FlatTree.js"
import * as Hash from "../../domain/Hash.js"
import * as Mending from "../../domain/Mending.js"
import type { TreeNode } from "../../domain/Node.js"
import * as Recovery from "../../domain/Recovery.js"
import { commit } from "./commit.js"
import type { FeedCore } from "./FeedCore.js"
import { hashAhead } from "./hashAhead.js"
import { readData } from "./readBlocks.js"
import { readEntries, readNodes } from "./readNodes.js"

/** A repair under way. */
export interface Repairing {
  readonly core: FeedCore
  /** The bits as they must be: of nodes that lead to a signed root, and of blocks whose bytes match their leaf. */
  readonly proven: Bitfield
  readonly tally: Tally
  /** Run after each stretch. */
  readonly progress: Effect.Effect<void>
}

export interface Tally {
  /** Blocks that have been looked at, held or not. */
  checked: number
  blocksKept: number
  blocksFound: number
  nodesMended: number
  signaturesKept: number
  signaturesDropped: number
}

const isPiece = (position: Position): boolean =>
  FlatTree.endBlock(position) - FlatTree.firstBlock(position) <= Recovery.PIECE_BLOCKS

/** Goes through all under `root`, which is trusted and whose blocks start at byte `offset`, unless that has been done. */
export const verifyUnder = (
  repairing: Repairing,
  root: TreeNode,
  offset: number
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    if (repairing.proven.hasNode(root.index)) return
    if (isPiece(root.index)) return yield* verifyPiece(repairing, root, offset)
    const { core } = repairing
    const positions = [root.index, FlatTree.leftChild(root.index), FlatTree.rightChild(root.index)]
    const [stored, left, right] = yield* readNodes(core.files, positions)
    yield* keepNodes(repairing, [{ node: root, isMended: !Mending.sameNode(stored, root) }])
    const children =
      Mending.chooseChildren(core.crypto.blake2b256, root, [left], [right]) ??
      Mending.chooseChildren(
        core.crypto.blake2b256,
        root,
        [left, yield* deriveNode(core, positions[1]!)],
        [right, yield* deriveNode(core, positions[2]!)]
      )
    if (children === undefined) return
    yield* verifyUnder(repairing, children[0], offset)
    yield* verifyUnder(repairing, children[1], offset + children[0].size)
  })

/** What the node must be by those under it, as far as these are stored; `assumed` counts as stored. */
export const deriveNode = (
  core: FeedCore,
  position: Position,
  assumed?: TreeNode
): Effect.Effect<TreeNode | undefined, StorageError> =>
  Effect.gen(function* () {
    if (isPiece(position)) return (yield* readSubtree(core, position, assumed)).derived(position)
    const left = yield* guessNode(core, FlatTree.leftChild(position), assumed)
    const right = left && (yield* guessNode(core, FlatTree.rightChild(position), assumed))
    if (right === undefined || !Number.isSafeInteger(left!.size + right.size)) return undefined
    return Hash.parent(core.crypto.blake2b256, left!, right)
  })

/** What the node most likely was: as stored, where its children agree, or as these say. */
const guessNode = (
  core: FeedCore,
  position: Position,
  assumed: TreeNode | undefined
): Effect.Effect<TreeNode | undefined, StorageError> =>
  Effect.gen(function* () {
    if (isPiece(position)) return (yield* readSubtree(core, position, assumed)).guess(position)
    const around = [position, FlatTree.leftChild(position), FlatTree.rightChild(position)]
    const [stored, left, right] = yield* readNodes(core.files, around)
    const isSound =
      stored !== undefined &&
      Mending.chooseChildren(core.crypto.blake2b256, stored, [left], [right]) !== undefined
    return isSound ? stored : ((yield* deriveNode(core, position, assumed)) ?? stored)
  })

const readSubtree = (core: FeedCore, root: Position, assumed?: TreeNode) =>
  Effect.gen(function* () {
    const entries = yield* readEntries(core.files, FlatTree.leftSpan(root), FlatTree.rightSpan(root))
    const subtree = new Mending.DamagedSubtree(core.crypto.blake2b256, root, entries)
    const isUnder =
      assumed !== undefined &&
      assumed.index >= FlatTree.leftSpan(root) &&
      assumed.index <= FlatTree.rightSpan(root)
    if (isUnder) subtree.assume(assumed)
    yield* Effect.yieldNow()
    return subtree
  })

const verifyPiece = (repairing: Repairing, root: TreeNode, offset: number) =>
  Effect.gen(function* () {
    const { core, tally } = repairing
    const subtree = yield* readSubtree(core, root.index)
    const found = subtree.resolve(root, offset)
    for (const pair of found.pairs) yield* mendPair(core, subtree, pair, found)
    if (found.pairs.length > 0) found.leaves.sort((a, b) => a.leaf.index - b.leaf.index)
    yield* keepNodes(repairing, found.nodes)
    yield* checkBlocks(repairing, found.leaves)
    tally.checked += FlatTree.endBlock(root.index) - FlatTree.firstBlock(root.index)
    yield* repairing.progress
  })

const mendPair = (
  core: FeedCore,
  subtree: Mending.DamagedSubtree,
  { parent, offset }: Mending.DamagedPair,
  found: Mending.Resolved
) =>
  Effect.gen(function* () {
    const left = subtree.stored(FlatTree.leftChild(parent.index))
    const right = subtree.stored(FlatTree.rightChild(parent.index))
    // Without any size there is nothing to begin with: in a sparse feed, mostly, neither was ever known.
    if (left === undefined && right === undefined) return
    // A block that no peer can carry was not appended: the size is that of something else.
    if (parent.size > 2 * MAX_BLOCK_SIZE) return
    const [data] = yield* readData(core, offset, parent.size)
    const leaves = Mending.mendPair(core.crypto.blake2b256, parent, left, right, data!)
    if (leaves === undefined) return
    found.leaves.push({ leaf: leaves[0], offset }, { leaf: leaves[1], offset: offset + leaves[0].size })
    for (const leaf of leaves) {
      found.nodes.push({ node: leaf, isMended: !Mending.sameNode(subtree.stored(leaf.index), leaf) })
    }
  })

const keepNodes = (repairing: Repairing, nodes: Mending.Resolved["nodes"]) =>
  Effect.suspend(() => {
    for (const { node } of nodes) repairing.proven.setNode(node.index)
    const mended = nodes.filter(({ isMended }) => isMended).map(({ node }) => node)
    if (mended.length === 0) return Effect.void
    repairing.tally.nodesMended += mended.length
    return commit(repairing.core, { ...Change.none, writes: Change.nodeWrites(mended) })
  })

const STRETCH_BLOCKS = 2048
const STRETCH_BYTES = 2 * 1024 * 1024

/**
 * Whether the block is to be compared with its bytes: it is marked as held, or the mark is lost, with that of its leaf, or may be, where the
 * index says otherwise. One that is only not marked was cleared, or never came.
 */
const mayBeHeld = ({ bitfield }: FeedCore, block: number): boolean =>
  bitfield.has(block) ||
  !bitfield.hasNode(FlatTree.leaf(block)) ||
  !BitfieldIndex.agrees(bitfield.pages, Math.floor(block / 8))

/** Marks the blocks whose bytes match their leaf, in stretches that lie in `data` one after the other. */
const checkBlocks = (repairing: Repairing, leaves: ReadonlyArray<Recovery.LocatedLeaf>) =>
  Effect.gen(function* () {
    const { core } = repairing
    for (let start = 0; start < leaves.length;) {
      const stretch: Array<Recovery.LocatedLeaf> = []
      let next = leaves[start]!.offset
      let end = start
      for (; end < leaves.length && end - start < STRETCH_BLOCKS; end++) {
        const one = leaves[end]!
        const bytes = next - leaves[start]!.offset
        if (one.offset !== next || (stretch.length > 0 && bytes + one.leaf.size > STRETCH_BYTES)) break
        if (mayBeHeld(core, FlatTree.block(one.leaf.index))) stretch.push(one)
        else if (one.leaf.size > 0) break
        next += one.leaf.size
      }
      if (stretch.length > 0) yield* checkStretch(repairing, stretch)
      start = Math.max(end, start + 1)
    }
  })

const checkStretch = (repairing: Repairing, stretch: ReadonlyArray<Recovery.LocatedLeaf>) =>
  Effect.gen(function* () {
    const { core, proven, tally } = repairing
    const from = stretch[0]!.offset
    const last = stretch[stretch.length - 1]!
    const [data] = yield* readData(core, from, last.offset + last.leaf.size - from)
    const blocks = stretch.map(({ leaf, offset }) => data!.subarray(offset - from, offset - from + leaf.size))
    const ahead = hashAhead(core.crypto, blocks)
    const blake2b = ahead === undefined ? core.crypto.blake2b256 : yield* ahead
    for (const [i, { leaf }] of stretch.entries()) {
      if (blocks[i]!.length < leaf.size || !equals(Hash.leafHash(blake2b, blocks[i]!), leaf.hash)) continue
      const block = FlatTree.block(leaf.index)
      proven.setHave(block, block + 1, true)
      if (core.bitfield.has(block)) tally.blocksKept++
      else tally.blocksFound++
    }
    yield* Effect.yieldNow()
  })
