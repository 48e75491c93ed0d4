/**
 * What a hashing thread does, as the source of a worker: so it needs no file of its own, which a bundler would not find. The function uses
 * nothing but its arguments.
 *
 * Shared memory (all numbers 32 bits):
 *
 *     0   number of the job that was given last      4   of the last that was done      8   how many inputs it has
 *     64  for each input, its length, then its digest of 32 bytes
 *     INPUTS  the inputs, one after another
 */

/** Inputs of one job. */
export const MOST_INPUTS = 4096
export const ENTRIES = 64
export const ENTRY_SIZE = 36
export const INPUTS = ENTRIES + MOST_INPUTS * ENTRY_SIZE

export interface ThreadData {
  readonly shared: SharedArrayBuffer
  /** Where sodium-native is. */
  readonly sodium: string
  readonly entries: number
  readonly entrySize: number
  readonly inputs: number
}

interface Sodium {
  readonly crypto_generichash: (out: Uint8Array, input: Uint8Array) => void
}

interface Port {
  readonly postMessage: (message: number) => void
}

/** Hashes job after job, for ever; tells the number of each. */
export const work = (data: ThreadData, port: Port, require: (name: string) => unknown): never => {
  const sodium = require(data.sodium) as Sodium
  const state = new Int32Array(data.shared, 0, 4)
  const view = new DataView(data.shared)
  const bytes = new Uint8Array(data.shared)
  const digest = new Uint8Array(32)
  // Native code takes no shared memory: inputs are copied out of it first.
  let own = new Uint8Array(0)
  port.postMessage(0)
  for (let seen = 0; ;) {
    while (Atomics.load(state, 0) === seen) Atomics.wait(state, 0, seen)
    seen = Atomics.load(state, 0)
    let at = data.inputs
    for (let i = 0; i < state[2]!; i++) {
      const entry = data.entries + i * data.entrySize
      const length = view.getUint32(entry, true)
      if (own.length < length) own = new Uint8Array(length)
      const input = own.subarray(0, length)
      input.set(bytes.subarray(at, at + length))
      sodium.crypto_generichash(digest, input)
      bytes.set(digest, entry + 4)
      at += length
    }
    Atomics.store(state, 1, seen)
    Atomics.notify(state, 1)
    port.postMessage(seen)
  }
}
