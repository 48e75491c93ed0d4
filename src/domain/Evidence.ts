/**
 * Evidence of a fork: that one key signed two logs of which neither continues the other. It needs no trust in who shows it: the public
 * key and these bytes are all there is to check (`services/Fork`).
 *
 * Two logs contradict each other where both have a node at one position, with two hashes: the blocks under a node are the same in every
 * log of a key. Each log shows the way from its node up to its roots, which are signed:
 *
 *     path     the node at `position`, then its sibling, its parent's sibling, ...        (just the node, where it is a root)
 *     roots    of the log of `length` blocks, left to right; the path ends in one of them
 *
 * Sizes do not count, but of roots of both: a signature vouches for the sum of two sibling leaves' sizes, not for each, so a stranger
 * could misstate them in what an honest key signed.
 *
 * Bytes: version u8 (1) | position varint | twice: length varint, roots, signature (64), count of the path varint, path;
 * a node is hash (32) | size varint. How many roots there are follows from the length.
 */
import { Either, ParseResult, Schema } from "effect"
import { concat, equals } from "./Bytes.js"
import * as FlatTree from "./FlatTree.js"
import type { Position } from "./FlatTree.js"
import * as Hash from "./Hash.js"
import { HASH_SIZE, type TreeNode } from "./Node.js"
import { SIGNATURE_SIZE } from "./Sleep.js"
import * as Varint from "./Varint.js"

const VERSION = 1
/** No log is longer: the place of a node in the `tree` file is an exact number up to here. */
const MAX_LENGTH = 2 ** 46

/** A node without its position, which follows from where it stands. `hash`: 32 bytes; `size` in bytes. */
export interface Hashed {
  readonly hash: Uint8Array
  readonly size: number
}

/** What the key signed: a log, and what it says of one node. */
export interface SignedLog {
  /** In blocks. */
  readonly length: number
  readonly roots: ReadonlyArray<Hashed>
  /** 64 bytes, over the root hash of the roots. */
  readonly signature: Uint8Array
  readonly path: ReadonlyArray<Hashed>
}

export interface Evidence {
  /** Position in the tree of the node that the two logs differ in. */
  readonly position: number
  readonly logs: readonly [SignedLog, SignedLog]
}

const positioned = (index: Position, { hash, size }: Hashed): TreeNode => ({ index, hash, size })

/** What the log's signature must be over. */
export const rootHash = (blake2b: Hash.Blake2b256, log: SignedLog): Uint8Array =>
  Hash.rootHash(
    blake2b,
    FlatTree.fullRoots(log.length).map((position, i) => positioned(position, log.roots[i]!))
  )

/** Whether the two logs contradict each other, if both are signed. */
export const contradicts = (blake2b: Hash.Blake2b256, evidence: Evidence): boolean => {
  if (!isEvidence(evidence)) return false
  const { logs, position } = evidence
  const [a, b] = logs
  if (!logs.every((log) => endsInRoot(blake2b, position as Position, log))) return false
  const [left, right] = [a.path[0]!, b.path[0]!]
  return !equals(left.hash, right.hash) || (a.path.length + b.path.length === 2 && left.size !== right.size)
}

const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

const isHashed = ({ hash, size }: Hashed): boolean => hash.length === HASH_SIZE && isSize(size)

const hasForm = ({ length, path, roots, signature }: SignedLog): boolean =>
  isSize(length) &&
  length > 0 &&
  length <= MAX_LENGTH &&
  roots.length === FlatTree.fullRoots(length).length &&
  signature.length === SIGNATURE_SIZE &&
  path.length > 0 &&
  [...roots, ...path].every(isHashed)

const HashedSchema = Schema.Struct({ hash: Schema.Uint8ArrayFromSelf, size: Schema.Number })

const SignedLogSchema = Schema.Struct({
  length: Schema.Number,
  roots: Schema.Array(HashedSchema),
  signature: Schema.Uint8ArrayFromSelf,
  path: Schema.Array(HashedSchema)
})

const EvidenceSchema = Schema.Struct({
  position: Schema.Number,
  logs: Schema.Tuple(SignedLogSchema, SignedLogSchema)
})

const hasShape = Schema.is(EvidenceSchema)

