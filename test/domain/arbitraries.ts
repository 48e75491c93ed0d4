/** What several property tests draw from. */
import fc from "fast-check"

/** A part of 1, any as likely as another; `fc.double` draws from all doubles, of which most are next to 0. */
export const share = fc.nat(9999).map((n) => n / 10_000)

/** A position up to 2^50, as often high in the tree as low. */
export const position = fc.oneof(
  fc.nat({ max: 100 }),
  fc.integer({ min: 0, max: 2 ** 50 }),
  fc.integer({ min: 0, max: 49 }).chain((depth) => {
    const width = 2 ** depth
    const most = Math.floor((2 ** 50 / width - 1) / 2)
    return fc.integer({ min: 0, max: most }).map((offset) => (2 * offset + 1) * width - 1)
  })
)

/** A number of blocks up to 2^50, often near a power of two. */
export const blockCount = fc.oneof(
  fc.nat({ max: 100 }),
  fc.integer({ min: 0, max: 2 ** 50 }),
  fc
    .tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: -2, max: 0 }))
    .map(([exponent, more]) => Math.max(0, 2 ** exponent + more))
)

/** Small blocks, many of them empty. */
export const block = fc.oneof(
  { weight: 1, arbitrary: fc.constant(new Uint8Array(0)) },
  { weight: 4, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 6 }) }
)
