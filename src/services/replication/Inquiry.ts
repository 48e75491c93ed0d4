/**
 * What one peer is asked about the log as a whole: for a leaf, with all nodes of its proof, so that the log that its side signed can be
 * compared with ours. Nothing of the answer is believed but what the key signed, and none may be missing for the rest to go on.
 *
 *     link     before the first request of blocks, where we have some already: does its log continue ours? The leaf of the first block that
 *              we lack names all our roots. A real peer leaves out for ever what we once said we have, so this question comes first
 *     last     by an author, of the last block there is: did the key sign a longer log, or another?
 *     doubt    of a block whose proof did not hold: is it a lie, or another history?
 *     compare  once a connection, by a reader that has nothing to ask of the peer: are the two logs of one history, as far as that can be
 *              told? The leaf of its last block names all roots of a log that is no longer than ours. No block waits for the answer
 *
 * While one of the others is open the blocks that came wait to be stored. A question ends with its answer, with the request (a peer that
 * does not answer is given up after a while, by its silence or at the latest after `MOST_MILLIS`), or when more waits than is kept.
 */
import type { InvalidProof, InvalidSignature } from "../../domain/Errors.js"
import type { Tip } from "../../domain/Merkle.js"
import type { Peer } from "../../domain/Peer.js"
import type { Claim } from "../../domain/Proof.js"
import { type FeedCore, isStatic } from "../feed/FeedCore.js"
import type { Comparison } from "../feed/fork.js"
import type { PutError } from "../feed/put.js"

/** Bytes of blocks that wait for an answer, and what each costs beside its bytes. */
const MOST_WAITING = 4 * 1024 * 1024
const CLAIM_BYTES = 512
/** Milliseconds for which an answer is awaited, whatever else comes meanwhile, and however long silence is borne. */
export const MOST_MILLIS = 30_000
/** Questions that came to nothing, as they always do with who has nothing that the key signed: such a peer is asked no more. */
const MOST_FRUITLESS = 256

export type Doubt = InvalidProof | InvalidSignature

export interface Question {
  readonly purpose: "link" | "last" | "doubt" | "compare"
  /** The block whose leaf is asked for. */
  readonly index: number
}

const isSigned = ({ proof }: Claim): boolean => proof.signature !== undefined

export class Inquiry {
  /** What came as the answer, and was not looked at yet. */
  answer: Claim | undefined
  /** Whether another history was found, and nothing more is asked. */
  isParting = false
  /** Why the connection ends, if the answer does not say better. */
  doubt: Doubt | undefined
  #open: (Question & { readonly number: number; readonly at: number }) | undefined
  #hasCompared = false
  #fruitless = 0
  /** How long the two logs were when it was last asked whether the one continues the other; 0: it was not. */
  #askedLink = { length: 0, remoteLength: 0 }
  /** How long its log was when it was last asked for its end; how long the log of its side is that is known to continue ours. */
  #askedLength = 0
  #linkedLength = 0

  /** Our log, when it was last known to be of one history with the peer's. */
  #linkedTip: Tip | undefined

  constructor(
    readonly core: FeedCore,
    readonly peer: Peer
  ) {}

  /** Whether the feed is signed here, so that a log of its key that we do not know would make it a fork. */
  get isAuthors(): boolean {
    return this.core.secretKey !== undefined
  }

  /** Whether an answer is awaited, or waits to be looked at. */
  get isOpen(): boolean {
    return this.#open !== undefined && (this.answer !== undefined || this.peer.isAwaited(this.#open.number))
  }

  /** Whether the question is one that nothing waits for. */
  get isComparing(): boolean {
    return this.#open?.purpose === "compare"
  }

  /** Whether blocks that came wait for the answer. */
  get isHolding(): boolean {
    return this.isOpen && !this.isComparing
  }

  /** Whether such a question is over, and the next waits until it was looked at. */
  get isSettling(): boolean {
    return this.isComparing && (this.answer !== undefined || !this.isOpen)
  }

  /** Whether the question was given up, and what waited for it can go on. */
  get isAbandoned(): boolean {
    return this.#open !== undefined && !this.isOpen
  }

