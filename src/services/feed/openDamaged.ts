/**
 * openDamaged: a feed's insides over files that may be damaged anywhere, with the longest log that they prove; and what to write so that
 * they have the keys and headers of a feed again. Reads only.
 */
import { Effect, type Scope } from "effect"
import { Bitfield } from "../../domain/Bitfield.js"
import { OLD_PAGE_SIZE, PAGE_SIZE } from "../../domain/BitfieldPages.js"
import { empty, equals, isBlank } from "../../domain/Bytes.js"
import * as Change from "../../domain/Change.js"
import { CorruptStorage, OpenRefused, type StorageError } from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import type { Position } from "../../domain/FlatTree.js"
import * as Identity from "../../domain/Identity.js"
import * as Merkle from "../../domain/Merkle.js"
import { ENTRY_SIZE } from "../../domain/Node.js"
import * as Recovery from "../../domain/Recovery.js"
import * as Sleep from "../../domain/Sleep.js"
import type { CryptoService } from "../Crypto.js"
import type { FeedFiles } from "../Storage.js"
import { commit } from "./commit.js"
import type { FeedCore } from "./FeedCore.js"
import { readSizes } from "./identify.js"
import { makeCore, readBitfield } from "./open.js"
import { readEntries, readNodes } from "./readNodes.js"
import { proveLength, signedLengths } from "./recoverLength.js"
import { type FoundKeys, type SecretKeyState, findSecretKey } from "./repairKeys.js"
import { type Resigned, findLongest, findResigned } from "./repairLength.js"

export interface Opening {
  readonly files: FeedFiles
  readonly crypto: CryptoService
  readonly keys: FoundKeys
  readonly scope: Scope.CloseableScope
  readonly options: { readonly secretKey?: Uint8Array; readonly asReader?: boolean }
}

export interface Damaged {
  /** `core.tip` is the log that is proven. */
  readonly core: FeedCore
  readonly claims: Recovery.Claims
  readonly lengthBefore: number
  readonly claimedLength: number
  /** Whether somebody may write here: with the secret key that is stored, however damaged. */
  readonly isOwner: boolean
  readonly secretKey: SecretKeyState | "removed"
  /** The last one, which was damaged. */
  readonly signaturesMended: number
  /** Keys and headers; the signature that is mended. */
  readonly setUp: Change.Change
  readonly rewritten: ReadonlyArray<Sleep.FileName>
  /** Nobody who writes later may take the claimed length for one that was never signed: what says so when bits and signatures do not. */
  readonly lostClaim: Pick<Change.Change, "cut" | "writes">
}

const HEADERED = ["signatures", "tree", "bitfield"] as const

export const openDamaged = (
  opening: Opening
): Effect.Effect<Damaged, OpenRefused | CorruptStorage | StorageError> =>
  Effect.gen(function* () {
    const { files, crypto, keys, options } = opening
    const headers = yield* readHeaders(files)
    const sizes = yield* readSizes(files)
    const pages = yield* readBitfield(files, sizes.bitfield, headers.pageSize)
    const bitfield = new Bitfield(pages)
    const claims = Recovery.claims(bitfield, headers.pageSize, sizes)
    const proven = yield* chooseKey(opening, bitfield, claims)
    const { core } = proven
    if (core.tip.length === 0) yield* checkOurs(opening, proven, claims, headers)
    const secret = yield* findSecretKey(crypto, core.key, keys.stored.secretKey, options.secretKey)
    const isRemoved = options.asReader === true && keys.stored.secretKey.length > 0
    const isOwner = options.asReader !== true && secret.state !== "none"
    const isMended = !isRemoved && secret.state === "mended"
    const resigned = secret.secretKey && (yield* findResigned(core, secret.secretKey, core.tip, claims))
    if (resigned !== undefined) yield* commit(core, { ...Change.none, tip: resigned.tip })
    const claim = yield* claimOf(opening, core, claims, sizes, isOwner)
    return {
      core,
      claims,
      lengthBefore: proven.lengthBefore,
      claimedLength: claim.length,
      isOwner,
      secretKey: isRemoved ? "removed" : secret.state,
      signaturesMended: resigned === undefined ? 0 : 1,
      ...setUp(resigned, [
        ...(isRemoved ? [beginning("secret_key", empty, keys.stored.secretKey)] : []),
        ...(isMended ? [beginning("secret_key", secret.secretKey!, keys.stored.secretKey)] : []),
        ...(equals(core.key, keys.stored.key) ? [] : [beginning("key", core.key, keys.stored.key)]),
        ...headers.missing.map((file) => beginning(file, headers.of(file), empty))
      ]),
      lostClaim: claim.lost
    }
  })

interface Headers {
  readonly pageSize: number
  /** Files that have no sound header. */
  readonly missing: ReadonlyArray<Sleep.HeaderedFile>
  /** Among them those of which it is no beginning either: they may be a stranger's. */
  readonly wrong: ReadonlyArray<Sleep.HeaderedFile>
  readonly of: (file: Sleep.HeaderedFile) => Uint8Array
}

