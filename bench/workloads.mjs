/**
 * What is measured. A workload says how it drives a feed; it knows nothing of any contender.
 *
 * Every workload's `run` gets a context
 *   open(dir)   opens (or creates) a feed of the contender; contenders/ours.mjs says what a feed is
 *   dir         an empty directory of its own, or the directory of the fixture it asked for
 *   size        the sizes in force (full or quick)
 * and returns `{ ops, bytes, seconds }` of the timed section alone.
 */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { GB, KB, blocksOf, expect, indices } from "./fixtures.mjs"
import { ofIdleFeeds, ofOneFeed } from "./memory.mjs"
import { touchPageCache } from "./pageCache.mjs"
import { inProcess, overTcp } from "./replication.mjs"

// ---------------------------------------------------------------------------------------------
// Time

const now = () => performance.now()
const secondsSince = (start) => (now() - start) / 1000

/** `true` until the time is up; looks at the clock once in `every` questions. */
const untilElapsed = (seconds, every) => {
  const end = now() + seconds * 1000
  let asked = 0
  return () => asked++ % every !== 0 || now() < end
}

const timed = async (work) => {
  const start = now()
  const result = await work()
  return { ...result, seconds: secondsSince(start) }
}

// ---------------------------------------------------------------------------------------------
// Shapes of workload

/** Appends until the time is up; `drive(feed, next)` says how the blocks are handed over. */
const appending =
  ({ blockSize, perCall, limit = Infinity, touch = 0, drive }) =>
  async ({ open, dir, size }) => {
    if (touch > 0) touchPageCache(dir, touch)
    const block = blocksOf(blockSize)
    const feed = await open(dir)
    let appended = 0

    const appendFor = async (seconds) => {
      const more = untilElapsed(seconds, perCall === 1 ? 16 : 1)
      const before = appended
      await drive(feed, () => {
        if (!more() || (appended - before) * blockSize >= limit) return undefined
        if (perCall === 1) return block(appended++)
        const from = appended
        appended += perCall
        return Array.from({ length: perCall }, (_, i) => block(from + i))
      })
      return { ops: appended - before, bytes: (appended - before) * blockSize }
    }

    await appendFor(size.warmup)
    const result = await timed(() => appendFor(size.seconds))
    expect(feed.length === appended, `appended ${appended} blocks, the feed has ${feed.length}`)
    // Concurrent callers may be served in any order, so only then is the content left unchecked.
    if (drive !== concurrently) await expectBlocks(feed, block, [0, appended - 1])
    await feed.close()
    return result
  }

const oneByOne = (feed, next) => feed.appendEach(next)
const concurrently = (feed, next) => feed.appendConcurrently(64, next)
const inBatches = (feed, next) => feed.appendBatches(next)

const expectBlocks = async (feed, block, wanted) => {
  const queue = [...wanted]
  let seen = 0
  await feed.getEach(
    () => queue.shift() ?? -1,
    (got) => {
      expect(Buffer.compare(got, block(wanted[seen])) === 0, `block ${wanted[seen]} is wrong`)
      seen++
    }
  )
  expect(seen === wanted.length, `got ${seen} blocks instead of ${wanted.length}`)
}

/** One batch into a new feed, again in further new feeds until the time is up. */
const oneBatch = async ({ open, dir, size }) => {
  const block = blocksOf(512)
  const append = async (name, count) => {
    const batch = Array.from({ length: count }, (_, i) => block(i))
    const feed = await open(join(dir, name))
    const queue = [batch]
    const result = await timed(async () => {
      await feed.appendBatches(() => queue.shift())
      return { ops: count, bytes: count * 512 }
    })
    expect(feed.length === count, `appended ${count} blocks, the feed has ${feed.length}`)
    await expectBlocks(feed, block, [0, count - 1])
    await feed.close()
    rmSync(join(dir, name), { recursive: true, force: true })
    return result
  }

  await append("warmup", size.batch)
  const total = { ops: 0, bytes: 0, seconds: 0 }
  for (let pass = 0; total.seconds < size.seconds; pass++) {
    add(total, await append(`${pass}`, size.batch))
  }
  return total
}

const add = (total, part) => {
  total.ops += part.ops
  total.bytes += part.bytes
  total.seconds += part.seconds
}

/** One get after another, at random indices, until the time is up. */
const getting =
  (blockSize) =>
  async ({ open, dir, size }) => {
    const block = blocksOf(blockSize)
    const feed = await open(dir)
    const random = indices(7, feed.length)
    await expectBlocks(feed, block, [0, feed.length >> 1, feed.length - 1])

    const getFor = async (seconds) => {
      const more = untilElapsed(seconds, 16)
      let ops = 0
      let bytes = 0
      await feed.getEach(
        () => (more() ? random() : -1),
        (got) => {
          ops++
          bytes += got.length
        }
      )
      expect(bytes === ops * blockSize, `got ${bytes} bytes in ${ops} blocks`)
      return { ops, bytes }
    }

    await getFor(size.warmup)
    const result = await timed(() => getFor(size.seconds))
    await feed.close()
    return result
  }

