/**
 * The two ends of a proof, in memory: an author's log, built by recursion and signed with the peer's crypto, and a reader,
 * who runs `Proof.plan` and `Proof.check`, verifies the signature where there are roots, and stores what that allows.
 */
import { Either } from "effect"
import { Bitfield } from "../../src/domain/Bitfield.js"
import type { InvalidProof } from "../../src/domain/Errors.js"
import type { Position } from "../../src/domain/FlatTree.js"
import * as Hash from "../../src/domain/Hash.js"
import * as Merkle from "../../src/domain/Merkle.js"
import type { TreeNode } from "../../src/domain/Node.js"
import * as Proof from "../../src/domain/Proof.js"
import * as TreeIndex from "../../src/domain/TreeIndex.js"
import { blake2b256 } from "./blake2b256.js"
import { crypto } from "./peer.js"
import { type RecursiveTree, recursiveTree } from "./RecursiveTree.js"

const keys = crypto.keyPair(Buffer.alloc(32, 1))

/** What a prover has: an author at some length, or a reader. */
export interface Prover {
  readonly held: TreeIndex.HeldNodes
  readonly node: (position: Position) => TreeNode
  readonly signature: (length: number) => Uint8Array | undefined
}

export class Author {
  readonly tree: RecursiveTree
  readonly #signatures = new Map<number, Uint8Array>()

  constructor(readonly blocks: ReadonlyArray<Uint8Array>) {
    this.tree = recursiveTree(blocks)
  }

  node(position: Position): TreeNode {
    return this.tree.nodes.get(position) as TreeNode
  }

  /** The author when the log had `length` blocks. */
  at(length: number): Prover {
    const bits = new Bitfield()
    for (let block = 0; block < length; block++) bits.setNode((2 * block) as Position)
    return { held: bits, node: (position) => this.node(position), signature: (n) => this.signature(n) }
  }

  signature(length: number): Uint8Array {
    let signature = this.#signatures.get(length)
    if (signature === undefined) {
      signature = crypto.sign(recursiveTree(this.blocks.slice(0, length)).rootHash, keys.secretKey)
      this.#signatures.set(length, signature)
    }
    return signature
  }
}

/** The proof of a leaf, to someone with `digest`. */
export const prove = (
  prover: Prover,
  index: number,
  options: { readonly digest?: number; readonly hash?: boolean } = {}
): Proof.Proof => {
  const plan = TreeIndex.proofPlan(prover.held, index, options)
  if (plan === undefined) throw new Error(`leaf ${index} is not held`)
  const nodes = plan.nodes.map((position) => prover.node(position))
  if (plan.verifiedBy === 0) return { nodes }
  const signature = prover.signature(plan.verifiedBy)
  if (signature === undefined) throw new Error(`length ${plan.verifiedBy} is not signed`)
  return { nodes, signature }
}

export type Verdict = Either.Either<Proof.Checked, InvalidProof | "signature" | "no signature">

export class Reader implements Prover {
  readonly held = new Bitfield()
  readonly nodes = new Map<number, TreeNode>()
  readonly signatures = new Map<number, Uint8Array>()

  node(position: Position): TreeNode {
    const node = this.nodes.get(position)
    if (node === undefined) throw new Error(`node ${position} is held, but not stored`)
    return node
  }

  signature(length: number): Uint8Array | undefined {
    return this.signatures.get(length)
  }

  digest(index: number): number {
    return TreeIndex.digest(this.held, index)
  }

  /** What the claim is worth. Stores nothing. */
  judge(claim: Proof.Claim): Verdict {
    return Either.gen(this, function* () {
      const plan = yield* Proof.plan(this.held, claim)
      const readable = new Set(plan.reads)
      const checked = yield* Proof.check(blake2b256, plan, (position) => {
        if (!readable.has(position)) throw new Error(`node ${position} is not in the plan`)
        return this.nodes.get(position)
      })
      if (checked.roots === undefined) return checked
      if (claim.proof.signature === undefined) return yield* Either.left("no signature" as const)
      const message = Hash.rootHash(blake2b256, checked.roots)
      const { signature } = claim.proof
      const valid = signature.length === 64 && crypto.verify(message, signature, keys.publicKey)
      return valid ? checked : yield* Either.left("signature" as const)
    })
  }

  /** Judges the claim and stores what it proves. */
  put(claim: Proof.Claim): Verdict {
    const verdict = this.judge(claim)
    if (Either.isLeft(verdict)) return verdict
    const { nodes, roots } = verdict.right
    for (const node of nodes) {
      this.nodes.set(node.index, node)
      this.held.setNode(node.index)
    }
    if (claim.block !== undefined) this.held.setHave(claim.index, claim.index + 1, true)
    if (roots !== undefined) this.signatures.set(Merkle.tip(roots).length, claim.proof.signature!)
    return verdict
  }
}
