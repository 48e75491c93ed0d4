/**
 * What `plots.mjs` measures: one operation on a feed of 32 B blocks, of whatever length it has, in seconds an operation. A
 * contender's part in the copying is
 *
 *   replicateRange(feed, to, { start, end, peers })    // fetches these blocks into a new sparse feed, from `peers` connections to the open one
 */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { blocksOf, expect, fill, indices } from "./fixtures.mjs"

const BLOCK_SIZE = 32
/** Blocks that are fetched at once. */
const RANGE = 1_000
const PEERS_RANGE = 4_000

/** Calls of `work`, which does `ops` operations each time, until the time is up, after a third of that as a warm-up. */
const repeat = async (seconds, work) => {
  const workFor = async (most) => {
    const total = { ops: 0, bytes: 0, seconds: 0 }
    while (total.seconds < most) {
      const start = performance.now()
      const after = await work()
      total.seconds += (performance.now() - start) / 1000
      total.ops += after.ops
      await after.cleanUp?.()
    }
    return total
  }
  await workFor(seconds / 3)
  globalThis.gc?.()
  return workFor(seconds)
}

const counted = (count, next, end) => {
  let left = count
  return () => (left-- > 0 ? next() : end)
}

const usingFeed = async ({ dir, open }, use) => {
  const feed = await open(dir)
  const result = await use(feed)
  await feed.close()
  return result
}

/** Makes the feed, with `--length` blocks. */
const build = (context) =>
  usingFeed(context, async (feed) => {
    const { length } = context
    const start = performance.now()
    await fill(feed, { blockSize: BLOCK_SIZE, length, batch: 10_000 })
    return { ops: length, bytes: length * BLOCK_SIZE, seconds: (performance.now() - start) / 1000 }
  })

const append = (context) =>
  usingFeed(context, (feed) => {
    const block = blocksOf(BLOCK_SIZE)
    return repeat(context.size.seconds / 2, async () => {
      await feed.appendEach(counted(200, () => block(0), undefined))
      return { ops: 200 }
    })
  })

const get = (context) =>
  usingFeed(context, (feed) => {
    const random = indices(7, feed.length)
    return repeat(context.size.seconds, async () => {
      let bytes = 0
      await feed.getEach(counted(1_000, random, -1), (block) => (bytes += block.length))
      expect(bytes === 1_000 * BLOCK_SIZE, `1,000 blocks of ${bytes} bytes`)
      return { ops: 1_000 }
    })
  })

const open = (context) =>
  repeat(context.size.seconds, async () => {
    const feed = await context.open(context.dir)
    return { ops: 1, cleanUp: () => feed.close() }
  })

const replicate = (count, startOf, peersOf) => (context) =>
  usingFeed(context, (feed) => {
    const last = Math.max(1, feed.length - count)
    const random = indices(11, last)
    let copies = 0
    return repeat(context.size.seconds, async () => {
      const to = join(context.dir, "..", `${process.pid}-copy-${copies++}`)
      const start = startOf(random)
      const end = Math.min(feed.length, start + count)
      await context.contender.replicateRange(feed, to, { start, end, peers: peersOf(context) })
      return { ops: end - start, cleanUp: () => rmSync(to, { recursive: true, force: true }) }
    })
  })

export const curves = [
  { name: "curve-build", run: build },
  { name: "curve-append", run: append },
  { name: "curve-get", run: get },
  { name: "curve-open", run: open },
  {
    name: "curve-replicate",
    run: replicate(
      RANGE,
      (random) => random(),
      () => 1
    )
  },
  {
    name: "curve-peers",
    run: replicate(
      PEERS_RANGE,
      () => 0,
      ({ peers }) => peers
    )
  }
]
