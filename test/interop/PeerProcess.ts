/** The real peer in another process: `replicationPeer.mjs`, which says what it is asked. One serves a file's tests. */
import { expect } from "@effect/vitest"
import { Cause, Context, Effect, Layer } from "effect"
import { spawn } from "node:child_process"
import * as path from "node:path"
import { createInterface } from "node:readline"

/** Fails, with what was waited for, when it does not come; nothing that is waited for takes a second by itself. */
export const within = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.timeoutFailCause(effect, {
    duration: "25 seconds",
    onTimeout: () => Cause.die(new Error(`it never came: ${what}`))
  })

export interface PeerProcessService {
  /** Obeyed, with its answer; an error over there is a defect here. */
  readonly call: <A = void>(command: string, given: Record<string, unknown>) => Effect.Effect<A>
  /** A name that nothing has over there. */
  readonly newName: Effect.Effect<string>
}

export class PeerProcess extends Context.Tag("test/PeerProcess")<PeerProcess, PeerProcessService>() {}

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

const script = path.join(import.meta.dirname, "replicationPeer.mjs")

class Process {
  readonly #child
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  readonly #exited: Promise<number | null>
  #errors = ""
  #calls = 0

  constructor(name: string) {
    this.#child = spawn(process.execPath, [script, name], { stdio: ["pipe", "pipe", "pipe"] })
    this.#child.stderr.on("data", (chunk: Buffer) => (this.#errors += chunk.toString()))
    createInterface(this.#child.stdout).on("line", (line) => {
      const answer = JSON.parse(line) as Answer
      this.#waiting.get(answer.id)?.(answer)
      this.#waiting.delete(answer.id)
    })
    this.#exited = new Promise((resolve) =>
      this.#child.once("exit", (code) => {
        resolve(code)
        for (const [id, answer] of this.#waiting) answer({ id, error: `the process died: ${this.#errors}` })
      })
    )
  }

  readonly call = <A>(command: string, given: Record<string, unknown>): Effect.Effect<A> =>
    within(
      `the other process's answer to ${command}`,
      Effect.async<A>((resume) => {
        const id = this.#calls++
        this.#waiting.set(id, ({ error, value }) =>
          resume(error === undefined ? Effect.succeed(value as A) : Effect.dieMessage(`${command}: ${error}`))
        )
        if (this.#child.exitCode === null) {
          this.#child.stdin.write(`${JSON.stringify({ id, command, ...given })}\n`)
        } else resume(Effect.dieMessage(`${command}: the process died: ${this.#errors}`))
        return Effect.sync(() => this.#waiting.delete(id))
      })
    )

  readonly newName = Effect.sync(() => `n${this.#calls++}`)

  /** Ends it; it must have had nothing to complain about. */
  readonly end = Effect.promise(async () => {
    this.#child.stdin.end()
    const code = await this.#exited
    expect([code, this.#errors]).toEqual([0, ""])
  })
}

/** A process with the real peer `name`, a package of ours. */
export const layer = (name: string): Layer.Layer<PeerProcess> =>
  Layer.scoped(
    PeerProcess,
    Effect.acquireRelease(
      Effect.sync(() => new Process(name)),
      (started) => started.end
    )
  )

export const peers = ["hypercore-7", "hypercore-6"] as const

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))

export interface PeerStats {
  readonly uploadedBlocks: number
  readonly uploadedBytes: number
  readonly downloadedBlocks: number
  readonly downloadedBytes: number
}

export interface PeerFeedOptions {
  /** In memory when absent. */
  readonly directory?: string
  /** Its storage, in memory, answers out of order. */
  readonly disorder?: boolean
  readonly key?: Uint8Array
  /** The peer's own. */
  readonly options?: Record<string, unknown>
}

/** A feed of the real peer's. */
export const openPeerFeed = ({ directory, disorder, key, options }: PeerFeedOptions = {}) =>
  Effect.gen(function* () {
    const { call, newName } = yield* PeerProcess
    const name = yield* newName
    const opened = yield* call<{ readonly key: string; readonly length: number }>("open", {
      name,
      directory,
      disorder,
      key: key && base64(key),
      options
    })
    const ask = <A = void>(command: string, given: Record<string, unknown> = {}) =>
      call<A>(command, { name, ...given })
    return {
      name,
      key: fromBase64(opened.key),
      append: (blocks: ReadonlyArray<Uint8Array>) => ask("append", { blocks: blocks.map(base64) }),
      get: (index: number) => Effect.map(ask<string>("get", { index }), fromBase64),
      blocks: (start: number, end: number) =>
        Effect.map(ask<ReadonlyArray<string>>("blocks", { start, end }), (all) => all.map(fromBase64)),
      update: (length: number) => ask<number>("update", { length }),
      /** The block's index, and the place in it. */
      seek: (bytes: number) => ask<readonly [number, number]>("seek", { bytes }),
      clear: (start: number, end: number) => ask("clear", { start, end }),
      download: (start: number, end: number) => ask("download", { start, end }),
      audit: ask<{ readonly valid: number; readonly invalid: number }>("audit"),
      held: ask<ReadonlyArray<number>>("held"),
      info: ask<{ readonly length: number; readonly byteLength: number; readonly totals?: PeerStats }>(
        "info"
      ),
      /** Those of the blocks that it lacks and knows its peers to have. */
      remote: (indexes: ReadonlyArray<number>) => ask<ReadonlyArray<number>>("remote", { indexes }),
      /** Ends when the feed is as long, and has as many blocks. */
      until: (state: { readonly length?: number; readonly downloaded?: number }) => ask("until", state),
      close: ask("close")
    }
  })

export type PeerFeed = Effect.Effect.Success<ReturnType<typeof openPeerFeed>>