const readHeaders = (files: FeedFiles): Effect.Effect<Headers, StorageError> =>
  Effect.gen(function* () {
    const read = yield* files.read(HEADERED.map((file) => ({ file, offset: 0, length: Sleep.HEADER_SIZE })))
    const pageSize = likelyPageSize(read[2]!, yield* files.size("bitfield"))
    const entrySizes = { signatures: Sleep.SIGNATURE_SIZE, tree: ENTRY_SIZE, bitfield: pageSize }
    const missing = HEADERED.filter((file, i) => Sleep.entrySize(file, read[i]!) !== entrySizes[file])
    const wrong = missing.filter(
      (file) => !Sleep.isTornHeader(file, entrySizes[file], read[HEADERED.indexOf(file)]!)
    )
    return { pageSize, missing, wrong, of: (file) => Sleep.header(file, entrySizes[file]) }
  })

/** As the header says, if it says one that there is; else the one that the file is made of. */
const likelyPageSize = (header: Uint8Array, size: number): number => {
  const stated = header.length < Sleep.HEADER_SIZE ? 0 : header[5]! * 256 + header[6]!
  if (stated === PAGE_SIZE || stated === OLD_PAGE_SIZE) return stated
  const fits = (pageSize: number) => (size - Sleep.HEADER_SIZE) % pageSize === 0
  return fits(OLD_PAGE_SIZE) && !fits(PAGE_SIZE) ? OLD_PAGE_SIZE : PAGE_SIZE
}

/** Signatures that are tried as they are: what is worse must end, too. */
const MAX_TRIES = 65_536
const SCAN_ENTRIES = 1024

interface Proven {
  readonly core: FeedCore
  readonly lengthBefore: number
  /** Signatures that are not this key's, over roots that are stored. */
  readonly tries: number
}

/** The key whose signature proves a log; the only one that there is, where none does. */
const chooseKey = (
  opening: Opening,
  bitfield: Bitfield,
  claims: Recovery.Claims
): Effect.Effect<Proven, CorruptStorage | StorageError> =>
  Effect.gen(function* () {
    const { crypto, files, keys, scope } = opening
    const found: Array<Proven> = []
    for (const publicKey of keys.keys) {
      const opened = {
        options: { durability: "power" as const, sparse: true },
        files,
        crypto,
        lifetime: scope,
        scope
      }
      const core = yield* makeCore(opened, { publicKey, secretKey: undefined }, bitfield)
      const { tip, tries } = yield* findStored(core, claims)
      yield* commit(core, { ...Change.none, tip: yield* findLongest(core, tip, claims) })
      found.push({ core, lengthBefore: tip.length, tries })
      if (core.tip.length > 0) return found.pop()!
    }
    if (found.length === 1) return found[0]!
    return yield* new CorruptStorage({
      file: "key",
      detail: "it and the secret key belong to different feeds, and nothing is signed by either: give the key"
    })
  })

/** The longest log whose stored roots are signed; and how many signatures over stored roots were not the key's. */
const findStored = (
  core: FeedCore,
  claims: Recovery.Claims
): Effect.Effect<{ readonly tip: Merkle.Tip; readonly tries: number }, StorageError> =>
  Effect.gen(function* () {
    let tries = 0
    for (let end = claims.signatures; end > 0 && tries < MAX_TRIES; end -= SCAN_ENTRIES) {
      for (const length of yield* signedLengths(core, Math.max(0, end - SCAN_ENTRIES), end)) {
        if (!Recovery.rootsFit(length, claims.treeEnd)) continue
        const tip = yield* proveLength(core, length)
        if (tip !== undefined) return { tip, tries }
        if (yield* areStored(core, length)) tries++
      }
      yield* Effect.yieldNow()
    }
    return { tip: Merkle.emptyTip, tries }
  })

const areStored = (core: FeedCore, length: number) =>
  Effect.map(readNodes(core.files, FlatTree.fullRoots(length)), (roots) => !roots.includes(undefined))

/** Length of the last signature that is not blank; 0 without any. */
const lastSigned = (core: FeedCore, claims: Recovery.Claims): Effect.Effect<number, StorageError> =>
  Effect.gen(function* () {
    for (let end = claims.signatures; end > 0; end -= SCAN_ENTRIES) {
      const [last] = yield* signedLengths(core, Math.max(0, end - SCAN_ENTRIES), end)
      if (last !== undefined) return last
    }
    return 0
  })

/**
 * How long a log the files speak of, in blocks; and what to write where only the bits speak of it, which are about to be what is proven:
 * a blank entry for the signature that was lost.
 */
