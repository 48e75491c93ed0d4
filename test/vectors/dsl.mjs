// The small language in which scenarios are written, and the one meaning of its block
// specifications. It depends on nothing, so the capture (which drives the real peer) and the
// tests (which drive this library) expand exactly the same bytes.

/**
 * `size` pseudo-random bytes from the 32-bit linear congruential generator of Numerical Recipes:
 * state' = state * 1664525 + 1013904223 (mod 2^32), starting at `seed`; a byte is the top eight
 * bits of each new state. Good enough to be incompressible, tiny enough to port.
 */
export const pseudoRandomBytes = (size, seed) => {
  const bytes = new Uint8Array(size)
  let state = seed >>> 0
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const hexBytes = (hex) => {
  if (!/^([0-9a-f]{2})*$/.test(hex)) throw new Error(`Not lower-case hex: ${hex}`)
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

const utf8 = new TextEncoder()

// `i` is the number of the repetition, and undefined outside a repeat.
const oneBlock = (spec, i) => {
  if (spec.text !== undefined) {
    return utf8.encode(i === undefined ? spec.text : spec.text.replaceAll("{i}", String(i)))
  }
  if (spec.hex !== undefined) return hexBytes(spec.hex)
  if (spec.fill !== undefined) {
    return pseudoRandomBytes(spec.fill.size, spec.fill.seed + (i ?? 0))
  }
  throw new Error(`Not a block: ${JSON.stringify(spec)}`)
}

/** All blocks of a list of specifications, in order. */
export const expandBlocks = (specs) => {
  const blocks = []
  for (const spec of specs) {
    if (spec.repeat === undefined) {
      blocks.push(oneBlock(spec))
      continue
    }
    const { count, from = 0, block } = spec.repeat
    for (let i = from; i < from + count; i++) blocks.push(oneBlock(block, i))
  }
  return blocks
}

/**
 * The batches of an `append` or `source-append` operation, one for each call of the feed's append.
 * Without `batch` everything is one batch (even an empty list: one append of nothing);
 * `batch: 1` appends the blocks one by one.
 */
export const expandBatches = ({ blocks: specs, batch }) => {
  const blocks = expandBlocks(specs)
  if (batch === undefined) return [blocks]
  const batches = []
  for (let i = 0; i < blocks.length; i += batch) batches.push(blocks.slice(i, i + batch))
  return batches
}
