/** `test/vectors/known-answers.json`: what the real peer's own functions answered (see test/vectors/README.md). */
import * as fs from "node:fs"
import { fromHex } from "../../src/domain/Bytes.js"
import type { Position } from "../../src/domain/FlatTree.js"
import type { TreeNode } from "../../src/domain/Node.js"
import type { BlockSpec } from "../vectors/dsl.mjs"

interface HexNode {
  readonly index: number
  readonly size: number
  readonly hash: string
}

interface ProofCase {
  /** Of the leaf: twice the block. */
  readonly position: number
  readonly digest: number
  readonly hash: boolean
  readonly plan: { readonly nodes: ReadonlyArray<number>; readonly verifiedBy: number } | null
}

export interface TreeCase {
  readonly kind: "empty" | "full" | "downloaded" | "arbitrary"
  /** Positions given to the peer's `set`, in order, and those that were held afterwards. */
  readonly set: ReadonlyArray<number>
  readonly bits: ReadonlyArray<number>
  readonly bitLength: number
  readonly blocks: number
  /** For block 0, 1, 2 ... */
  readonly digests: ReadonlyArray<number>
  /** For each of `bits`: twice a number of blocks. */
  readonly verifiedBy: ReadonlyArray<number>
  readonly proofs: ReadonlyArray<ProofCase>
}

interface KnownAnswers {
  readonly keyPairs: ReadonlyArray<{
    readonly seed: string
    readonly publicKey: string
    readonly secretKey: string
    readonly discoveryKey: string
  }>
  readonly leaves: ReadonlyArray<{ readonly block: BlockSpec; readonly hash: string }>
  readonly parents: ReadonlyArray<{ readonly a: HexNode; readonly b: HexNode; readonly hash: string }>
  readonly rootHashes: ReadonlyArray<{ readonly roots: ReadonlyArray<HexNode>; readonly hash: string }>
  readonly signatures: ReadonlyArray<{
    readonly seed: string
    readonly message: string
    readonly signature: string
  }>
  readonly treePlans: ReadonlyArray<TreeCase>
}

export const knownAnswers = JSON.parse(
  fs.readFileSync(new URL("../vectors/known-answers.json", import.meta.url), "utf8")
) as KnownAnswers

/** Bytes from hexadecimal that is known to be right. */
export const bytes = (hex: string): Uint8Array => {
  const decoded = fromHex(hex)
  if (decoded === undefined) throw new Error(`not hexadecimal: ${hex}`)
  return decoded
}

export const node = ({ hash, index, size }: HexNode): TreeNode => ({
  index: index as Position,
  hash: bytes(hash),
  size
})
