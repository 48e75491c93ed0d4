/** Proofs as the real peers have them. */
import type { Position } from "../../src/domain/FlatTree.js"
import type { Proof } from "../../src/index.js"
import type { PeerProof } from "./peer.js"

export const ofPeer = (proof: PeerProof): Proof => ({
  nodes: proof.nodes.map(({ index, hash, size }) => ({ index: index as Position, hash, size })),
  ...(proof.signature === null ? {} : { signature: proof.signature })
})

/** The peer empties the list of nodes that it is given, and wants Buffers. */
export const forPeer = (proof: Proof): PeerProof => ({
  nodes: proof.nodes.map(({ index, hash, size }) => ({ index, hash: Buffer.from(hash), size })),
  signature: proof.signature === undefined ? null : Buffer.from(proof.signature)
})
