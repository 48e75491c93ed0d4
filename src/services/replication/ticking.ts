/**
 * ticking: what time brings to a connection, four times a `timeout` (FORMATS, "Wire", "Timing").
 *
 *     own silence for 4 ticks             a keep-alive
 *     the other's silence for 6 ticks     the connection is dead
 *     no handshake within 6 ticks         the connection is dead
 *     a request unanswered for 6 ticks    given up: others may be asked
 *
 * A question about the log as a whole is given up in any case, also where silence is borne for ever: blocks may wait for its answer.
 */
import { Clock, Deferred, Duration, Effect } from "effect"
import { ProtocolError } from "../../domain/Errors.js"
import { MOST_MILLIS } from "./Inquiry.js"
import type { Member } from "./Member.js"
import type { Session, SessionError } from "./Session.js"

const TICKS_SILENT = 4
const TICKS_DEAD = 6
/** Ticks for which a peer may leave all requests unanswered though it says that it has what is asked for, where we wait only for that. */
const TICKS_STALLED = 48
/** Bytes between two ticks that count as a sign of life though they complete no frame: a large one may take long. */
const LEAST_BYTES = 256

export const ticking: (session: Session) => Effect.Effect<never, SessionError> = Effect.fnUntraced(function* (
  session: Session
) {
  const tick = session.options.timeout / 4
  if (tick === 0) return yield* whileAsking(session)
  let silent = 0
  let unheard = 0
  let unknown = 0
  let endedFor = 0
  let waiting = 0
  while (true) {
    yield* Effect.sleep(Duration.millis(tick))
    const now = yield* Clock.currentTimeMillis
    // While we are busy with what came, silence is ours.
    if (session.heard || session.came >= LEAST_BYTES || !session.pulling) unheard = 0
    else unheard++
    // A block that is on its way may take long: those behind it wait for it.
    const arriving = session.came >= LEAST_BYTES && !session.port.atBoundary
    session.heard = false
    session.came = 0
    // An honest side that has opened a feed says the two in one breath.
    unknown = session.port.opened > 0 && session.remote === undefined ? unknown + 1 : 0
    if (session.ending) {
      if (++endedFor > TICKS_DEAD) Deferred.unsafeDone(session.over, Effect.void)
    } else if (!session.port.watchesSilence && unknown >= TICKS_DEAD) {
      return yield* new ProtocolError({ reason: "timeout", detail: "it did not shake hands" })
    } else if (!session.port.watchesSilence && unheard >= TICKS_DEAD) {
      return yield* new ProtocolError({
        reason: "timeout",
        detail: `nothing was heard for ${Math.round(tick * unheard)} ms`
      })
    }
    let open = 0
    for (const member of session.members.values()) {
      if (member.finished) continue
      if (!arriving) member.perform(member.peer.expire(now - TICKS_DEAD * tick))
      settle(session, member, now)
      const { stalledSince } = member.peer
      if (!session.options.live && stalledSince !== undefined && now - stalledSince > TICKS_STALLED * tick) {
        return yield* new ProtocolError({ reason: "timeout", detail: "it answered no request for too long" })
      }
      open += member.peer.openWants
      // Requests may have become slow enough for others to take them over.
      member.look()
    }
    waiting = open === 0 ? 0 : waiting + 1
    if (waiting > TICKS_DEAD) {
      for (const member of session.members.values()) member.peer.settleWants()
    }
    if (++silent >= TICKS_SILENT && !session.ending) {
      silent = 0
      session.port.keepAlive()
      session.wake()
    }
  }
})

/** Without a timeout nothing ticks but for questions, while one is open: an idle connection keeps no process alive. */
const whileAsking: (session: Session) => Effect.Effect<never> = Effect.fnUntraced(function* (
  session: Session
) {
  while (true) {
    yield* session.asking.wait
    for (let open = true; open;) {
      yield* Effect.sleep(Duration.millis(MOST_MILLIS / 4))
      const now = yield* Clock.currentTimeMillis
      open = false
      for (const member of session.members.values()) {
        settle(session, member, now)
        open ||= member.inquiry.isOpen && !member.finished
      }
    }
  }
})

/** What waits for an answer that will not come goes on without. */
const settle = (session: Session, member: Member, now: number): void => {
  const { inquiry } = member
  inquiry.expire(now)
  if (!inquiry.isAbandoned) return
  if (!inquiry.isComparing) return session.freed.raise()
  inquiry.close()
  member.look()
}
