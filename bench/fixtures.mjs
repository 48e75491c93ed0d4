/** Sizes, the data that every contender gets, and the feeds that are built once and then read. */
import { existsSync } from "node:fs"
import { join } from "node:path"

export const KB = 1024
export const GB = 1024 * 1024 * 1024

/** Sizes of a full run, of a contender so slow (`pace: "slow"`) that it would take minutes, and of `--quick`. */
const full = {
  seconds: 1,
  warmup: 1,
  replicaWarmup: 3, // longer, as it takes ten times as much code, which V8 compiles for so long
  small: 100_000,
  large: 2_048,
  audit: 10_000,
  batch: 100_000,
  replica: 20_000,
  largeReplica: 2_048,
  million: 1_000_000,
  fiveMillion: 5_000_000,
  tenMillion: 10_000_000,
  idle: 1_000
}

export const sizes = {
  full,
  slow: { ...full, batch: 10_000, replica: 2_000, largeReplica: 256 },
  quick: {
    seconds: 0.3,
    warmup: 0.1,
    replicaWarmup: 0.1,
    small: 10_000,
    large: 256,
    audit: 1_000,
    batch: 20_000,
    replica: 2_000,
    largeReplica: 256,
    million: 100_000,
    fiveMillion: 50_000,
    tenMillion: 200_000,
    idle: 100
  }
}

export const expect = (condition, message) => {
  if (!condition) throw new Error(message)
}

// ---------------------------------------------------------------------------------------------
// Data, the same for every contender

/** Numerical Recipes' linear congruential generator: the same numbers on every run. */
const lcg = (seed) => {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0)
}

/** The generator's low bits have short periods, so an index is taken from its high bits. */
export const indices = (seed, length) => {
  const random = lcg(seed)
  return () => Math.floor((random() / 0x1_0000_0000) * length)
}

/** Blocks which do not compress, made before anything is timed and used in rotation. */
const blocks = (size, count) => {
  const random = lcg(size)
  const pool = Array.from({ length: count }, () => {
    const block = Buffer.allocUnsafe(size)
    for (let i = 0; i < size; i += 4) block.writeUInt32LE(random(), i)
    return block
  })
  return (index) => pool[index % count]
}

const POOL = new Map([
  [32, 1_024],
  [512, 1_024],
  [64 * KB, 64]
])

export const blocksOf = (size) => blocks(size, POOL.get(size))

// ---------------------------------------------------------------------------------------------
// Feeds prepared once per contender, which the reading workloads then share

/**
 * `shared`: too long to be built by each; ours builds it for all who read its files (`supports` has "sleep").
 * `feeds`: that many feeds, in directories 0, 1, 2, ...
 */
export const fixtures = {
  small: { blockSize: 512, length: (size) => size.small, batch: 1_000 },
  large: { blockSize: 64 * KB, length: (size) => size.large, batch: 16 },
  audit: { blockSize: 512, length: (size) => size.audit, batch: 1_000 },
  replica: { blockSize: 512, length: (size) => size.replica, batch: 1_000 },
  largeReplica: { blockSize: 64 * KB, length: (size) => size.largeReplica, batch: 16 },
  million: { blockSize: 32, length: (size) => size.million, batch: 10_000, shared: true },
  fiveMillion: { blockSize: 512, length: (size) => size.fiveMillion, batch: 10_000, shared: true },
  tenMillion: { blockSize: 32, length: (size) => size.tenMillion, batch: 10_000, shared: true },
  idle: { blockSize: 512, length: () => 10, batch: 10, feeds: (size) => size.idle }
}

/** Whether a contender of that pace has a feed of another size. */
export const isOwnSize = (fixture, pace) => {
  const { length } = fixtures[fixture]
  return length(sizes[pace]) !== length(sizes.full)
}

/** Appends `length` blocks to an empty feed. */
export const fill = async (feed, { batch, blockSize, length }) => {
  const block = blocksOf(blockSize)
  let appended = 0
  await feed.appendBatches(() => {
    if (appended >= length) return undefined
    const count = Math.min(batch, length - appended)
    const from = appended
    appended += count
    return Array.from({ length: count }, (_, i) => block(from + i))
  })
  expect(feed.length === length, `built ${feed.length} blocks instead of ${length}`)
}

/** Opens `count` feeds, one after another, each in a directory of its own or as the contender keeps many. */
export const openMany = async ({ contender, dir, open }, count) => {
  const feeds = []
  for (let i = 0; i < count; i++) {
    feeds.push(await (contender.openOneOfMany ?? open)(join(dir, `${i}`)))
  }
  return feeds
}

/** Builds the fixture in `dir`, which is empty; gives how long that took, without the closing. */
export const buildFixture = async (name, context) => {
  const { blockSize, length: lengthOf, batch, feeds: feedsOf } = fixtures[name]
  const { dir, open, size } = context
  const length = lengthOf(size)
  const feeds = feedsOf === undefined ? [await open(dir)] : await openMany(context, feedsOf(size))
  const start = performance.now()
  for (const feed of feeds) await fill(feed, { batch, blockSize, length })
  const seconds = (performance.now() - start) / 1000
  for (const feed of feeds) await feed.close()
  return { blocks: feeds.length * length, seconds }
}

/** Where a feed's blocks are, in files of hypercore 6 and 7. */
export const dataFile = (dir) => {
  const file = join(dir, "data")
  expect(existsSync(file), `there is no feed in ${dir}`)
  return file
}
