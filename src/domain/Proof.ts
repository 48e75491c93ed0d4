/**
 * Proofs: that a block (or only its leaf) belongs to the log that a key signed.
 *
 *     plan:   which stored nodes the check needs          (pure)
 *     check:  hash upwards from the leaf with them        (pure)
 *             -> it meets a node we trust: done
 *             -> it ends in the roots of a log: their root hash must be signed
 *
 * Everything in a proof is untrusted: a failure is an `InvalidProof`, never a throw.
 */
import { Either } from "effect"
import { equals } from "./Bytes.js"
import { InvalidProof } from "./Errors.js"
import * as FlatTree from "./FlatTree.js"
import type { Position } from "./FlatTree.js"
import * as Hash from "./Hash.js"
import { HASH_SIZE, type TreeNode } from "./Node.js"
import type { HeldNodes } from "./TreeIndex.js"

/** Nodes in the order that the wire carries them: from the leaf's sibling upwards, then other roots left to right. */
export interface Proof {
  readonly nodes: ReadonlyArray<TreeNode>
  /** 64 bytes over the roots of the log that the nodes end in; absent when they end at a node the other side trusts. */
  readonly signature?: Uint8Array | undefined
}

/** Block `index` with its proof; `block` absent: only its leaf, which is then the first node. */
export interface Claim {
  readonly index: number
  readonly block?: Uint8Array | undefined
  readonly proof: Proof
}

/** One level of the way up: the sibling comes with the proof, or is stored already, at a position. */
type Step = TreeNode | Position

/** The way from the leaf to a node that is trusted, or to the roots of the log of `verifiedBy` blocks. */
export interface Plan {
  readonly claim: Claim
  readonly steps: ReadonlyArray<Step>
  readonly end:
    | { readonly _tag: "Trusted"; readonly position: Position }
    | { readonly _tag: "Roots"; readonly verifiedBy: number; readonly others: ReadonlyArray<Step> }
  /** Stored nodes to read before `check`. */
  readonly reads: ReadonlyArray<Position>
}

/** What a claim is worth once checked, but for the signature. */
export interface Checked {
  /** Nodes to store: all on the way that were not stored before. */
  readonly nodes: ReadonlyArray<TreeNode>
  /** The roots whose root hash must be signed; `undefined` when the way ended at a trusted node. */
  readonly roots: ReadonlyArray<TreeNode> | undefined
}

/** Highest index whose place in the `tree` file, 80 bytes a block, is still an exact number. */
const MAX_INDEX = 2 ** 46

const isPosition = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

const malformed = (claim: Claim): string | undefined => {
  if (!isPosition(claim.index) || claim.index > MAX_INDEX) return "the index is not a block index"
  for (const { index, hash, size } of claim.proof.nodes) {
    if (!isPosition(index) || index > 2 * MAX_INDEX) return "a node has no position"
    if (hash.length !== HASH_SIZE) return `the hash of node ${index} has ${hash.length} bytes`
    if (!isPosition(size)) return `the size of node ${index} is not a size`
  }
  if (claim.block === undefined && claim.proof.nodes[0]?.index !== FlatTree.leaf(claim.index)) {
    return "neither the block nor its leaf is given"
  }
  return undefined
}

const fail = (claim: Claim, detail: string) =>
  Either.left(new InvalidProof({ index: claim.index, reason: "wrong", detail }))

const endsEarly = (claim: Claim, detail: string) =>
  Either.left(new InvalidProof({ index: claim.index, reason: "incomplete", detail }))

export const plan = (held: HeldNodes, claim: Claim): Either.Either<Plan, InvalidProof> => {
  const problem = malformed(claim)
  if (problem !== undefined) return fail(claim, problem)
  const given = claim.proof.nodes
  let used = claim.block === undefined ? 1 : 0
  const steps: Array<Step> = []
  let next = FlatTree.leaf(claim.index)
  while (!held.hasNode(next)) {
    const sibling = FlatTree.sibling(next)
    const isGiven = given[used]?.index === sibling
    const step = bindsSizes(claim, sibling)
      ? stepTo(held, sibling, given[used])
      : (storedStep(held, sibling) ?? stepTo(held, sibling, given[used]))
    if (step === undefined) return planRoots(held, claim, steps, next, given.slice(used))
    if (isGiven) used++
    steps.push(step)
    next = FlatTree.parent(next)
  }
  const end = { _tag: "Trusted", position: next } as const
  const reads = storedIn(steps)
  reads.push(next)
  if (steps.length === 0 && claim.block !== undefined) addPair(held, next, reads)
  return Either.right({ claim, steps, end, reads })
}

/** The stored nodes that a check of the claim may need, as far as can be told from what is held: for reading ahead. Never fails. */
export const reads = (held: HeldNodes, claim: Claim): Array<Position> => {
  if (malformed(claim) !== undefined) return []
  const given = claim.proof.nodes
  const positions: Array<Position> = []
  let used = claim.block === undefined ? 1 : 0
  let next = FlatTree.leaf(claim.index)
  while (!held.hasNode(next)) {
    const sibling = FlatTree.sibling(next)
    if (given[used]?.index === sibling) used++
    else if (held.hasNode(sibling)) positions.push(sibling)
    else return positions
    next = FlatTree.parent(next)
  }
  positions.push(next)
  return positions
}

