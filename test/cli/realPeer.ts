/** The real `hypercore` 7.7.1 behind a socket of this process, and as one. */
import * as net from "node:net"
import { createRequire } from "node:module"
import type { Duplex } from "node:stream"
import "../reference/peerWire.js"

interface RealFeed {
  readonly length: number
  readonly key: Buffer
  ready(done: (error: Error | null) => void): void
  append(blocks: ReadonlyArray<Uint8Array>, done: (error: Error | null) => void): void
  get(index: number, done: (error: Error | null, block: Buffer) => void): void
  audit(
    done: (error: Error | null, report: { readonly valid: number; readonly invalid: number }) => void
  ): void
  replicate(options: { readonly live: boolean }): Duplex
  close(done: (error: Error | null) => void): void
}

type Hypercore = (
  directory: string,
  key?: Uint8Array | null,
  options?: { readonly sparse?: boolean }
) => RealFeed

const hypercore = createRequire(import.meta.url)("hypercore-7") as Hypercore

const call = <A = void>(run: (done: (error: Error | null, value: A) => void) => void): Promise<A> =>
  new Promise((resolve, reject) => {
    run((error, value) => (error === null || error === undefined ? resolve(value) : reject(error)))
  })

export interface RealPeer {
  readonly feed: RealFeed
  readonly append: (blocks: ReadonlyArray<Uint8Array>) => Promise<void>
  readonly get: (index: number) => Promise<Buffer>
  readonly audit: () => Promise<{ readonly valid: number; readonly invalid: number }>
  readonly close: () => Promise<void>
}

export const openReal = async (directory: string, key?: Uint8Array, sparse = false): Promise<RealPeer> => {
  const feed = hypercore(directory, key ?? null, { sparse })
  await call((done) => feed.ready((error) => done(error)))
  return {
    feed,
    append: (blocks) => call((done) => feed.append(blocks, (error) => done(error))),
    get: (index) => call<Buffer>((done) => feed.get(index, done)),
    audit: () => call<{ readonly valid: number; readonly invalid: number }>((done) => feed.audit(done)),
    close: () => call((done) => feed.close((error) => done(error)))
  }
}

export interface Served {
  readonly address: string
  readonly close: () => Promise<void>
}

/** Listens on a port of this machine; `accept` gets each socket, and all are destroyed with the listener. */
export const listen = (accept: (socket: net.Socket) => void): Promise<Served> =>
  new Promise((resolve, reject) => {
    const sockets = new Set<net.Socket>()
    const server = net.createServer((socket) => {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => sockets.delete(socket))
      accept(socket)
    })
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () =>
      resolve({
        address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed())
            for (const socket of sockets) socket.destroy()
          })
      })
    )
  })

const connectTo = (address: string): net.Socket => {
  const [host, port] = address.split(":")
  return net.connect(Number(port), host).on("error", () => {})
}

const join = (socket: net.Socket, stream: Duplex): void => {
  stream.on("error", () => socket.destroy())
  socket.on("close", () => stream.destroy())
  socket.pipe(stream).pipe(socket)
}

/** Gives a real feed to whoever connects. */
export const serveReal = ({ feed }: RealPeer, live: boolean): Promise<Served> =>
  listen((socket) => join(socket, feed.replicate({ live })))

/** Connects a real feed; ends when the connection has. */
export const replicateReal = ({ feed }: RealPeer, address: string, live: boolean) => {
  const socket = connectTo(address)
  join(socket, feed.replicate({ live }))
  return {
    closed: new Promise<void>((resolve) => socket.on("close", () => resolve())),
    destroy: () => socket.destroy()
  }
}

/**
 * Between a client and the server at `address`: the server's first `limit` bytes are let through, then `cut` is called. What
 * follows is held back until `release`.
 */
export const throttle = async (
  address: string,
  limit: number,
  cut: (socket: net.Socket) => void = () => {}
): Promise<Served & { readonly release: () => void }> => {
  let left = limit
  const releases: Array<() => void> = []
  const served = await listen((socket) => {
    const behind = connectTo(address)
    behind.on("close", () => socket.destroy())
    socket.on("close", () => behind.destroy())
    socket.on("data", (bytes) => behind.write(bytes))
    const held: Array<Uint8Array> = []
    releases.push(() => {
      for (const bytes of held.splice(0)) socket.write(bytes)
    })
    behind.on("data", (bytes) => {
      const through = bytes.subarray(0, left)
      const isCut = left > 0 && bytes.length >= left
      left -= through.length
      if (through.length > 0) socket.write(through)
      if (through.length < bytes.length) held.push(bytes.subarray(through.length))
      if (isCut) cut(socket)
    })
  })
  return {
    ...served,
    release: () => {
      left = Number.POSITIVE_INFINITY
      for (const release of releases) release()
    }
  }
}
