/**
 * Flat in-order numbering, slow and obvious: every answer is found by walking, with whole numbers of any size, and no
 * formula but one: the children of a node of depth d lie 2^(d - 1) to its left and right.
 */

/** Height above the leaves: the trailing one bits of the position. */
export const depth = (position: bigint): bigint => (position % 2n === 0n ? 0n : 1n + depth(position / 2n))

export const leftChild = (position: bigint): bigint => position - 2n ** (depth(position) - 1n)
export const rightChild = (position: bigint): bigint => position + 2n ** (depth(position) - 1n)

/** The one node, a level up on the left or on the right, of which this is a child. */
export const parent = (position: bigint): bigint => {
  const reach = 2n ** depth(position)
  const above = position + reach
  return depth(above) === depth(position) + 1n ? above : position - reach
}

export const sibling = (position: bigint): bigint => {
  const above = parent(position)
  return leftChild(above) === position ? rightChild(above) : leftChild(above)
}

export const leftSpan = (position: bigint): bigint =>
  depth(position) === 0n ? position : leftSpan(leftChild(position))

export const rightSpan = (position: bigint): bigint =>
  depth(position) === 0n ? position : rightSpan(rightChild(position))

/** Full subtrees over blocks first .. first + blocks - 1: the largest that fits, then those over the rest. */
export const fullRoots = (blocks: bigint, first = 0n): Array<bigint> => {
  if (blocks === 0n) return []
  let span = 1n
  while (2n * span <= blocks) span *= 2n
  return [2n * first + span - 1n, ...fullRoots(blocks - span, first + span)]
}
