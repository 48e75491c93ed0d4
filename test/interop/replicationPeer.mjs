/**
 * A real peer in a process of its own: `node replicationPeer.mjs hypercore-7`. It obeys the lines that come on standard input, each
 * `{ id, command, ...arguments }`, and answers each by a line, `{ id, value }` or `{ id, error }`. Bytes are in base64. It ends when its
 * input does. Feeds and links (a feed or more on one TCP connection) are known by the names that they are given.
 */
import { once } from "node:events"
import { createRequire } from "node:module"
import * as net from "node:net"
import { createInterface } from "node:readline"
import { Transform } from "node:stream"
import { createWebSocketStream, WebSocket, WebSocketServer } from "ws"

const require = createRequire(import.meta.url)
const hypercore = require(process.argv[2])
const protocol = require("hypercore-protocol")

// The cipher of its own JavaScript version, for the function of sodium-native 2 that our sodium-native 5 no longer has.
const ofProtocol = createRequire(require.resolve("hypercore-protocol"))
const ofSodium = createRequire(ofProtocol.resolve("sodium-universal"))
ofProtocol("sodium-universal").crypto_stream_xor_instance ??=
  ofSodium("sodium-javascript").crypto_stream_xor_instance
const memory = require("random-access-memory")

const feeds = new Map()
const links = new Map()

const feedOf = (name) => feeds.get(name) ?? fail(`no feed ${name}`)
/** Once somebody is connected. */
const linkOf = (name) => links.get(name)?.promise ?? fail(`no link ${name}`)
const announce = (name) => {
  const link = {}
  link.promise = new Promise((resolve) => (link.resolve = resolve))
  links.set(name, link)
}
const fail = (message) => {
  throw new Error(message)
}

const bytes = (text) => Buffer.from(text, "base64")
const text = (block) => block.toString("base64")

/** `run` with a callback, as a promise of what it is called with. */
const called = (run) =>
  new Promise((resolve, reject) => {
    run((error, ...values) => {
      if (error) reject(error)
      else resolve(values.length > 1 ? values : values[0])
    })
  })

/** A list that others wait on: `take(n)` ends with its first n entries, which it takes, once there are as many. */
class Arrivals {
  #all = []
  #waiting = []

  put(one) {
    this.#all.push(one)
    this.#serve()
  }

  take(count) {
    return new Promise((resolve) => {
      this.#waiting.push({ count, resolve })
      this.#serve()
    })
  }

  #serve() {
    while (this.#waiting.length > 0 && this.#all.length >= this.#waiting[0].count) {
      const { count, resolve } = this.#waiting.shift()
      resolve(this.#all.splice(0, count))
    }
  }
}

/** Passes bytes on in chunks of `size`, or what there is of it when nothing more has come for some turns of the event loop. */
const rechunk = (size) => {
  let held = Buffer.alloc(0)
  let idle = 0
  let watching = false
  const flush = (stream, everything) => {
    while (held.length >= size || (everything && held.length > 0)) {
      stream.push(held.subarray(0, size))
      held = held.subarray(size)
    }
  }
  const watch = (stream) => {
    watching = true
    setImmediate(() => {
      watching = false
      if (idle++ >= 20) flush(stream, true)
      else watch(stream)
    })
  }
  return new Transform({
    transform(chunk, _, done) {
      held = Buffer.concat([held, chunk])
      idle = 0
      flush(this, false)
      if (held.length > 0 && !watching) watch(this)
      done()
    },
    flush(done) {
      flush(this, true)
      done()
    }
  })
}

/** The protocol stream of a link, with its feeds on it and those that it opens when the other side does. */
const streamOf = (link, options) => {
  const { answers = [], feeds: names, multiple, perFeed, ...rest } = options
  const own = names.map(feedOf)
  const given = { ...rest, ...(rest.userData === undefined ? {} : { userData: bytes(rest.userData) }) }
  if (own.length === 1 && !multiple) return own[0].replicate(given)
  const stream = protocol(given)
  stream.on("feed", (discoveryKey) => {
    const feed = answers.map(feedOf).find((one) => one.discoveryKey.equals(discoveryKey))
    if (feed === undefined || stream.feeds.some(({ key }) => key.equals(feed.key))) return
    link.opened.put(text(discoveryKey))
    feed.replicate({ ...given, ...perFeed, stream })
  })
  for (const feed of own) feed.replicate({ ...given, ...perFeed, stream })
  return stream
}

const start = (name, socket, { chunk, ...options }) => {
  const link = {
    socket,
    errors: [],
    acks: new Arrivals(),
    extensions: new Arrivals(),
    opened: new Arrivals()
  }
  links.get(name).resolve(link)
  socket.setNoDelay?.(true)
  const stream = (link.stream = streamOf(link, options))
  const failed = (where) => (error) => link.errors.push(`${where}: ${error.message}`)
  stream.on("error", failed("stream"))
  socket.on("error", failed("socket"))
  stream.on("close", () => socket.destroy())
  stream.on("ack", ({ start, length }) => link.acks.put([start, length]))
  stream.on("handshake", () => {
    link.handshake = { live: stream.remoteLive, ack: stream.remoteAck, userData: stream.remoteUserData }
    // hypercore 7 gives extension messages to its feeds; 6 leaves them to whoever listens to a channel.
    for (const channel of stream.feeds) {
      channel.on("extension", (type, message) => link.extensions.put([type, text(message)]))
      const feed = channel.peer?.feed
      feed?.on("extension", (type, message, peer) => {
        if (peer === channel.peer) link.extensions.put([type, text(message)])
      })
    }
  })
  link.ended = new Promise((resolve) => {
    socket.on("close", () => {
      // What a pump does: a stream does not outlive its socket.
      stream.destroy()
      resolve(link.errors)
    })
  })
  const arriving = chunk === undefined ? socket : socket.pipe(rechunk(chunk))
  arriving.pipe(stream).pipe(socket)
}

