/**
 * The real peer's own parts, `hypercore@7.7.1` and what it depends on, with the few types that the tests need. They are
 * CommonJS without types: everything else about them stays unknown.
 */
import { createRequire } from "node:module"

const require = createRequire(import.meta.url)
const requireOfPeer = createRequire(require.resolve("hypercore-7"))

/** The package `flat-tree`. */
export interface PeerFlatTree {
  readonly depth: (position: number) => number
  readonly offset: (position: number, depth?: number) => number
  readonly index: (depth: number, offset: number) => number
  readonly parent: (position: number) => number
  readonly sibling: (position: number) => number
  readonly leftChild: (position: number) => number
  readonly rightChild: (position: number) => number
  readonly leftSpan: (position: number) => number
  readonly rightSpan: (position: number) => number
  /** Takes twice the number of blocks. */
  readonly fullRoots: (end: number) => ReadonlyArray<number>
}

export const flatTree = requireOfPeer("flat-tree") as PeerFlatTree

export interface PeerNode {
  readonly index: number
  readonly hash: Uint8Array
  readonly size: number
}

/** The package `hypercore-crypto`: the hashes and signatures of the peer. */
export interface PeerCrypto {
  readonly data: (block: Uint8Array) => Uint8Array
  readonly parent: (left: PeerNode, right: PeerNode) => Uint8Array
  readonly tree: (roots: ReadonlyArray<PeerNode>) => Uint8Array
  readonly keyPair: (seed: Uint8Array) => { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array }
  readonly sign: (message: Uint8Array, secretKey: Uint8Array) => Uint8Array
  readonly verify: (message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array) => boolean
}

export const crypto = requireOfPeer("hypercore-crypto") as PeerCrypto

interface SparseBits {
  readonly length: number
  readonly get: (at: number) => boolean
}

interface PageStore {
  /** One more than the highest page that was ever asked for. */
  readonly length: number
  readonly lastUpdate: () => { readonly offset: number; readonly buffer: Uint8Array } | null
  readonly get: (page: number, noAllocate: true) => { readonly buffer: Uint8Array } | undefined
}

/** `lib/bitfield.js`. */
export interface PeerBitfield {
  readonly pages: PageStore
  readonly data: SparseBits
  readonly tree: SparseBits
  readonly set: (block: number, held: boolean) => boolean
  readonly get: (block: number) => boolean
}

export const newBitfield = requireOfPeer("./lib/bitfield") as (
  pageSize: number,
  pages: ReadonlyArray<Uint8Array>
) => PeerBitfield

/** `lib/tree-index.js`: positions of leaves where ours take blocks, and lengths doubled. */
export interface PeerTreeIndex {
  readonly bitfield: SparseBits
  readonly get: (position: number) => boolean
  readonly set: (position: number) => boolean
  readonly blocks: () => number
  readonly verifiedBy: (position: number) => number
  readonly digest: (position: number) => number
  readonly proof: (
    position: number,
    options: { readonly digest: number; readonly hash: boolean }
  ) => { readonly nodes: ReadonlyArray<number>; readonly verifiedBy: number } | null
}

export const newTreeIndex = requireOfPeer("./lib/tree-index") as (bits?: SparseBits) => PeerTreeIndex

/** An encoder of the package `codecs`. */
export interface PeerCodec {
  readonly encode: (value: unknown) => Uint8Array
  readonly decode: (block: Uint8Array) => unknown
}

export const codecs = requireOfPeer("codecs") as (name: string) => PeerCodec
