/** What is wanted of a feed, for whoever can fetch it: ranges of blocks, and wishes that only a longer or better known log fulfils. */

/** Blocks [start, end), `end` possibly infinite: those that are not held are wanted, in order when `linear`. */
export interface Range {
  readonly start: number
  readonly end: number
  readonly linear: boolean
}

export type Wish =
  /** A log of at least `length` blocks; with `block`, and the block that ends one of that length. */
  | { readonly _tag: "Length"; readonly length: number; readonly block: boolean }
  /** The nodes that tell which block of [start, end) byte `offset` is in; with `block`, and that block. */
  | {
      readonly _tag: "Byte"
      readonly offset: number
      readonly start: number
      readonly end: number
      readonly block: boolean
    }

/** All of a feed, as far as it will ever go. */
export const everything: Range = { start: 0, end: Number.POSITIVE_INFINITY, linear: false }