/** A storage whose reads end out of order, as those of a disk do. */
const disorderly = () => {
  const file = memory()
  const read = file.read.bind(file)
  let count = 0
  const later = (turns, then) => (turns === 0 ? then() : setImmediate(later, turns - 1, then))
  file.read = (offset, length, done) =>
    read(offset, length, (error, found) => later((count++ * 7) % 40, () => done(error, found)))
  return file
}

const open = async ({ name, directory, disorder, key, options = {} }) => {
  const given = {
    ...options,
    ...(options.secretKey === undefined ? {} : { secretKey: bytes(options.secretKey) })
  }
  const feed = hypercore(
    directory ?? (disorder ? disorderly : memory),
    key === undefined ? null : bytes(key),
    given
  )
  feeds.set(name, feed)
  await new Promise((resolve, reject) => {
    feed.once("error", reject)
    feed.ready(resolve)
  })
  feed.on("error", (error) => process.stderr.write(`${name}: ${error.stack}\n`))
  return { key: text(feed.key), length: feed.length, byteLength: feed.byteLength, writable: feed.writable }
}

/** Ends when the feed is as is asked; looks again whenever it has changed. */
const until = ({ name, length, downloaded }) => {
  const feed = feedOf(name)
  const isSo = () =>
    (length === undefined || feed.length >= length) &&
    (downloaded === undefined || feed.downloaded(0, feed.length) >= downloaded)
  return new Promise((resolve) => {
    const events = ["append", "download", "clear"]
    // The event comes before the answer to it: later, what it tells of is stored.
    const look = () => {
      if (!isSo()) return
      for (const event of events) feed.off(event, look)
      resolve(undefined)
    }
    for (const event of events) feed.on(event, look)
    look()
  })
}

const commands = {
  open,
  until,
  append: ({ name, blocks }) => called((done) => feedOf(name).append(blocks.map(bytes), done)),
  get: async ({ name, index, wait = true }) =>
    text(await called((done) => feedOf(name).get(index, { wait }, done))),
  blocks: async ({ name, start, end }) => {
    const found = []
    for (let index = start; index < end; index++) {
      found.push(text(await called((done) => feedOf(name).get(index, { wait: false }, done))))
    }
    return found
  },
  update: async ({ name, length }) => {
    await called((done) => feedOf(name).update(length, done))
    return feedOf(name).length
  },
  seek: ({ name, bytes: offset }) => called((done) => feedOf(name).seek(offset, done)),
  clear: ({ name, start, end }) => called((done) => feedOf(name).clear(start, end, done)),
  download: ({ name, ...range }) => called((done) => feedOf(name).download(range, done)),
  audit: ({ name }) => called((done) => feedOf(name).audit(done)),
  /** Which blocks it has. */
  held: ({ name }) => {
    const feed = feedOf(name)
    return Array.from({ length: feed.length }, (_, index) => index).filter((index) => feed.has(index))
  },
  info: ({ name }) => {
    const { byteLength, length, stats } = feedOf(name)
    return { byteLength, length, totals: stats?.totals }
  },
  /** Blocks that it knows the other side to have and lacks itself. */
  remote: ({ name, indexes }) =>
    indexes.filter((index) => feedOf(name).peers.some((peer) => peer.remoteBitfield.get(index))),
  close: ({ name }) => called((done) => feedOf(name).close(done)),

  listen: async ({ link, webSocket, ...options }) => {
    announce(link)
    const server = webSocket
      ? new WebSocketServer({ host: "127.0.0.1", port: 0 })
      : net.createServer().listen(0, "127.0.0.1")
    server.once("connection", (socket) => {
      server.close()
      start(link, webSocket ? createWebSocketStream(socket) : socket, options)
    })
    await once(server, "listening")
    return server.address().port
  },
  connect: async ({ link, port, webSocket, ...options }) => {
    announce(link)
    if (webSocket) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`)
      start(link, createWebSocketStream(socket), options)
      await once(socket, "open")
    } else {
      const socket = net.connect(port, "127.0.0.1")
      await once(socket, "connect")
      start(link, socket, options)
    }
  },
  /** Ends when the connection is closed, with all errors of the link. */
  ended: async ({ link }) => (await linkOf(link)).ended,
  /** Ends the connection from this side. */
  finalize: async ({ link }) => (await linkOf(link)).stream.finalize(),
  handshake: async ({ link }) => {
    const { userData, ...rest } = (await linkOf(link)).handshake
    return { ...rest, userData: userData && text(userData) }
  },
  extension: async ({ link, type, payload }) => {
    for (const channel of (await linkOf(link)).stream.feeds) channel.extension(type, bytes(payload))
  },
  extensions: async ({ link, count }) => (await linkOf(link)).extensions.take(count),
  acks: async ({ link, count }) => (await linkOf(link)).acks.take(count),
  opened: async ({ link, count }) => (await linkOf(link)).opened.take(count)
}

const answer = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

for await (const line of createInterface(process.stdin)) {
  const { command, id, ...given } = JSON.parse(line)
  Promise.resolve()
    .then(() => commands[command](given))
    .then(
      (value) => answer({ id, value }),
      (error) => answer({ id, error: error.message })
    )
}
process.exit(0)