const claimOf = (
  { files }: Opening,
  core: FeedCore,
  claims: Recovery.Claims,
  sizes: Recovery.FileSizes,
  isOwner: boolean
) =>
  Effect.gen(function* () {
    const { length } = core.tip
    const isTorn = (sizes.signatures - Sleep.HEADER_SIZE) % Sleep.SIGNATURE_SIZE > 0
    const signed = yield* lastSigned(core, claims)
    // A blank last entry tells of a signature that was lost; not so where the one after it is torn, whose batch it belongs to.
    const entries = isTorn ? signed : claims.signatures
    // Where bits and signatures agree, what is in the tree past them is the remains of an append that was never signed. On nothing at all
    // they agree also when both are lost.
    const isUnsure = isOwner && (claims.bits !== length || length === 0)
    const others = isUnsure ? Math.max(bitsReach(core.bitfield), yield* treeReach(files, claims)) : 0
    const unsigned = Math.max(isOwner ? others : claims.bits, length)
    return {
      length: Math.max(length, claims.bits, entries, others),
      lost: {
        cut:
          isTorn && Math.max(entries, unsigned) > length
            ? [{ file: "signatures" as const, size: Sleep.signatureOffset(entries) }]
            : [],
        writes:
          unsigned > Math.max(length, entries)
            ? [Change.signatureWrite(unsigned, new Uint8Array(Sleep.SIGNATURE_SIZE))]
            : []
      }
    }
  })

/** Blocks of a log that has the last node, or the last block, that any bit knows of. */
const bitsReach = (bitfield: Bitfield): number =>
  Math.max(
    Math.ceil(((bitfield.lastNode() ?? -1) + 1) / 2),
    (bitfield.lastHeld(0, bitfield.end / 2) ?? -1) + 1
  )

/** Blocks of a log that has the last node of the `tree` file. */
const treeReach = (files: FeedFiles, { treeEnd }: Recovery.Claims): Effect.Effect<number, StorageError> =>
  Effect.gen(function* () {
    for (let end: number = treeEnd; end > 0; end -= SCAN_ENTRIES) {
      const start = Math.max(0, end - SCAN_ENTRIES)
      const entries = yield* readEntries(files, start as Position, (end - 1) as Position)
      for (let last = end - 1; last >= start; last--) {
        const at = ENTRY_SIZE * (last - start)
        if (!isBlank(entries.subarray(at, at + ENTRY_SIZE))) return Math.ceil((last + 1) / 2)
      }
    }
    return 0
  })

/**
 * Files that prove nothing may be anybody's, unless they begin as a feed's do; and where there is something to prove, it may as well be the
 * key that is damaged, or was mistyped.
 */
const checkOurs = (
  { keys: { stored } }: Opening,
  { core, tries }: Proven,
  claims: Recovery.Claims,
  headers: Headers
): Effect.Effect<void, OpenRefused | CorruptStorage | StorageError> =>
  Effect.gen(function* () {
    if (headers.wrong.length > 0) {
      return yield* new CorruptStorage({
        file: headers.wrong[0]!,
        detail: `neither its header nor any signature shows that it is of this feed; ${Identity.OR_NOT_OURS}`
      })
    }
    const isStored = [stored.key, Identity.publicHalf(stored.secretKey)].some((one) => equals(one, core.key))
    if (!isStored && headers.missing.length === HEADERED.length) {
      return yield* new OpenRefused({ reason: "missing", detail: "no feed is stored here" })
    }
    // A finalized feed has no signatures, but its roots are its key.
    const isUnsigned = claims.signatures === 0 && !headers.missing.includes("signatures")
    const isClaimed = claims.bits > 0 && (!isStored || (isUnsigned && (yield* areStored(core, claims.bits))))
    if (tries > 0 || isClaimed) {
      return yield* new CorruptStorage({
        file: "key",
        detail:
          "nothing that is stored is signed by this key: if it is damaged, or another feed's, give the right one; if it is right, the " +
          "signatures are damaged, nothing is left that proves the rest, and the feed has to be fetched anew, into another directory"
      })
    }
  })

/** What a file begins with, and what it had there. */
interface Beginning {
  readonly file: Sleep.FileName
  readonly bytes: Uint8Array
  readonly before: Uint8Array
}

const beginning = (file: Sleep.FileName, bytes: Uint8Array, before: Uint8Array): Beginning => ({
  file,
  bytes,
  before
})

const setUp = (
  resigned: Resigned | undefined,
  beginnings: ReadonlyArray<Beginning>
): Pick<Damaged, "setUp" | "rewritten"> => ({
  setUp: {
    ...Change.none,
    signature: resigned && Change.signatureWrite(resigned.tip.length, resigned.signature),
    cut: beginnings
      .filter(({ before, bytes }) => before.length > bytes.length)
      .map(({ bytes, file }) => ({ file, size: bytes.length })),
    writes: beginnings
      .filter(({ bytes }) => bytes.length > 0)
      .map(({ bytes, file }) => ({ file, offset: 0, parts: [bytes] }))
  },
  rewritten: beginnings.map(({ file }) => file)
})
