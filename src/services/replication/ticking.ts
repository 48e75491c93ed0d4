/**
 * ticking: what time brings to a connection, four times a `timeout` (FORMATS, "Wire", "Timing").
 *
 *     own silence for 4 ticks             a keep-alive
 *     the other's silence for 6 ticks     the connection is dead
 *     a request unanswered for 6 ticks,
 *     though others are answered, or none    given up: others may be asked
 */
import { Clock, Deferred, Duration, Effect } from "effect"
import { ProtocolError } from "../../domain/Errors.js"
import type { Session, SessionError } from "./Session.js"

const TICKS_SILENT = 4
const TICKS_DEAD = 6

export const ticking: (session: Session) => Effect.Effect<never, SessionError> = Effect.fnUntraced(function* (
  session: Session
) {
  const tick = session.options.timeout / 4
  if (tick === 0) return yield* Effect.never
  let silent = 0
  let unheard = 0
  let endedFor = 0
  let waiting = 0
  while (true) {
    yield* Effect.sleep(Duration.millis(tick))
    const now = yield* Clock.currentTimeMillis
    // While we are busy with what came, silence is ours.
    if (session.heard || !session.pulling) unheard = 0
    else unheard++
    const arriving = session.heard && !session.multiplexer.atBoundary
    session.heard = false
    if (session.ending) {
      if (++endedFor > TICKS_DEAD) Deferred.unsafeDone(session.over, Effect.void)
    } else if (unheard >= TICKS_DEAD) {
      return yield* new ProtocolError({
        reason: "timeout",
        detail: `nothing was heard for ${Math.round(tick * unheard)} ms`
      })
    }
    let open = 0
    for (const member of session.members.values()) {
      if (member.finished) continue
      // A block that is on its way may take long: the others wait for it.
      if (!arriving) member.perform(member.peer.expire(now, TICKS_DEAD * tick))
      open += member.peer.openWants
      // Requests may have become slow enough for others to take them over.
      member.look()
    }
    waiting = open === 0 ? 0 : waiting + 1
    if (waiting > TICKS_DEAD) {
      for (const member of session.members.values()) member.peer.settleWants()
    }
    if (++silent >= TICKS_SILENT) {
      silent = 0
      session.multiplexer.keepAlive()
      session.wake()
    }
  }
})