/** What `correctSizes` needs: the leaf's sibling and their parent. */
const addPair = (held: HeldNodes, leaf: Position, positions: Array<Position>): void => {
  const [sibling, parent] = [FlatTree.sibling(leaf), FlatTree.parent(leaf)]
  if (held.hasNode(sibling)) positions.push(sibling)
  if (held.hasNode(parent)) positions.push(parent)
}

const planRoots = (
  held: HeldNodes,
  claim: Claim,
  steps: ReadonlyArray<Step>,
  top: Position,
  rest: ReadonlyArray<TreeNode>
): Either.Either<Plan, InvalidProof> => {
  const last = rest[rest.length - 1]?.index ?? top
  const verifiedBy = Math.max(FlatTree.endBlock(top), FlatTree.endBlock(last))
  const others: Array<Step> = []
  let used = 0
  for (const root of FlatTree.fullRoots(verifiedBy)) {
    if (root === top) continue
    const step = stepTo(held, root, rest[used])
    if (step === undefined) return endsEarly(claim, `node ${root}, a root, is not given`)
    if (typeof step !== "number") used++
    others.push(step)
  }
  if (!FlatTree.fullRoots(verifiedBy).includes(top)) return endsEarly(claim, `the way ends at node ${top}`)
  const end = { _tag: "Roots", verifiedBy, others } as const
  return Either.right({ claim, steps, end, reads: storedIn([...steps, ...others]) })
}

/**
 * Whether the hashes upwards vouch for the size of this sibling. A proof without the block binds the sizes of two sibling leaves
 * only in their sum: by misstating both it could move a block that is held, so of a leaf that is held the stored size counts.
 */
const bindsSizes = (claim: Claim, sibling: Position): boolean =>
  claim.block !== undefined || !FlatTree.isLeaf(sibling)

const stepTo = (held: HeldNodes, position: Position, next: TreeNode | undefined): Step | undefined =>
  next !== undefined && next.index === position ? next : storedStep(held, position)

const storedStep = (held: HeldNodes, position: Position): Step | undefined =>
  held.hasNode(position) ? position : undefined

const storedIn = (steps: ReadonlyArray<Step>): Array<Position> => {
  const positions: Array<Position> = []
  for (const step of steps) if (typeof step === "number") positions.push(step)
  return positions
}

/** Hashes up the plan's way; `stored` gives the nodes of `plan.reads`. */
export const check = (
  blake2b: Hash.Blake2b256,
  plan: Plan,
  stored: (position: Position) => TreeNode | undefined
): Either.Either<Checked, InvalidProof> => {
  const { claim } = plan
  const nodes: Array<TreeNode> = []
  const resolve = (step: Step): TreeNode | undefined => {
    if (typeof step === "number") return stored(step)
    nodes.push(step)
    return step
  }
  let top = claim.block === undefined ? claim.proof.nodes[0]! : Hash.leaf(blake2b, claim.index, claim.block)
  for (const step of plan.steps) {
    const sibling = resolve(step)
    if (sibling === undefined) return fail(claim, `node ${stepPosition(step)} cannot be read`)
    nodes.push(top)
    top = top.index < sibling.index ? Hash.parent(blake2b, top, sibling) : Hash.parent(blake2b, sibling, top)
    if (!Number.isSafeInteger(top.size)) return fail(claim, "the sizes add up to no size")
  }
  if (plan.end._tag === "Trusted") {
    const trusted = stored(plan.end.position)
    if (trusted === undefined) return fail(claim, `node ${plan.end.position} cannot be read`)
    const sameHash = equals(trusted.hash, top.hash)
    if (sameHash && trusted.size !== top.size && plan.steps.length === 0 && claim.block !== undefined) {
      const corrected = correctSizes(top, stored)
      if (corrected !== undefined) return Either.right({ nodes: corrected, roots: undefined })
    }
    if (!sameHash || trusted.size !== top.size) {
      return fail(claim, `it leads to another node ${top.index} than the one that is trusted`)
    }
    return Either.right({ nodes, roots: undefined })
  }
  nodes.push(top)
  return checkRoots(plan, plan.end.others, top, resolve, nodes)
}

/**
 * A leaf whose hash is trusted but whose size is not: a proof without the block binds the sizes of two sibling leaves only in
 * their sum, so it can misstate both. The block tells its own size, and with the parent's the sibling's.
 */
const correctSizes = (
  leaf: TreeNode,
  stored: (position: Position) => TreeNode | undefined
): ReadonlyArray<TreeNode> | undefined => {
  const sibling = stored(FlatTree.sibling(leaf.index))
  const parent = stored(FlatTree.parent(leaf.index))
  if (sibling === undefined || parent === undefined || parent.size < leaf.size) return undefined
  return [leaf, { ...sibling, size: parent.size - leaf.size }]
}

const checkRoots = (
  plan: Plan,
  others: ReadonlyArray<Step>,
  top: TreeNode,
  resolve: (step: Step) => TreeNode | undefined,
  nodes: ReadonlyArray<TreeNode>
): Either.Either<Checked, InvalidProof> => {
  const roots = [top]
  for (const step of others) {
    const root = resolve(step)
    if (root === undefined) return fail(plan.claim, `node ${stepPosition(step)} cannot be read`)
    roots.push(root)
  }
  roots.sort((a, b) => a.index - b.index)
  const size = roots.reduce((sum, root) => sum + root.size, 0)
  if (!Number.isSafeInteger(size)) return fail(plan.claim, "the sizes add up to no size")
  return Either.right({ nodes, roots })
}

const stepPosition = (step: Step): Position => (typeof step === "number" ? step : step.index)