  /** Whether nothing may be taken that is not shown to continue the log: an author would sign on from it; or there is another branch. */
  get #isStrict(): boolean {
    return this.isAuthors || this.core.fork !== undefined
  }

  /** Whether no blocks may be asked of the peer yet. */
  get holdsBack(): boolean {
    if (this.isParting) return true
    const known = Math.max(this.core.tip.length, this.#linkedLength)
    return this.#isStrict && this.core.tip.length > 0 && this.peer.remoteLength > known
  }

  /** Whether our log is still the one that the peer's is known to continue: it was not brought further by another. */
  get isLinked(): boolean {
    return this.#linkedTip === this.core.tip
  }

  /** The peer brought our log this far. */
  readonly linked = (tip: Tip): void => {
    this.#linkedTip = tip
  }

  /** What to ask now, if anything; `orders`: the blocks that are about to be asked for. */
  next(orders: ReadonlyArray<number>): Question | undefined {
    if (this.#open !== undefined && (!this.isComparing || this.isSettling)) return undefined
    if (this.isParting || this.#fruitless >= MOST_FRUITLESS) return undefined
    const { length } = this.core.tip
    const { remote, remoteLength } = this.peer
    const last = remoteLength - 1
    if (this.isAuthors && remoteLength > (this.#askedLength === 0 ? 0 : length)) {
      if (remoteLength > this.#askedLength && remote.has(last)) return { purpose: "last", index: last }
    }
    if (length === 0 || !(this.holdsBack || (orders.length > 0 && !this.isLinked)) || this.#isAsked(orders)) {
      return orders.length === 0 ? this.#comparison() : undefined
    }
    const index = remote.has(length) || this.#isStrict ? length : last
    return remote.has(index) ? { purpose: "link", index } : undefined
  }

  /** What two logs that want nothing of each other are compared by. An author asks for the end in any case. */
  #comparison(): Question | undefined {
    const { core, peer } = this
    const { length } = core.tip
    if (this.#hasCompared || this.isAuthors || this.isLinked || length === 0) return undefined
    if (!peer.downloading || !peer.remoteUploading || peer.inFlight > 0 || peer.openWants > 0)
      return undefined
    const index = peer.remote.has(length) ? length : peer.remoteLength - 1
    return peer.remote.has(index) && !isStatic(core) ? { purpose: "compare", index } : undefined
  }

  /** Whether the link was asked for, as the logs are; or need not be, where no block but the next is to make our log longer. */
  #isAsked(orders: ReadonlyArray<number>): boolean {
    const { length } = this.core.tip
    const asked = this.#askedLink
    if (asked.length === length && asked.remoteLength === this.peer.remoteLength) return true
    if (this.#isStrict || asked.length === 0) return false
    return orders.includes(length) || !orders.some((index) => index > length)
  }

  /** The question was sent, as the request of that number. It takes the place of a comparison, which tells less. */
  asked(question: Question, number: number, now: number): void {
    if (this.#open !== undefined) this.peer.giveUp(this.#open.number)
    this.#open = { ...question, number, at: now }
    const { remoteLength } = this.peer
    if (question.purpose === "last") this.#askedLength = remoteLength
    else if (question.purpose === "compare") this.#hasCompared = true
    else this.#askedLink = { length: this.core.tip.length, remoteLength }
  }

  /** Whether a claim is the answer, which it then keeps. */
  takes(claim: Claim): boolean {
    if (this.#open?.index !== claim.index || claim.block !== undefined || this.answer !== undefined)
      return false
    this.answer = claim
    return true
  }

  /** The question is over: with what the answer showed, if it came and showed something. Answers what it was. */
  close(found?: Comparison): Question | undefined {
    const question = this.#open
    this.#open = undefined
    this.answer = undefined
    if (question !== undefined && found === undefined) this.#fruitless++
    if (found?.isLinked === true && question?.purpose === "link") {
      this.#linkedLength = found.length
      this.#linkedTip = this.core.tip
    }
    return question
  }

  /** What did not hold may be of another history: it is asked for once more, with all that proves it. */
  doubts(error: PutError, batch: ReadonlyArray<Claim>): Question | undefined {
    if (error._tag !== "InvalidProof" && error._tag !== "InvalidSignature") return undefined
    if (this.core.tip.length === 0 || this.isLinked || this.doubt !== undefined) return undefined
    const index = error._tag === "InvalidProof" ? error.index : batch.find(isSigned)?.index
    if (index === undefined) return undefined
    this.doubt = error
    return { purpose: "doubt", index }
  }

  /** Gives the question up when its time is over. */
  expire(now: number): void {
    if (this.#open !== undefined && now - this.#open.at >= MOST_MILLIS) this.peer.giveUp(this.#open.number)
  }

  /** Gives the question up when more waits for it than is kept. */
  limit(waiting: ReadonlyArray<Claim>): void {
    if (!this.isHolding || this.doubt !== undefined) return
    let bytes = 0
    for (const { block } of waiting) bytes += CLAIM_BYTES + (block?.length ?? 0)
    if (bytes > MOST_WAITING) this.close()
  }
}