/** Whether it is of the type that it should be, whoever gives it, and has all that two logs must have. It may show nothing yet. */
export const isEvidence = (given: unknown): given is Evidence =>
  hasShape(given) && isSize(given.position) && given.logs.every(hasForm)

/** Whether the path's nodes, hashed upwards, come to one of the log's roots. */
const endsInRoot = (blake2b: Hash.Blake2b256, position: Position, log: SignedLog): boolean => {
  if (!isSize(position) || position >= 2 * log.length) return false
  const [first, ...siblings] = log.path
  let top = positioned(position, first!)
  for (const sibling of siblings) {
    const other = positioned(FlatTree.sibling(top.index), sibling)
    if (!isSize(top.size + other.size) || other.index > 2 * MAX_LENGTH) return false
    top = top.index < other.index ? Hash.parent(blake2b, top, other) : Hash.parent(blake2b, other, top)
  }
  const root = log.roots[FlatTree.fullRoots(log.length).indexOf(top.index)]
  return root !== undefined && root.size === top.size && equals(root.hash, top.hash)
}

const varint = (value: number): Uint8Array => {
  const bytes = new Uint8Array(Varint.encodedLength(value))
  Varint.encode(value, bytes, 0)
  return bytes
}

const encodeNodes = (nodes: ReadonlyArray<Hashed>): Array<Uint8Array> =>
  nodes.flatMap(({ hash, size }) => [hash, varint(size)])

export const encode = ({ logs, position }: Evidence): Uint8Array =>
  concat([
    Uint8Array.of(VERSION),
    varint(position),
    ...logs.flatMap(({ length, path, roots, signature }) => [
      varint(length),
      ...encodeNodes(roots),
      signature,
      varint(path.length),
      ...encodeNodes(path)
    ])
  ])

/** Reads bytes of evidence from front to back; what is missing or too large reads as `NaN` or as too few bytes. */
class EvidenceReader {
  readonly #reader: Varint.Reader

  constructor(readonly bytes: Uint8Array) {
    this.#reader = new Varint.Reader(bytes, 1, bytes.length)
  }

  get isAtEnd(): boolean {
    return this.#reader.offset === this.bytes.length
  }

  number(): number {
    const value = this.#reader.varint()
    return value < 0 ? Number.NaN : value
  }

  take(size: number): Uint8Array {
    const { offset } = this.#reader
    this.#reader.offset = Math.min(offset + size, this.bytes.length)
    return this.bytes.slice(offset, offset + size)
  }

  nodes(count: number): ReadonlyArray<Hashed> {
    const nodes: Array<Hashed> = []
    for (let isWhole = true; isWhole && nodes.length < count;) {
      const node = { hash: this.take(HASH_SIZE), size: this.number() }
      isWhole = isHashed(node)
      nodes.push(node)
    }
    return nodes
  }

  log(): SignedLog {
    const length = this.number()
    const roots = this.nodes(length <= MAX_LENGTH ? FlatTree.fullRoots(length).length : 0)
    const signature = this.take(SIGNATURE_SIZE)
    return { length, roots, signature, path: this.nodes(this.number()) }
  }
}

/** The evidence in `bytes`, which is not verified yet, or why there is none. */
export const decode = (bytes: Uint8Array): Either.Either<Evidence, string> => {
  if (bytes[0] !== VERSION) return Either.left("it does not begin with a version that is known")
  const reader = new EvidenceReader(bytes)
  const position = reader.number()
  const logs = [reader.log(), reader.log()] as const
  return isSize(position) && logs.every(hasForm) && reader.isAtEnd
    ? Either.right({ position, logs })
    : Either.left("it is cut off, or no evidence of a fork")
}

/** Evidence as its bytes in base64, for JSON. */
export const schema: Schema.Schema<Evidence, string> = Schema.transformOrFail(
  Schema.Uint8ArrayFromBase64,
  EvidenceSchema,
  {
    strict: true,
    decode: (bytes, _, ast) =>
      Either.mapLeft(decode(bytes), (message) => new ParseResult.Type(ast, bytes, message)),
    encode: (evidence, _, ast) =>
      isEvidence(evidence)
        ? ParseResult.succeed(encode(evidence))
        : ParseResult.fail(new ParseResult.Type(ast, evidence, "it is no evidence of a fork"))
  }
)
