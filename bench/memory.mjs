/**
 * What open feeds hold in memory, in bytes a feed: V8's heap and the buffers outside it, after collecting garbage. Native
 * memory is not in it (RocksDB's, libuv's): `rssBytes`, the growth of the whole process, is, and the garbage of opening too.
 */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { fill, openMany } from "./fixtures.mjs"

const collected = async () => {
  // Some things are let go by what runs after a collection: streams' and files' own ends.
  for (let i = 0; i < 5; i++) {
    globalThis.gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { external, heapUsed, rss } = process.memoryUsage()
  return { held: heapUsed + external, rss }
}

/** Opens a feed, uses and closes it, so that what is made once a process is not charged to the feeds that follow. */
const warmUp = async (context) => {
  const dir = join(context.dir, "..", `${process.pid}-warm-up`)
  const [feed] = await openMany({ ...context, dir }, 1)
  await fill(feed, { blockSize: 512, length: 10, batch: 10 })
  await feed.close()
  rmSync(dir, { recursive: true, force: true })
}

const measured = async (context, open) => {
  await warmUp(context)
  const before = await collected()
  const start = performance.now()
  const feeds = await open()
  const seconds = (performance.now() - start) / 1000
  const after = await collected()
  return {
    ops: feeds.length,
    bytes: after.held - before.held,
    rssBytes: after.rss - before.rss,
    seconds
  }
}

export const ofIdleFeeds = (context) => measured(context, () => openMany(context, context.size.idle))

export const ofOneFeed = (context) => measured(context, async () => [await context.open(context.dir)])
