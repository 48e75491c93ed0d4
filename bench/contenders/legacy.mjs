/**
 * A program on hypercore 7's callback API, as it runs on hypercore 7 itself and on our compat, whichever `contender` is given.
 *
 * "Awaited" here means a chain of callbacks: the next call is made in the callback of the last one. That spares it a promise
 * per call and is never slower than wrapping each call in a promise.
 */
import { createConnection, createServer } from "node:net"

/** Runs `step(done, finish)`: `done` goes round again, `finish` ends it. */
const loop = (step) =>
  new Promise((resolve, reject) => {
    const next = (error, value) => {
      if (error) reject(error)
      else step(next, resolve, value)
    }
    next(null)
  })

const promised = (work) =>
  new Promise((resolve, reject) => {
    work((error, value) => (error ? reject(error) : resolve(value)))
  })

/** Opens a feed to copy another into, and copies it over the stream that `connect` makes of it. */
const copy = async (hypercore, to, key, length, connect) => {
  const feed = hypercore(to, key)
  await promised((done) => feed.ready(done))
  // A look at every block would cost time that is not the peer's: they are counted.
  const counted = new Promise((resolve) => {
    let left = length
    feed.on("download", () => --left === 0 && resolve())
  })
  const end = connect(feed)
  await counted
  end()
  await promised((done) => feed.close(done))
}

const replicate = (hypercore, { feed }, to) =>
  copy(hypercore, to, feed.key, feed.length, (target) => {
    const from = feed.replicate({ live: true })
    const stream = target.replicate({ live: true })
    from.pipe(stream).pipe(from)
    for (const one of [from, stream]) one.on("error", () => {})
    return () => stream.destroy()
  })

const replicateRange = async (hypercore, { feed }, to, { end, peers, start }) => {
  const target = hypercore(to, feed.key, { sparse: true })
  await promised((done) => target.ready(done))
  const streams = Array.from({ length: peers }, () => {
    const from = feed.replicate({ live: true })
    const stream = target.replicate({ live: true })
    from.pipe(stream).pipe(from)
    for (const one of [from, stream]) one.on("error", () => {})
    return stream
  })
  await promised((done) => target.download({ start, end }, done))
  for (const stream of streams) stream.destroy()
  await promised((done) => target.close(done))
}

const serve = async ({ feed }) => {
  const server = createServer((socket) => {
    socket.on("error", () => {})
    const stream = feed.replicate({ live: true })
    stream.on("error", () => {})
    socket.pipe(stream).pipe(socket)
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  return { key: feed.key.toString("hex"), port: server.address().port }
}

const clone = (hypercore, to, key, port, length) =>
  copy(hypercore, to, Buffer.from(key, "hex"), length, (target) => {
    const socket = createConnection(port, "127.0.0.1")
    const stream = target.replicate({ live: true })
    for (const one of [socket, stream]) one.on("error", () => {})
    socket.pipe(stream).pipe(socket)
    return () => socket.destroy()
  })

const open = async (hypercore, dir) => {
  const feed = hypercore(dir)
  await new Promise((resolve, reject) => {
    feed.once("error", reject)
    feed.ready(() => {
      feed.removeListener("error", reject)
      resolve()
    })
  })

  const appendAll = (next) =>
    loop((again, finish) => {
      const blocks = next()
      if (blocks === undefined) finish()
      else feed.append(blocks, again)
    })

  return {
    feed,
    get length() {
      return feed.length
    },
    get byteLength() {
      return feed.byteLength
    },
    appendEach: appendAll,
    appendBatches: appendAll,
    appendConcurrently: (callers, next) =>
      Promise.all(Array.from({ length: callers }, () => appendAll(next))),
    getEach: (nextIndex, onBlock) => {
      let first = true
      return loop((again, finish, block) => {
        if (first) first = false
        else onBlock(block)
        const index = nextIndex()
        if (index < 0) finish()
        else feed.get(index, again)
      })
    },
    readStream: async (onBlock) => {
      const stream = feed.createReadStream()
      const stopped = new Promise((resolve, reject) => {
        stream.once("error", reject)
        stream.once("end", resolve)
        stream.once("close", resolve)
      })
      let going = true
      stream.on("data", (block) => {
        if (!going || onBlock(block)) return
        going = false
        stream.destroy()
      })
      await stopped
    },
    audit: () => promised((done) => feed.audit(done)),
    close: () => promised((done) => feed.close(done))
  }
}

/** What the benchmark drives, on a `hypercore` of either make. */
export const contender = (hypercore, about) => ({
  ...about,
  supports: ["audit", "sleep"],
  open: (dir) => open(hypercore, dir),
  replicate: (feed, to) => replicate(hypercore, feed, to),
  replicateRange: (feed, to, range) => replicateRange(hypercore, feed, to, range),
  serve,
  clone: (to, key, port, length) => clone(hypercore, to, key, port, length)
})
