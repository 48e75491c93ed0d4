/** writing: what is to be told and asked goes first, then answers, as fast as the connection takes them. */
import { Clock, Effect } from "effect"
import * as BitfieldRle from "../../domain/BitfieldRle.js"
import { type Ask, REGION_BLOCKS } from "../../domain/Peer.js"
import { publish } from "../feed/commit.js"
import { seek } from "../feed/seek.js"
import { type Asked, type ServeError, serve } from "../feed/serve.js"
import type { Member } from "./Member.js"
import type { Session, SessionError } from "./Session.js"
import { Turn } from "../Turn.js"

/** Bytes of blocks that are read before they are sent; requests that are looked at together. */
const ANSWER_BYTES = 1024 * 1024
const ANSWER_REQUESTS = 512

/** Writes until everything is said; ends then, or never when the connection is to stay. */
export const writing: (session: Session) => Effect.Effect<never, SessionError> = Effect.fnUntraced(function* (
  session: Session
) {
  const { port } = session
  const turn = new Turn()
  while (true) {
    yield* turn.after(session.work.wait)
    for (let more = true; more;) {
      more = false
      for (const member of session.members.values()) {
        yield* turn.giveWay
        member.write(yield* Clock.currentTimeMillis)
        member.peer.dropCancelled()
        if (member.peer.asks.length > 0) {
          yield* answer(member)
          more ||= member.peer.asks.length > 0
          // Answers of many feeds do not wait for each other.
          if (port.size >= ANSWER_BYTES) yield* turn.after(push(session))
        }
      }
      if (port.size > 0) yield* turn.after(push(session))
    }
    if (!session.ending && session.isDone) {
      session.ending = true
      yield* port.end
    }
  }
})

const push = (session: Session) => {
  session.replies = 0
  return session.port.push
}

/** Answers some of what a peer asks; the rest has its turn after the other feeds of the connection. */
const answer = Effect.fnUntraced(function* (member: Member) {
  const { peer } = member
  const first = peer.asks[0]!
  if (member.finished) {
    peer.asks.length = 0
  } else if (first._tag === "Describe") {
    peer.asks.shift()
    const rest = describe(member, first)
    if (rest !== undefined) peer.asks.unshift(rest)
  } else if (first.request.bytes > 0) {
    peer.asks.shift()
    yield* answerByte(member, first.request)
  } else yield* answerRequests(member)
})

type Describe = Extract<Ask, { _tag: "Describe" }>

/** Which blocks we have, of a region at a time: answers what is left to describe, if there are more. */
const describe = (member: Member, { length, start }: Describe): Describe | undefined => {
  const { bitfield, tip, unstored } = member.core
  const end = start + length
  const next = start + REGION_BLOCKS
  const isLast = next >= Math.min(end, tip.length)
  const last = Math.min(end, Math.max(tip.length, start), next)
  const bits = bitfield.haveBytes(start / 8, Math.ceil((last - start) / 8))
  for (const blocks of unstored) {
    for (let block = Math.max(start, blocks.start); block < Math.min(last, blocks.end); block++)
      bits[(block - start) >> 3]! &= ~(128 >> ((block - start) & 7))
  }
  const described = isLast ? length : REGION_BLOCKS
  member.send({ _tag: "Have", start, length: described, bitfield: BitfieldRle.encode(bits), ack: false })
  return isLast ? undefined : { _tag: "Describe", start: next, length: end - next }
}

const answerRequests = Effect.fnUntraced(function* (member: Member) {
  const { core, peer } = member
  // No more proofs are planned than are likely to be sent.
  const blockSize = Math.max(1, core.tip.byteLength / core.tip.length)
  const most = Math.min(ANSWER_REQUESTS, Math.ceil(ANSWER_BYTES / blockSize))
  const asked: Array<Asked> = []
  for (const ask of peer.asks) {
    if (ask._tag !== "Request" || ask.request.bytes > 0 || asked.length >= most) break
    asked.push({ index: ask.request.index, digest: ask.request.nodes, hash: ask.request.hash })
  }
  const count = yield* send(member, asked)
  peer.asks.splice(0, count)
})

/** Byte `bytes` of the log: the proof of the block that holds it, or of the one that was named with it. */
const answerByte = (
  member: Member,
  request: { readonly index: number; readonly bytes: number; readonly hash: boolean; readonly nodes: number }
): Effect.Effect<unknown, ServeError> =>
  seek(member.core, request.bytes, { wait: false }).pipe(
    Effect.map(({ index }) => ({ index, digest: 0, hash: request.hash })),
    Effect.catchTags({
      BlockUnavailable: () => named(request),
      BadArgument: () => named(request),
      CorruptStorage: () => named(request)
    }),
    Effect.flatMap((asked) => send(member, [asked]))
  )

const named = (request: { readonly index: number; readonly hash: boolean; readonly nodes: number }) =>
  Effect.succeed({ index: request.index, digest: request.nodes, hash: request.hash })

/** Sends what is asked for; answers how many of them had their turn. */
const send = Effect.fnUntraced(function* (member: Member, asked: ReadonlyArray<Asked>) {
  const { core, host, peer, swarm } = member
  const served = yield* serve(core, asked, ANSWER_BYTES, host.port.givesBack ? "pooled" : "apart")
  for (const { index, block, proof } of served.claims) {
    const size = block?.length ?? 0
    const { nodes, signature } = proof
    // Before it is sent, and with that perhaps encrypted, where it is. (That no frame can carry it is known only then; no feed of ours has such a block.)
    if (block !== undefined) publish(core, { _tag: "Upload", index, size }, { block, from: member.info })
    const sent = member.send({ _tag: "Data", index, value: block, nodes, signature })
    if (!sent) member.send({ _tag: "Unhave", start: index, length: 1 })
    if (!sent || block === undefined) continue
    peer.stats.uploadedBlocks++
    peer.stats.uploadedBytes += size
    swarm.totals.uploadedBlocks++
    swarm.totals.uploadedBytes += size
  }
  for (const index of served.missing) member.send({ _tag: "Unhave", start: index, length: 1 })
  return served.count
})
