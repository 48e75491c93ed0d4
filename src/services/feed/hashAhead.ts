/** hashAhead: the leaves of a large batch, hashed on all cores before it is gone through. */
import { Effect } from "effect"
import * as Hash from "../../domain/Hash.js"
import type { CryptoService } from "../Crypto.js"

/**
 * A hash function that knows the leaves of `blocks` by heart; `undefined` where it would take longer to learn them than to hash each when its
 * turn comes.
 */
export const hashAhead = (
  crypto: CryptoService,
  blocks: ReadonlyArray<Uint8Array>
): Effect.Effect<Hash.Blake2b256> | undefined => {
  // A block alone is hashed where it is, and most are.
  if (crypto.blake2b256All === undefined || blocks.length < 2) return undefined
  const hashes = crypto.blake2b256All(blocks.map((block) => [Hash.leafPrefixOf(block), block]))
  return hashes === undefined
    ? undefined
    : Effect.map(hashes, (all) => knowing(crypto.blake2b256, blocks, all))
}

/** Only leaves are hashed in two parts, of which the second is the block itself. */
const knowing = (
  blake2b: Hash.Blake2b256,
  blocks: ReadonlyArray<Uint8Array>,
  hashes: ReadonlyArray<Uint8Array>
): Hash.Blake2b256 => {
  const known = new Map(blocks.map((block, i) => [block, hashes[i]!]))
  return (parts, key) => {
    const hash = parts.length === 2 && key === undefined ? known.get(parts[1]!) : undefined
    return hash ?? blake2b(parts, key)
  }
}
