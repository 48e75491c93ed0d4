/**
 * repairLength: the longest log that its signature proves over damaged roots. What a root must have been is derived from the nodes
 * under it, down to the last block; a signature that fits tells that it was so.
 */
import { Effect, Option } from "effect"
import { MAX_BLOCK_SIZE } from "../../domain/Append.js"
import { equals } from "../../domain/Bytes.js"
import type { StorageError } from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import type { Position } from "../../domain/FlatTree.js"
import * as Hash from "../../domain/Hash.js"
import * as Merkle from "../../domain/Merkle.js"
import type { TreeNode } from "../../domain/Node.js"
import type * as Recovery from "../../domain/Recovery.js"
import type { FeedCore } from "./FeedCore.js"
import { readData } from "./readBlocks.js"
import { readNodes, readSignature } from "./readNodes.js"
import { signedLengths } from "./recoverLength.js"
import { deriveNode } from "./repairTree.js"

/** Signatures that are tried with derived roots; the roots of most are the same. */
const MAX_TRIES = 128
/** Ways to choose roots of one log. */
const MAX_CHOICES = 32
/** Signature entries read at a time. */
const SCAN_ENTRIES = 1024

/** What a root was derived to be, for all logs that it is a root of. */
type Derived = Map<Position, TreeNode | undefined>

/** The longest log that is longer than `known` and proven; `known` where there is none. */
export const findLongest = (
  core: FeedCore,
  known: Merkle.Tip,
  claims: Recovery.Claims
): Effect.Effect<Merkle.Tip, StorageError> =>
  Effect.gen(function* () {
    const derived: Derived = new Map()
    let tries = 0
    let signed = 0
    for (let end = claims.signatures; end > known.length; end -= SCAN_ENTRIES) {
      const start = Math.max(known.length, end - SCAN_ENTRIES)
      for (const length of yield* signedLengths(core, start, end)) {
        signed++
        if (++tries > MAX_TRIES) return known
        const tip = yield* proveWithDerived(core, length, derived)
        if (tip !== undefined) return tip
      }
    }
    // A finalized feed has no signature: its key is the hash of its roots.
    const isUnsigned = known.length === 0 && signed === 0 && claims.bits > 0
    return (isUnsigned ? yield* proveWithDerived(core, claims.bits, derived) : undefined) ?? known
  })

/** The log of `length` blocks, if its signature fits roots that are stored or can be derived. */
export const proveWithDerived = (
  core: FeedCore,
  length: number,
  derived: Derived = new Map()
): Effect.Effect<Merkle.Tip | undefined, StorageError> =>
  Effect.gen(function* () {
    const signature = yield* readSignature(core.files, length)
    const choices = yield* rootChoices(core, length, derived)
    for (const roots of chosen(choices)) {
      const message = Hash.rootHash(core.crypto.blake2b256, roots)
      const valid =
        signature === undefined
          ? equals(message, core.key)
          : yield* core.crypto.verify(message, signature, core.key)
      if (valid) return Merkle.tip(roots)
    }
    return undefined
  })

/** A log that was signed, by what is left of its signature. */
export interface Resigned {
  readonly tip: Merkle.Tip
  readonly signature: Uint8Array
}

/** Bytes that a damaged signature must have in common with the one that it was: one of another log has as many once in 2^130. */
const MIN_COMMON = 24
/** Signatures that are made for comparison. */
const MAX_SIGNED = 32

/**
 * The longest log beyond `known` whose damaged signature is that of the secret key over its roots, but for some bytes: Ed25519 is
 * deterministic, so what is left tells that these roots were signed, and what the rest was. Nothing is signed that was not.
 */
export const findResigned = (
  core: FeedCore,
  secretKey: Uint8Array,
  known: Merkle.Tip,
  claims: Recovery.Claims
): Effect.Effect<Resigned | undefined, StorageError> =>
  Effect.gen(function* () {
    const start = Math.max(known.length, claims.signatures - SCAN_ENTRIES)
    const lengths = yield* signedLengths(core, start, claims.signatures)
    const derived: Derived = new Map()
    for (const length of lengths.slice(0, MAX_SIGNED)) {
      const stored = yield* readSignature(core.files, length)
      if (stored === undefined) continue
      for (const roots of chosen(yield* rootChoices(core, length, derived))) {
        const message = Hash.rootHash(core.crypto.blake2b256, roots)
        const signature = yield* Effect.option(core.crypto.sign(message, secretKey))
        if (Option.isNone(signature)) return undefined
        if (inCommon(stored, signature.value) >= MIN_COMMON) {
          return { tip: Merkle.tip(roots), signature: signature.value }
        }
      }
    }
    return undefined
  })

const inCommon = (a: Uint8Array, b: Uint8Array): number => {
  let count = 0
  for (let i = 0; i < a.length; i++) if (a[i] === b[i]) count++
  return count
}

/** Of each root what it may have been. */
const rootChoices = (core: FeedCore, length: number, derived: Derived) =>
  Effect.gen(function* () {
    const positions = FlatTree.fullRoots(length)
    const stored = yield* readNodes(core.files, positions)
    const choices: Array<Array<TreeNode>> = []
    for (const [i, position] of positions.entries()) {
      if (!derived.has(position)) derived.set(position, yield* deriveNode(core, position))
      choices.push(distinct([stored[i], derived.get(position)]))
    }
    const last = choices.length - 1
    for (const leaf of yield* lastLeaves(core, length, choices.slice(0, last))) {
      const root = yield* deriveNode(core, positions[last]!, leaf)
      choices[last] = distinct([...choices[last]!, root])
    }
    return choices
  })

/**
 * What the leaf of the last block may have been, by its bytes: their size is the stored one, or all that is left of `data`. `before`: the
 * choices of the roots left of its own.
 */
const lastLeaves = (core: FeedCore, length: number, before: ReadonlyArray<ReadonlyArray<TreeNode>>) =>
  Effect.gen(function* () {
    const block = length - 1
    // Left of the block, under its root, are the other roots of the log that ends before it.
    const inside = FlatTree.fullRoots(block).slice(before.length)
    const nodes = [...before.map(([first]) => first), ...(yield* readNodes(core.files, inside))]
    let offset = 0
    for (const node of nodes) offset += node?.size ?? Number.NaN
    const [stored] = yield* readNodes(core.files, [FlatTree.leaf(block)])
    const rest = (yield* core.files.size("data")) - offset
    const leaves: Array<TreeNode> = []
    for (const size of new Set([stored?.size, rest])) {
      if (size === undefined || !(size >= 0 && size <= Math.min(rest, MAX_BLOCK_SIZE))) continue
      const [bytes] = yield* readData(core, offset, size)
      leaves.push(Hash.leaf(core.crypto.blake2b256, block, bytes!))
    }
    return leaves
  })

const distinct = (nodes: ReadonlyArray<TreeNode | undefined>): Array<TreeNode> => {
  const found: Array<TreeNode> = []
  for (const node of nodes) {
    if (node === undefined) continue
    if (!found.some((other) => other.size === node.size && equals(other.hash, node.hash))) found.push(node)
  }
  return found
}

/** One of each choice, in all ways, the first of each first; not more than `MAX_CHOICES`. */
const chosen = (choices: ReadonlyArray<ReadonlyArray<TreeNode>>): ReadonlyArray<ReadonlyArray<TreeNode>> => {
  let ways: Array<ReadonlyArray<TreeNode>> = [[]]
  for (const choice of choices) {
    ways = choice.flatMap((node) => ways.map((way) => [...way, node])).slice(0, MAX_CHOICES)
  }
  return ways
}
