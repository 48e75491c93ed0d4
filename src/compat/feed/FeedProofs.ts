/** What a façade tells of proofs, roots and signatures, and takes of them. */
import { Effect } from "effect"
import type { TreeNode } from "../../index.js"
import type { Callback } from "../callback.js"
import type { Words } from "../LegacyError.js"
import type { ProofOptions } from "../options.js"
import { toBuffer } from "../toBuffer.js"
import { FeedCalls, nothing, one, sort } from "./FeedCalls.js"
import * as Views from "./views.js"

/** A node of the tree, as callbacks give it. */
export interface LegacyNode {
  readonly index: number
  /** Bytes under it. */
  readonly size: number
  /** 32 bytes. */
  readonly hash: Uint8Array
}

export interface LegacyProof {
  readonly nodes: ReadonlyArray<LegacyNode>
  readonly signature?: Uint8Array | null
}

export interface LegacySignature {
  /** The block up to which it signs. */
  readonly index: number
  /** 64 bytes. */
  readonly signature: Buffer
}

const NO_SIGNATURE: Words = {
  outOfRange: "No signature available for this index",
  badArgument: "No signature available for this index",
  notHeld: "No signature found"
}

const NO_ROOTS: Words = {
  outOfRange: "Missing tree roots needed for verify",
  notHeld: "Missing tree roots needed for verify"
}

const NO_PROOF: Words = {
  outOfRange: "No proof available for this index",
  notHeld: "No proof available for this index"
}

const toNode = ({ hash, index, size }: LegacyNode): LegacyNode => ({ index, size, hash: toBuffer(hash) })

export class FeedProofs<T> extends FeedCalls {
  /** The signature for a block (by default the last): the first at or after it. */
  signature(callback: Callback<[LegacySignature]>): void
  signature(index: number | null | undefined, callback: Callback<[LegacySignature]>): void
  signature(index?: number | null): Promise<LegacySignature>
  signature(
    index?: number | null | Callback<[LegacySignature]>,
    callback?: Callback<[LegacySignature]>
  ): Promise<LegacySignature> | undefined {
    const [at, last] = sort<number, Callback<[LegacySignature]>>(index, callback)
    return this.run(
      last,
      (feed) => feed.signature(at),
      (found) => one({ index: found.index, signature: toBuffer(found.signature) }),
      NO_SIGNATURE
    )
  }

  /** Calls back with true when the signature is this feed's over the log of `index + 1` blocks. */
  verify(index: number, signature: Uint8Array, callback: Callback<[boolean]>): void
  verify(index: number, signature: Uint8Array): Promise<boolean>
  verify(index: number, signature: Uint8Array, callback?: Callback<[boolean]>): Promise<boolean> | undefined {
    return this.run(
      callback,
      (feed) => feed.verify(index, signature),
      () => one(true),
      { ...NO_ROOTS, invalidSignature: "Signature verification failed" }
    )
  }

  /** The roots of the log of `index + 1` blocks. */
  rootHashes(index: number, callback: Callback<[Array<LegacyNode>]>): void
  rootHashes(index: number): Promise<Array<LegacyNode>>
  rootHashes(
    index: number,
    callback?: Callback<[Array<LegacyNode>]>
  ): Promise<Array<LegacyNode>> | undefined {
    return this.run(
      callback,
      (feed) => feed.rootHashes(index),
      (roots) => one(roots.map(toNode)),
      NO_ROOTS
    )
  }

  /** Gives a feed without signatures its key. */
  finalize(callback: Callback): void
  finalize(): Promise<void>
  finalize(callback?: Callback): Promise<void> | undefined {
    return this.run(
      callback,
      (feed) => Effect.tap(feed.finalize, () => Effect.sync(() => this.refreshKeys(feed))),
      nothing
    )
  }

  /** What proves a block to who has `digest` already. */
  proof(index: number, callback: Callback<[LegacyProof]>): void
  proof(index: number, options: ProofOptions | null | undefined, callback: Callback<[LegacyProof]>): void
  proof(index: number, options?: ProofOptions | null): Promise<LegacyProof>
  proof(
    index: number,
    first?: ProofOptions | null | Callback<[LegacyProof]>,
    last?: Callback<[LegacyProof]>
  ): Promise<LegacyProof> | undefined {
    const [{ digest = 0, hash = false } = {}, callback] = sort<ProofOptions, Callback<[LegacyProof]>>(
      first,
      last
    )
    return this.run(
      callback,
      (feed) => feed.proof(index, { digest, hash }),
      ({ nodes, signature }) =>
        one({ nodes: nodes.map(toNode), signature: signature === undefined ? null : toBuffer(signature) }),
      NO_PROOF
    )
  }

  /** Verifies a block (null: its hash alone) and stores it. */
  put(index: number, value: T | null, proof: LegacyProof, callback: Callback): void
  put(index: number, value: T | null, proof: LegacyProof): Promise<void>
  put(index: number, value: T | null, proof: LegacyProof, callback?: Callback): Promise<void> | undefined {
    return this.run(
      callback,
      (feed) => {
        const block = value === null || value === undefined ? undefined : this.codec.encode(value)
        // What is no proof is the feed's to refuse.
        const { nodes, signature } = (proof ?? {}) as Partial<LegacyProof>
        return feed.put({
          index,
          block,
          proof: { nodes: nodes as ReadonlyArray<TreeNode>, signature: signature ?? undefined }
        })
      },
      nothing
    )
  }

  /** What is held towards a proof of the block. */
  digest(index: number): number {
    return this.feed === undefined ? 0 : Views.digest(this.feed, index)
  }
}
