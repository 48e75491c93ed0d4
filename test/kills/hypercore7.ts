/** Real `hypercore` 7, as a party to be killed. */
import { once } from "node:events"
import { createRequire } from "node:module"
import * as net from "node:net"
import type { Duplex } from "node:stream"
import { type OpenParty, requirePackage } from "./Party.js"

type Callback<A> = (error: Error | null, value: A) => void

/** What is used here of its feeds. */
interface Hypercore7 {
  readonly key: Buffer
  readonly length: number
  readonly ready: (done: Callback<undefined>) => void
  readonly downloaded: (start: number, end: number) => number
  readonly append: (blocks: ReadonlyArray<Uint8Array>, done: Callback<number>) => void
  readonly get: (index: number, options: object, done: Callback<Buffer>) => void
  readonly replicate: (options: object) => Duplex
  readonly on: (event: string, listener: (...values: ReadonlyArray<unknown>) => void) => void
}

/** The cipher of its own JavaScript version, for the function of sodium-native 2 that our sodium-native 5 no longer has. */
const completeSodium = (): void => {
  const ofProtocol = createRequire(requirePackage.resolve("hypercore-protocol"))
  const ofSodium = createRequire(ofProtocol.resolve("sodium-universal"))
  const sodium = ofProtocol("sodium-universal") as Record<string, unknown>
  sodium.crypto_stream_xor_instance ??= (
    ofSodium("sodium-javascript") as Record<string, unknown>
  ).crypto_stream_xor_instance
}

const called = <A>(run: (done: Callback<A>) => void): Promise<A> =>
  new Promise((resolve, reject) => {
    run((error, value) => {
      if (error) reject(error)
      else resolve(value)
    })
  })

/** Replicates over a socket until it is closed. */
const replicate = async (feed: Hypercore7, socket: net.Socket): Promise<string | undefined> => {
  const stream = feed.replicate({ live: true })
  let problem: string | undefined
  for (const one of [stream, socket]) one.on("error", (error: Error) => (problem ??= error.message))
  stream.on("close", () => socket.destroy())
  socket.pipe(stream).pipe(socket)
  await new Promise((resolve) => socket.once("close", resolve))
  stream.destroy()
  return problem
}

export const open: OpenParty = async (directory, key) => {
  completeSodium()
  const hypercore = requirePackage("hypercore-7") as (directory: string, key: Buffer | null) => Hypercore7
  const feed = hypercore(directory, key === undefined ? null : Buffer.from(key))
  await new Promise<void>((resolve, reject) => {
    feed.on("error", (error) => reject(error as Error))
    feed.ready((error) => (error ? reject(error) : resolve()))
  })
  return {
    key: new Uint8Array(feed.key),
    length: () => feed.length,
    downloaded: () => feed.downloaded(0, feed.length),
    append: (blocks) => called((done) => feed.append(blocks, done)),
    get: (index) => called((done) => feed.get(index, { wait: false }, done)),
    listen: async () => {
      const server = net.createServer((socket) => void replicate(feed, socket)).listen(0, "127.0.0.1")
      await once(server, "listening")
      return (server.address() as net.AddressInfo).port
    },
    follow: async (port) => {
      const socket = net.connect(port, "127.0.0.1")
      return replicate(feed, socket)
    },
    onProgress: (listener) => {
      for (const event of ["append", "download"]) feed.on(event, listener)
    }
  }
}
