/** The real peers, with their callbacks as promises. Both versions have the same interface as far as it goes here. */
import { Effect } from "effect"
import { createRequire } from "node:module"

const require = createRequire(import.meta.url)

type Callback<A> = (error: Error | null, value: A) => void

export interface PeerNode {
  readonly index: number
  readonly size: number
  readonly hash: Uint8Array
}

export interface PeerProof {
  readonly nodes: ReadonlyArray<PeerNode>
  readonly signature: Uint8Array | null
}

/** The parts of a real feed that the tests call. */
interface PeerFeed {
  readonly key: Uint8Array
  readonly length: number
  readonly byteLength: number
  readonly writable: boolean
  readonly live: boolean
  has(index: number): boolean
  digest(index: number): number
  on(event: "error", listener: (error: Error) => void): void
  ready(done: () => void): void
  append(blocks: ReadonlyArray<unknown>, done: Callback<number>): void
  get(index: number, options: { wait: false }, done: Callback<unknown>): void
  clear(start: number, end: number, done: (error: Error | null) => void): void
  seek(
    bytes: number,
    options: { wait: false },
    done: (error: Error | null, index: number, offset: number) => void
  ): void
  signature(index: number, done: Callback<{ readonly index: number; readonly signature: Uint8Array }>): void
  verify(index: number, signature: Uint8Array, done: Callback<boolean>): void
  proof(index: number, options: { digest: number }, done: Callback<PeerProof>): void
  put(index: number, block: Uint8Array, proof: PeerProof, done: (error: Error | null) => void): void
  audit(done: Callback<{ readonly valid: number; readonly invalid: number }>): void
  finalize(done: (error: Error | null) => void): void
  close(done: (error: Error | null) => void): void
}

type Hypercore = (directory: string, ...rest: ReadonlyArray<unknown>) => PeerFeed

export const peers: ReadonlyArray<readonly [name: string, hypercore: Hypercore]> = [
  ["hypercore@7.7.1", require("hypercore-7") as Hypercore],
  ["hypercore@6.25.2", require("hypercore-6") as Hypercore]
]

const call = <A>(run: (done: Callback<A>) => void): Effect.Effect<A> =>
  Effect.async<A, Error>((resume) => {
    run((error, value) =>
      resume(error === null || error === undefined ? Effect.succeed(value) : Effect.fail(error))
    )
  }).pipe(Effect.orDie)

/** A real feed that is ready; closed with the scope, or before. */
export const openPeer = (hypercore: Hypercore, directory: string, ...rest: ReadonlyArray<unknown>) =>
  Effect.acquireRelease(
    Effect.async<PeerFeed, Error>((resume) => {
      const feed = hypercore(directory, ...rest)
      feed.on("error", (error) => resume(Effect.fail(error)))
      feed.ready(() => resume(Effect.succeed(feed)))
    }).pipe(
      Effect.orDie,
      Effect.map((feed) => {
        let open = true
        return {
          feed,
          append: (blocks: ReadonlyArray<unknown>) => call<number>((done) => feed.append(blocks, done)),
          get: (index: number) => call<unknown>((done) => feed.get(index, { wait: false }, done)),
          clear: (start: number, end: number) =>
            call<void>((done) => feed.clear(start, end, (e) => done(e, undefined))),
          seek: (bytes: number) =>
            call<readonly [number, number]>((done) =>
              feed.seek(bytes, { wait: false }, (e, i, o) => done(e, [i, o]))
            ),
          audit: call<{ readonly valid: number; readonly invalid: number }>((done) => feed.audit(done)),
          proof: (index: number, digest: number) =>
            call<PeerProof>((done) => feed.proof(index, { digest }, done)),
          put: (index: number, block: Uint8Array, proof: PeerProof) =>
            call<void>((done) => feed.put(index, block, proof, (e) => done(e, undefined))),
          /** Succeeds when the signature that is stored for the last block verifies. */
          verifyLast: Effect.flatMap(
            call<{ readonly index: number; readonly signature: Uint8Array }>((done) =>
              feed.signature(feed.length - 1, done)
            ),
            ({ index, signature }) => call<boolean>((done) => feed.verify(index, signature, done))
          ),
          finalize: call<void>((done) => feed.finalize((e) => done(e, undefined))),
          close: Effect.suspend(() => {
            if (!open) return Effect.void
            open = false
            return call<void>((done) => feed.close((e) => done(e, undefined)))
          })
        }
      })
    ),
    (peer) => peer.close
  )

export type Peer = Effect.Effect.Success<ReturnType<typeof openPeer>>
