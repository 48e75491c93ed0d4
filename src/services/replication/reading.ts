/** reading: bytes that arrive, decoded, handled and stored, a batch at a time. */
import { Clock, Effect, Either } from "effect"
import { arrays } from "../../domain/ArrayPool.js"
import { type FeedClosed, type NetworkError, ProtocolError } from "../../domain/Errors.js"
import type { Channel } from "../../domain/Multiplexer.js"
import type { Claim } from "../../domain/Proof.js"
import { whileOpen } from "../feed/FeedCore.js"
import { examine } from "../feed/fork.js"
import { type PutError, putAll } from "../feed/put.js"
import type { Member } from "./Member.js"
import type { Session, SessionError } from "./Session.js"
import { Turn } from "../Turn.js"

/** What to do about a feed that the other side opened and we have not. */
export type Answer = (channel: Channel) => Effect.Effect<void, ProtocolError | FeedClosed>

/** Claims that are verified and stored together, by what they cost: as much as a few milliseconds of hashing. */
const STORE_BYTES = 4 * 1024 * 1024
/** What a claim costs beside its bytes, and what a signature does. */
const CLAIM_BYTES = 2048
const SIGNATURE_BYTES = 64 * 1024

/** Reads until the other side ends. */
export const reading: (session: Session, answer: Answer) => Effect.Effect<void, SessionError> =
  Effect.fnUntraced(function* (session: Session, answer: Answer) {
    const { port } = session
    const turn = new Turn()
    while (true) {
      if (port.isHeld) {
        yield* session.opened.wait
        continue
      }
      if (!port.hasMore) {
        session.pulling = true
        const came = yield* turn.after(next(session))
        session.pulling = false
        if (came === undefined) return yield* ended(session)
        session.came += came
        session.hasBegun ||= came > 0
      }
      yield* handle(session, turn, answer)
      if (port.atBoundary) session.heard = true
      for (const member of session.members.values()) {
        yield* inquire(session, member, turn, answer)
        if (member.claims.length > 0 && !member.inquiry.isHolding) yield* store(member, turn)
      }
      session.wake()
    }
  })

/** Waits for bytes; and, where blocks wait for an answer, until they need not. */
const next = (session: Session): Effect.Effect<number | undefined, NetworkError> => {
  const { freed, members, port } = session
  for (const { inquiry } of members.values()) {
    if (inquiry.isOpen) return Effect.raceFirst(port.pull, Effect.as(freed.wait, 0))
  }
  return port.pull
}

const handle = Effect.fnUntraced(function* (session: Session, turn: Turn, answer: Answer) {
  const { port } = session
  while (true) {
    yield* turn.giveWay
    const events = port.more()
    if (Either.isLeft(events)) return yield* events.left
    if (events.right.length > 0) {
      const now = yield* Clock.currentTimeMillis
      const asked = session.handle(events.right, now)
      if (Either.isLeft(asked)) return yield* asked.left
      for (const channel of asked.right) yield* answer(channel)
    }
    if (!port.hasMore) return
  }
})

/** Verifies and stores what came for one feed. A block that is held by now came from elsewhere too. */
const store = Effect.fnUntraced(function* (member: Member, turn: Turn) {
  const { claims, core, inquiry } = member
  member.claims = []
  member.storing = true
  let next = 0
  while (next < claims.length) {
    yield* turn.giveWay
    const batch = takeBatch(member, claims, next)
    const stored = yield* Effect.either(
      putAll(core, batch.claims, { from: member.info, pause: turn.giveWay, onGrow: inquiry.linked })
    )
    // Before anybody else has a turn: who heard that the block is here may look whether we said so.
    acknowledge(member, batch.claims)
    if (Either.isRight(stored)) recycle(member, batch.claims)
    next = batch.next
    if (Either.isLeft(stored)) {
      const { left } = stored
      const forgiven =
        left._tag === "InvalidProof" && left.reason === "incomplete" && member.forgive(left.index)
      if (!forgiven) {
        release(member, claims)
        const question = inquiry.doubts(left, batch.claims)
        if (question === undefined) return yield* asSessionError(left)
        member.storing = false
        return member.ask(question, yield* Clock.currentTimeMillis)
      }
      // Those before it are stored, those after it have their turn; it is asked for again.
      next = claims.findIndex((claim) => claim.index === left.index && batch.claims.includes(claim)) + 1
    }
  }
  member.storing = false
  release(member, claims)
  member.look()
})