/** Reads the feed as a stream from its start, again and again until the time is up. */
const streaming = async ({ open, dir, size }) => {
  const block = blocksOf(512)
  const feed = await open(dir)

  const streamFor = async (seconds, check) => {
    const more = untilElapsed(seconds, 256)
    let ops = 0
    let bytes = 0
    let going = true
    for (;;) {
      const before = ops
      await feed.readStream((got) => {
        if (check) expect(Buffer.compare(got, block(ops - before)) === 0, `block ${ops} is wrong`)
        ops++
        bytes += got.length
        going = more()
        return going
      })
      expect(!going || ops - before === feed.length, `a stream gave ${ops - before} blocks`)
      if (!going) return { ops, bytes }
    }
  }

  await streamFor(size.warmup, true)
  const result = await timed(() => streamFor(size.seconds, false))
  await feed.close()
  return result
}

/** Audits a freshly opened feed, so that nothing is cached from an earlier pass. */
const auditing = async ({ open, dir, size }) => {
  const pass = async () => {
    const feed = await open(dir)
    const { length } = feed
    const result = await timed(async () => {
      const { valid, invalid } = await feed.audit()
      expect(valid === length && invalid === 0, `audited ${valid} valid, ${invalid} invalid`)
      return { ops: length, bytes: length * 512 }
    })
    await feed.close()
    return result
  }

  await pass()
  const total = { ops: 0, bytes: 0, seconds: 0 }
  while (total.seconds < size.seconds) add(total, await pass())
  return total
}

/**
 * Opens the feed, closing it in between; only the opening is timed. Garbage is collected when it must be, as in a program: a full collection before
 * each opening measured how cold that leaves the caches, and how large the heap is.
 */
const opening =
  (lengthOf) =>
  async ({ open, dir, size }) => {
    const pass = async () => {
      const start = now()
      const feed = await open(dir)
      const seconds = secondsSince(start)
      expect(feed.length === lengthOf(size), `opened a feed of ${feed.length} blocks`)
      await feed.close()
      return { ops: 1, bytes: 0, seconds }
    }

    const openFor = async (seconds) => {
      const total = { ops: 0, bytes: 0, seconds: 0 }
      while (total.seconds < seconds) add(total, await pass())
      return total
    }

    await openFor(size.seconds * 0.3)
    return openFor(size.seconds)
  }

// ---------------------------------------------------------------------------------------------

/** `aim` is how many times the better peer's rate ours should reach. Of memory (`KB`, a feed) less is better. */
export const workloads = [
  {
    name: "append-one",
    title: "append 512 B, one at a time",
    unit: "ops",
    aim: 4,
    run: appending({ blockSize: 512, perCall: 1, drive: oneByOne })
  },
  {
    name: "append-concurrent",
    title: "append 512 B, 64 callers",
    unit: "ops",
    aim: 3,
    run: appending({ blockSize: 512, perCall: 1, drive: concurrently })
  },
  {
    name: "append-batch",
    title: "append 512 B, one large batch",
    unit: "ops",
    aim: 3,
    run: oneBatch
  },
  {
    name: "append-64k",
    title: "append 64 KB, batches of 16",
    unit: "MB",
    aim: 4,
    run: appending({
      blockSize: 64 * KB,
      perCall: 16,
      limit: 2 * GB,
      touch: 1.5 * GB,
      drive: inBatches
    })
  },
  {
    name: "get-512",
    title: "get 512 B, random",
    unit: "ops",
    aim: 10,
    fixture: "small",
    run: getting(512)
  },
  {
    name: "get-512-5m",
    title: "get 512 B, random, of 5,000,000",
    unit: "ops",
    aim: 10,
    fixture: "fiveMillion",
    slow: true,
    run: getting(512)
  },
  {
    name: "get-64k",
    title: "get 64 KB, random",
    unit: "MB",
    aim: 6,
    fixture: "large",
    run: getting(64 * KB)
  },
  {
    name: "stream-512",
    title: "read 512 B as a stream",
    unit: "ops",
    aim: 40,
    fixture: "small",
    run: streaming
  },
  {
    name: "audit-512",
    title: "audit 512 B",
    unit: "ops",
    aim: 60,
    fixture: "audit",
    needs: "audit",
    run: auditing
  },
  {
    name: "open-1m",
    title: "open 1,000,000 blocks",
    unit: "ops",
    aim: 2,
    fixture: "million",
    slow: true,
    run: opening((size) => size.million)
  },
  {
    name: "open-10m",
    title: "open 10,000,000 blocks",
    unit: "ops",
    aim: 2,
    fixture: "tenMillion",
    needs: "sleep",
    slow: true,
    run: opening((size) => size.tenMillion)
  },
  {
    name: "memory-idle",
    title: "memory of one of 1,000 open feeds",
    unit: "KB",
    fixture: "idle",
    run: ofIdleFeeds
  },
  {
    name: "memory-10m",
    title: "memory of 10,000,000 blocks, open",
    unit: "KB",
    fixture: "tenMillion",
    needs: "sleep",
    slow: true,
    run: ofOneFeed
  },
  {
    name: "replicate-512",
    title: "replicate 512 B, in process",
    unit: "ops",
    aim: 8,
    fixture: "replica",
    run: inProcess
  },
  {
    name: "replicate-64k",
    title: "replicate 64 KB, in process",
    unit: "MB",
    aim: 3,
    fixture: "largeReplica",
    run: inProcess
  },
  {
    name: "replicate-tcp",
    title: "replicate 64 KB, two processes",
    unit: "MB",
    aim: 2.5,
    fixture: "largeReplica",
    run: overTcp
  }
]
