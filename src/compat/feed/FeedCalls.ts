/**
 * How a façade's calls are made: their arguments sorted, the feed waited for, a program run, its end told. What may wait for blocks is found again
 * by `cancel`.
 */
import { Effect, Exit } from "effect"
import type { Feed } from "../../index.js"
import { type Callback, call, type CallOptions, type Promised, refusing, tellExit } from "../callback.js"
import { type Codec, toCodec } from "../codecs.js"
import { notWritable, type Words } from "../LegacyError.js"
import type { GetOptions } from "../options.js"
import { Appended } from "./Appended.js"
import { FeedBase } from "./FeedBase.js"
import { type Wait, Waits } from "./Waits.js"

/** What a callback is given: no value, or one. */
export const nothing = (): [] => []
export const one = <A>(value: A): [A] => [value]

/** Options may be left out before a callback. */
export const sort = <O, C>(
  options: O | C | null | undefined,
  callback: C | undefined
): readonly [O | undefined, C | undefined] =>
  typeof options === "function" ? [undefined, options as C] : [(options as O | null) ?? undefined, callback]

/** How an append that could not be made is told. */
const APPEND_WORDS: CallOptions = { words: { closed: notWritable, forked: notWritable } }

/**
 * The peer has told others of a block before its append calls back, and who is in the same process, and need not wait for files, has got
 * it: within a tick or two there, here within a turn of the event loop, or two where a fiber gives way.
 */
const afterReplication = (run: () => void): void => void setImmediate(setImmediate, run)

type Settle = (exit: Exit.Exit<number, unknown>) => void

export class FeedCalls extends FeedBase {
  protected readonly waits = new Waits()
  /** Appends under way. */
  protected appending = 0
  #appended: Appended | undefined

  protected codecOf({ valueEncoding }: Pick<GetOptions, "valueEncoding">): Codec {
    return valueEncoding === undefined || valueEncoding === null ? this.codec : toCodec(valueEncoding)
  }

  /** Runs a program on the open feed. */
  protected run<A, V extends ReadonlyArray<unknown>>(
    callback: Callback<V> | undefined,
    program: (feed: Feed.Feed) => Effect.Effect<A, unknown>,
    values: (result: A) => NoInfer<V>,
    words?: Words
  ): Promise<Promised<V>> | undefined {
    const told = this.told(callback)
    this.whenOpen((feed) => {
      this.closing.begin()
      call(
        Effect.suspend(() => program(feed)),
        told.callback,
        values,
        { words, told: this.closing.end }
      )
    }, refusing(told.callback))
    return told.promise
  }

  /** The same of what may wait for blocks, and be cancelled. */
  protected runWaiting<A, V extends ReadonlyArray<unknown>>(
    callback: Callback<V> | undefined,
    wait: Wait,
    program: (feed: Feed.Feed) => Effect.Effect<A, unknown>,
    values: (result: A) => NoInfer<V>,
    words?: Words
  ): Promise<Promised<V>> | undefined {
    const told = this.told(callback)
    if (!this.opened) this.waits.add(wait)
    this.whenOpen((feed) => {
      this.begin(wait, program(feed), told.callback, values, words)
    }, refusing(told.callback))
    return told.promise
  }

  /** Runs such a program now, unless it was cancelled before it could begin. */
  protected begin<A, V extends ReadonlyArray<unknown>>(
    wait: Wait,
    program: Effect.Effect<A, unknown>,
    callback: Callback<V>,
    values: (result: A) => NoInfer<V>,
    words?: Words
  ): void {
    if (wait.reason !== undefined) {
      this.waits.delete(wait)
      process.nextTick(refusing(callback), wait.reason)
      return
    }
    this.closing.begin()
    this.waits.watch(
      wait,
      call(program, callback, values, { words, interrupted: wait, told: this.closing.end })
    )
  }

  /** Not by a fiber each: callers who append block by block would pay more for those than for all the rest. */
  protected appendAll(
    batch: ReadonlyArray<unknown>,
    callback: Callback<[number]> | undefined
  ): Promise<number> | undefined {
    const told = this.told(callback)
    const settle = this.#settling(told.callback)
    this.appending++
    this.closing.begin()
    if (this.feed !== undefined) this.#appendTo(this.feed, batch, settle)
    else this.#appendOnceOpen(batch, settle)
    return told.promise
  }

  readonly #settling =
    (callback: Callback<[number]>): Settle =>
    (exit) => {
      this.appending--
      if (this.peers.length > 0) return afterReplication(() => this.#tellAppended(exit, callback))
      if (Exit.isSuccess(exit)) {
        this.#current().add(callback, exit.value)
        return this.closing.end()
      }
      this.#appended = undefined
      this.#tellAppended(exit, callback)
    }

  #tellAppended(exit: Exit.Exit<number, unknown>, callback: Callback<[number]>): void {
    tellExit(exit, callback, one, APPEND_WORDS)
    this.closing.end()
  }

  /** Those of the commit that settles its appends now; what is told between two commits is told between their callbacks. */
  #current(): Appended {
    const last = this.#appended
    if (last?.isOpen === true && last.length === this.length) return last
    return (this.#appended = new Appended(this.length))
  }

  #appendOnceOpen(batch: ReadonlyArray<unknown>, settle: Settle): void {
    this.whenOpen(
      (feed) => this.#appendTo(feed, batch, settle),
      (error) => settle(Exit.die(error))
    )
  }

  #appendTo(feed: Feed.Feed, batch: ReadonlyArray<unknown>, settle: Settle): void {
    let blocks: Array<Uint8Array>
    try {
      blocks = batch.length === 1 ? [this.codec.encode(batch[0])] : Array.from(batch, this.codec.encode)
    } catch (error) {
      return settle(Exit.die(error))
    }
    for (let i = 0; this.valuesOf !== undefined && i < blocks.length; i++) {
      this.valuesOf.set(blocks[i]!, batch[i])
    }
    feed.unsafeAppend(blocks, settle)
  }
}