/** The requests of blocks are over. A leaf alone says nothing of its block, which may be under way. */
const release = (member: Member, claims: ReadonlyArray<Claim>): void => {
  for (const { block, index } of claims) if (block !== undefined) member.release(index)
}

/** Claims from number `next` on, as many as are stored together. */
const takeBatch = (member: Member, claims: ReadonlyArray<Claim>, next: number) => {
  const batch: Array<Claim> = []
  let end = next
  for (let bytes = 0; end < claims.length && bytes < STORE_BYTES; end++) {
    const claim = claims[end]!
    if (claim.block !== undefined && member.core.bitfield.has(claim.index)) continue
    batch.push(claim)
    bytes += CLAIM_BYTES + (claim.block?.length ?? 0)
    if (claim.proof.signature !== undefined) bytes += SIGNATURE_BYTES
  }
  return { claims: batch, next: end }
}

/**
 * What is stored is looked at no more, unless a hook was shown it, and kept it. A listener knows that it may not. Nothing else of a message
 * with a large block shares its array.
 */
const recycle = (member: Member, claims: ReadonlyArray<Claim>): void => {
  if (member.core.onwrite !== undefined) return
  for (const { block } of claims) if (block !== undefined) arrays.give(block)
}

/** Acknowledges the blocks that are stored now, where that is wanted. */
const acknowledge = (member: Member, claims: ReadonlyArray<Claim>): void => {
  if (!member.remoteAck) return
  for (const { block, index } of claims) {
    if (block === undefined || !member.core.bitfield.has(index)) continue
    member.host.replies++
    member.send({ _tag: "Have", start: index, length: 1, ack: true })
  }
}

/** Looks at the answer to what the peer was asked of the log, if it has come or will not come. */
const inquire = Effect.fnUntraced(function* (session: Session, member: Member, turn: Turn, answer: Answer) {
  const { claims, core, inquiry } = member
  inquiry.limit(claims)
  const { answer: claim } = inquiry
  if (claim === undefined && !inquiry.isAbandoned) return
  yield* turn.giveWay
  // Others may have closed it meanwhile, and asked another.
  if (claim === undefined && !inquiry.isAbandoned) return
  const found =
    claim === undefined
      ? undefined
      : yield* core.writer.exclusive(Effect.zipRight(whileOpen(core), examine(core, claim)))
  const question = inquiry.close(found)
  if (found?.fork !== undefined) {
    yield* part(session, member, turn, answer)
    return yield* found.fork
  }
  if (inquiry.doubt !== undefined) return yield* asSessionError(inquiry.doubt)
  if (claim !== undefined && question?.purpose === "link" && found?.isLinked === true) {
    const stored = putAll(core, [claim], { from: member.info, onGrow: inquiry.linked })
    yield* Effect.mapError(stored, asSessionError)
  }
  member.look()
})

/** For how long the other side may still ask what it needs to see the fork, too. */
const PARTING_MILLIS = 300

/** Only serves, until the other side ends: it may be an author, who must hear of it to sign no more. */
const part = (session: Session, member: Member, turn: Turn, answer: Answer): Effect.Effect<void> => {
  member.inquiry.isParting = true
  const serving = Effect.gen(function* () {
    while ((yield* session.port.pull) !== undefined) {
      yield* handle(session, turn, answer)
      member.claims = []
      session.heard = true
      session.wake()
    }
  })
  return Effect.raceFirst(Effect.ignore(serving), Effect.sleep(PARTING_MILLIS))
}

/** A block or proof that does not hold is the peer's doing. */
const asSessionError = (error: PutError): SessionError =>
  error._tag === "InvalidProof" || error._tag === "InvalidSignature"
    ? new ProtocolError({ reason: "invalid-data", detail: error.message, cause: error })
    : error

/** The other side has ended: fine, unless it owes something. */
const ended = (session: Session): Effect.Effect<void, SessionError> => {
  const members = [...session.members.values()]
  const doubt = members.find(({ inquiry }) => inquiry.doubt !== undefined)?.inquiry.doubt
  if (doubt !== undefined) return Effect.fail(asSessionError(doubt))
  const owing = members.some((member) => member.isOwed)
  if (!session.port.atBoundary) {
    return Effect.fail(new ProtocolError({ reason: "ended-early", detail: "in the middle of a frame" }))
  }
  return owing && !session.options.live
    ? Effect.fail(new ProtocolError({ reason: "ended-early", detail: "it owed blocks that we asked for" }))
    : Effect.void
}
