/** Who is asked for what, beside a model that looks at every block of every peer. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { Downloads, type Order } from "../../src/domain/Downloads.js"
import { Peer } from "../../src/domain/Peer.js"
import { Random } from "../../src/domain/Random.js"
import type { Range, Wish } from "../../src/domain/Selection.js"

const BLOCKS = 60
const SLOW = 1000

const makePeer = (mostRequests?: number): Peer =>
  new Peer(
    { live: true, download: true, upload: true, ack: false, allowPush: false, mostRequests },
    { length: 0, has: () => false }
  )

/** A feed that is downloaded from peers; all time is its own. */
class World {
  readonly held = new Set<number>()
  readonly cleared = new Set<number>()
  readonly blocks = new Set<number>()
  readonly ranges = new Set<Range>()
  readonly wishes = new Set<Wish>()
  /** What each peer was asked for a wish's sake, as long as there is no answer, and when: with its version. */
  readonly lookups = new Map<Peer, Array<Order>>()
  readonly lookedFor = new Map<Peer, Map<Wish, number>>()
  /** Of the log, as far as it is proved. */
  length = 0
  readonly peers: Array<Peer> = []
  /** When each block was asked of each peer, and has not come or been given up. */
  readonly asked = new Map<Peer, Map<number, number>>()
  /** Of whom each block was asked last: from whom it is expected. */
  readonly expected = new Map<number, Peer>()
  now = 0
  readonly downloads: Downloads

  constructor(seed: number) {
    const { held } = this
    const length = () => this.length
    this.downloads = new Downloads(
      {
        get length() {
          return length()
        },
        has: (block) => held.has(block),
        haveByte: (at) => {
          let byte = 0
          for (let i = 0; i < 8; i++) if (held.has(8 * at + i)) byte |= 128 >> i
          return byte
        },
        nextMissing: (start, end) => {
          let block = start
          while (block < end && held.has(block)) block++
          return Math.min(block, end)
        }
      },
      { blocks: () => this.blocks.values(), ranges: this.ranges, wishes: this.wishes },
      new Random(seed)
    )
  }

  join(blocks: ReadonlyArray<number>, mostRequests?: number): Peer {
    const peer = makePeer(mostRequests)
    peer.wantRegion(0, () => false)
    this.peers.push(peer)
    this.downloads.peers.add(peer)
    this.asked.set(peer, new Map())
    this.lookups.set(peer, [])
    this.lookedFor.set(peer, new Map())
    for (const block of blocks) this.tell(peer, block)
    return peer
  }

  tell(peer: Peer, block: number): void {
    peer.receive({ _tag: "Have", start: block, length: 1, bitfield: undefined, ack: false }, this.now)
  }

  fill(peer: Peer): ReadonlyArray<Order> {
    const orders = this.downloads.fill(peer, this.now)
    for (const order of orders) {
      const { bytes, hash, index } = order
      peer.requested(index, hash, bytes, this.now)
      if (isLookup(order)) {
        this.lookups.get(peer)!.push(order)
        continue
      }
      this.asked.get(peer)!.set(index, this.now)
      this.expected.set(index, peer)
    }
    return orders
  }

  answer(peer: Peer, block: number): void {
    const stored = this.receive(peer, block, new Uint8Array(1))
    if (stored) this.held.add(block)
    this.#over(peer, block)
    if (!stored) return
    this.blocks.delete(block)
    this.downloads.release(block, peer)
  }

  /** A peer answers its oldest request for a byte, or of a leaf, by this block or its leaf. */
  tellOf(peer: Peer, found: number): void {
    const lookups = this.lookups.get(peer)!
    const [order] = lookups
    if (order === undefined) return
    const block = order.bytes > 0 ? found : order.index
    // It may be what it is asked for as such, too: then that is what it answers.
    const isAsked = !order.hash && this.asked.get(peer)!.has(block)
    const leaf = lookups.findIndex(({ bytes, hash, index }) => hash && bytes === 0 && index === block)
    if (!isAsked) lookups.splice(order.hash ? Math.max(0, leaf) : 0, 1)
    expect(this.receive(peer, block, order.hash ? undefined : new Uint8Array(1))).toBe(true)
    if (order.hash) return
    this.held.add(block)
    this.blocks.delete(block)
    if (isAsked) this.#over(peer, block)
    this.downloads.release(block, peer)
  }

  /** Whether what comes is to be stored, in which case the log is as long as it says. */
  receive(peer: Peer, index: number, value: Uint8Array | undefined): boolean {
    const data = { _tag: "Data", index, value, nodes: [], signature: undefined } as const
    const stored = peer.receive(data, this.now).some((action) => action._tag === "Store")
    if (stored) this.length = Math.max(this.length, index + 1)
    return stored
  }

  /** What a peer no longer has is no longer asked of it. */
  refuse(peer: Peer, start: number, length: number): void {
    // Nor is the answer awaited of who was asked for a leaf there.
    const isRefused = ({ bytes, index }: Order) => bytes === 0 && index >= start && index < start + length
    this.lookups.set(
      peer,
      this.lookups.get(peer)!.filter((order) => !isRefused(order))
    )
    for (const action of peer.receive({ _tag: "Unhave", start, length }, this.now)) {
      if (action._tag !== "Release") continue
      this.#over(peer, action.index)
      this.downloads.release(action.index, peer)
    }
  }

  #over(peer: Peer, block: number): void {
    this.asked.get(peer)!.delete(block)
    if (this.expected.get(block) !== peer) return
    this.expected.delete(block)
    if (this.held.has(block)) return
    // Whoever was asked before, and was slow, may answer still.
    for (const other of this.peers) if (this.asked.get(other)?.has(block)) this.expected.set(block, other)
  }

  leave(peer: Peer): void {
    this.downloads.remove(peer)
    this.peers.splice(this.peers.indexOf(peer), 1)
    for (const block of this.asked.get(peer)!.keys()) this.#over(peer, block)
    this.asked.delete(peer)
    this.lookups.delete(peer)
    this.lookedFor.delete(peer)
  }

  clear(start: number, end: number): void {
    for (let block = start; block < end; block++) {
      this.held.delete(block)
      this.cleared.add(block)
    }
    this.downloads.cleared(start, end)
  }

  /** Blocks that wishes are for, in their order. */
  lasts(): Array<number> {
    const blocks = [...this.wishes].flatMap((wish) =>
      wish._tag === "Length" && wish.block && wish.length > this.length ? [wish.length - 1] : []
    )
    return [...new Set(blocks)]
  }

  /** What else `peer` is asked for by wishes, in their order: each once, and again after news of it. */
  due(peer: Peer): Array<readonly [Wish, Order]> {
    return [...this.wishes].flatMap((wish): Array<readonly [Wish, Order]> => {
      if (this.lookedFor.get(peer)!.get(wish) === peer.version) return []
      if (wish._tag === "Length" && wish.length <= this.length) return []
      if (wish._tag === "Length" && wish.block && peer.remote.has(wish.length - 1)) return []
      const [start, end] = wish._tag === "Byte" ? [wish.start, wish.end] : [wish.length - 1, BLOCKS]
      const index = all(start, Math.min(end, peer.remoteLength)).find((block) => peer.remote.has(block))
      if (index === undefined) return []
      const bytes = wish._tag === "Byte" ? wish.offset : 0
      return [[wish, { index, bytes, hash: bytes === 0 || (wish._tag === "Byte" && !wish.block) }]]
    })
  }

  isWanted(block: number): boolean {
    if (this.blocks.has(block)) return true
    if (this.lasts().includes(block)) return true
    return [...this.ranges].some(
      ({ end, linear, start }) =>
        block >= start && block < end && (linear || end !== Infinity || !this.cleared.has(block))
    )
  }

  /** Somebody waits for it: it is got, or next in a stream, or ends a longer log. */
  isUrgent(block: number): boolean {
    if (this.blocks.has(block) || this.lasts().includes(block)) return true
    return [...this.ranges].some(({ end, linear, start }) => {
      let next = start
      while (next < end && this.held.has(next)) next++
      return linear && next === block
    })
  }

  /** Blocks that `peer` could be asked for, and that are expected from nobody. */
  free(peer: Peer): Array<number> {
    return Array.from({ length: BLOCKS }, (_, block) => block).filter(
      (block) =>
        peer.remote.has(block) &&
        !this.held.has(block) &&
        this.isWanted(block) &&
        !this.expected.has(block) &&
        !this.asked.get(peer)!.has(block)
    )
  }
}

const isLookup = ({ bytes, hash }: Order): boolean => hash || bytes > 0

/** Everything that the orders for `peer` promise. */
const checkedFill = (world: World, peer: Peer): void => {
  const before = new Set(world.asked.get(peer)!.keys())
  const since = (block: number) => world.asked.get(world.expected.get(block)!)!.get(block)!
  const late = [...world.expected.keys()].filter((block) => world.now - since(block) >= SLOW)
  const room = Math.max(0, peer.free)
  const free = world.free(peer)
  const due = world.due(peer)
  const lasts = world.lasts()
  const all = world.fill(peer)
  expect(all.length).toBeLessThanOrEqual(room)
  const lookups = all.filter(isLookup)
  expect(lookups).toEqual(due.slice(0, lookups.length).map(([, order]) => order))
  for (const [wish] of due.slice(0, lookups.length)) world.lookedFor.get(peer)!.set(wish, peer.version)
  const orders = all.filter((order) => !isLookup(order)).map(({ index }) => index)
  expect(new Set(orders).size).toBe(orders.length)
  // What wishes ask for comes first: while there is room nothing of it is left.
  const ofWishes = all.filter((order) => isLookup(order) || lasts.includes(order.index)).length
  if (ofWishes < room) expect(lookups.length).toBe(due.length)
  const fresh = orders.filter((block) => free.includes(block))
  // Somebody else's, but somebody waits for it, so that its turn comes before that of what nobody is asked for.
  const urgent = orders.filter((block) => !free.includes(block) && world.isUrgent(block))
  const left = room - lookups.length - Math.min(room, urgent.length)
  const demanded = [...new Set([...lasts, ...world.blocks])]
    .filter((block) => free.includes(block))
    .slice(0, left)
  expect(fresh.slice(0, demanded.length)).toEqual(demanded)
  // Nothing is left that could be asked for, unless there is no room.
  expect(fresh.length).toBe(Math.min(left, free.length))
  for (const [i, block] of orders.entries()) {
    if (free.includes(block)) continue
    // Somebody else's: who is slow, and else only as nothing else is left.
    if (!urgent.includes(block)) expect(i).toBeGreaterThanOrEqual(fresh.length)
    expect(peer.remote.has(block) && !world.held.has(block)).toBe(true)
    expect(before.has(block)).toBe(false)
    expect(late).toContain(block)
  }
}

type Step =
  | { readonly _tag: "Join"; readonly blocks: ReadonlyArray<number>; readonly most: number }
  | { readonly _tag: "Fill" | "Leave"; readonly peer: number }
  | { readonly _tag: "Answer" | "Tell" | "TellOf"; readonly peer: number; readonly block: number }
  | { readonly _tag: "Refuse"; readonly peer: number; readonly block: number; readonly length: number }
  | { readonly _tag: "Wait"; readonly time: number }
  | { readonly _tag: "Get"; readonly block: number }
  | { readonly _tag: "Select"; readonly start: number; readonly length: number; readonly linear: boolean }
  | { readonly _tag: "Deselect" | "Unwish"; readonly nth: number }
  | { readonly _tag: "Wish"; readonly wish: Wish }
  | { readonly _tag: "Clear"; readonly start: number; readonly length: number }

const { constant, nat, record } = fc
const wish: fc.Arbitrary<Wish> = fc.oneof(
  record({
    _tag: constant("Length" as const),
    length: fc.integer({ min: 1, max: BLOCKS }),
    block: fc.boolean()
  }),
  record({
    _tag: constant("Byte" as const),
    offset: nat(3),
    start: nat(BLOCKS),
    end: fc.oneof(nat(BLOCKS), constant(Infinity)),
    block: fc.boolean()
  })
)
const step: fc.Arbitrary<Step> = fc.oneof(
  record({
    _tag: constant("Join" as const),
    blocks: fc.uniqueArray(nat(BLOCKS - 1), { size: "max", maxLength: BLOCKS }),
    most: fc.integer({ min: 1, max: 40 })
  }),
  { weight: 5, arbitrary: record({ _tag: constant("Fill" as const), peer: nat(5) }) },
  {
    weight: 6,
    arbitrary: record({ _tag: constant("Answer" as const), peer: nat(5), block: nat(BLOCKS - 1) })
  },
  record({ _tag: constant("Tell" as const), peer: nat(5), block: nat(BLOCKS - 1) }),
  { weight: 2, arbitrary: record({ _tag: constant("Wish" as const), wish }) },
  record({ _tag: constant("TellOf" as const), peer: nat(5), block: nat(BLOCKS - 1) }),
  record({ _tag: constant("Unwish" as const), nth: nat(5) }),
  record({ _tag: constant("Refuse" as const), peer: nat(5), block: nat(BLOCKS - 1), length: nat(20) }),
  record({ _tag: constant("Leave" as const), peer: nat(5) }),
  { weight: 2, arbitrary: record({ _tag: constant("Wait" as const), time: nat(1500) }) },
  { weight: 2, arbitrary: record({ _tag: constant("Get" as const), block: nat(BLOCKS - 1) }) },
  {
    weight: 2,
    arbitrary: record({
      _tag: constant("Select" as const),
      start: nat(BLOCKS),
      length: fc.oneof(nat(BLOCKS), constant(Infinity)),
      linear: fc.boolean()
    })
  },
  record({ _tag: constant("Deselect" as const), nth: nat(5) }),
  record({ _tag: constant("Clear" as const), start: nat(BLOCKS), length: nat(10) })
)

const perform = (world: World, step: Step): void => {
  const peer = "peer" in step ? world.peers[step.peer % Math.max(1, world.peers.length)] : undefined
  switch (step._tag) {
    case "Join":
      world.join(step.blocks, step.most)
      break
    case "Wait":
      world.now += step.time
      break
    case "Get":
      if (!world.held.has(step.block)) world.blocks.add(step.block)
      break
    case "Select":
      world.ranges.add({ start: step.start, end: step.start + step.length, linear: step.linear })
      break
    case "Deselect": {
      const range = [...world.ranges][step.nth]
      if (range !== undefined) world.ranges.delete(range)
      break
    }
    case "Wish":
      if (step.wish._tag === "Byte" || step.wish.length > world.length) world.wishes.add(step.wish)
      break
    case "Unwish": {
      const wish = [...world.wishes][step.nth]
      if (wish !== undefined) world.wishes.delete(wish)
      break
    }
    case "TellOf":
      if (peer !== undefined) world.tellOf(peer, step.block)
      break
    case "Clear":
      // While it is wanted a range is not cleared: what was held once does not come again (`download`).
      if (world.ranges.size === 0) world.clear(step.start, step.start + step.length)
      break
    case "Fill":
      if (peer !== undefined) checkedFill(world, peer)
      break
    case "Answer": {
      const asked = [...(peer === undefined ? [] : world.asked.get(peer)!.keys())]
      if (asked.length > 0) world.answer(peer!, asked[step.block % asked.length]!)
      break
    }
    case "Tell":
      if (peer !== undefined) world.tell(peer, step.block)
      break
    case "Refuse":
      if (peer !== undefined) world.refuse(peer, step.block, step.length)
      break
    case "Leave":
      if (peer !== undefined) world.leave(peer)
      break
  }
}

describe("who is slow", () => {
  const world = () => {
    const one = new World(1)
    const all = Array.from({ length: BLOCKS }, (_, block) => block)
    return { one, slow: one.join(all, 10), busy: one.join(all, 2) }
  }

  it("keeps nobody from a block that is got, though others never run out of blocks to ask for", () => {
    const { busy, one, slow } = world()
    one.blocks.add(50)
    expect(one.fill(slow).map(({ index }) => index)).toEqual([50])
    one.ranges.add({ start: 0, end: Infinity, linear: false })
    expect(one.fill(busy).map(({ index }) => index)).not.toContain(50)
    for (const block of Array.from(one.asked.get(busy)!.keys())) one.answer(busy, block)
    one.now += SLOW
    expect(one.fill(busy)[0]).toMatchObject({ index: 50 })
  })

  it("keeps no stream from its next block", () => {
    const { busy, one, slow } = world()
    one.ranges.add({ start: 0, end: Infinity, linear: true })
    expect(one.fill(slow)).toHaveLength(10)
    expect(one.fill(busy).map(({ index }) => index)).toEqual([10, 11])
    one.answer(busy, 10)
    one.now += SLOW
    expect(one.fill(busy).map(({ index }) => index)).toEqual([0])
  })
})

describe("whatever peers do", () => {
  it("each is asked for all that is wanted and it has, first what is waited for, and nothing twice unless somebody is slow", () =>
    fc.assert(
      fc.property(nat(), fc.array(step, { size: "max", maxLength: 80 }), (seed, steps) => {
        const world = new World(seed)
        for (const one of steps) perform(world, one)
        for (const peer of world.peers.slice()) world.leave(peer)
        expect(world.downloads.reserved).toBe(0)
      }),
      { numRuns: 300 }
    ))
})

const all = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i)
const indexes = (orders: ReadonlyArray<Order>) => orders.map(({ index }) => index)

describe("a linear range", () => {
  it("is asked for in order, whatever came meanwhile, by all peers together", () => {
    const world = new World(1)
    world.ranges.add({ start: 10, end: 40, linear: true })
    const [a, b] = [world.join(all(0, 60), 5), world.join(all(0, 60), 5)]
    expect(indexes(world.fill(a))).toEqual(all(10, 15))
    expect(indexes(world.fill(b))).toEqual(all(15, 20))
    world.answer(b, 17)
    world.answer(a, 10)
    expect(indexes(world.fill(a))).toEqual([20])
    expect(indexes(world.fill(b))).toEqual([21])
    // What a peer gave up comes first again.
    world.leave(a)
    expect(indexes(world.fill(world.join(all(0, 60), 7)))).toEqual([11, 12, 13, 14, 20, 22, 23])
  })

  it("comes before others, and after what is waited for", () => {
    const world = new World(1)
    world.ranges.add({ start: 0, end: 60, linear: false })
    world.ranges.add({ start: 30, end: 33, linear: true })
    world.blocks.add(50)
    const orders = indexes(world.fill(world.join(all(0, 60), 20)))
    expect(orders.slice(0, 4)).toEqual([50, 30, 31, 32])
    expect(orders).toHaveLength(20)
  })
})

describe("a slow peer", () => {
  it("keeps its requests for a second; then those who have nothing else to do take them over", () => {
    const world = new World(1)
    world.ranges.add({ start: 0, end: 10, linear: true })
    const slow = world.join(all(0, 10))
    expect(world.fill(slow)).toHaveLength(10)
    const quick = world.join(all(0, 8))
    world.now = 999
    expect(world.fill(quick)).toEqual([])
    world.now = 1000
    expect(indexes(world.fill(quick))).toEqual(all(0, 8))
    // Not back again while the second has its time.
    expect(world.fill(slow)).toEqual([])
    expect(world.downloads.reserved).toBe(10)
    // What comes late from the slow one is welcome; the other's requests stand.
    world.answer(slow, 3)
    world.refuse(slow, 4, 1)
    expect(world.fill(world.join(all(0, 8)))).toEqual([])
  })

  it("is not asked a second time for what it has not answered", () => {
    const world = new World(1)
    world.ranges.add({ start: 0, end: 4, linear: true })
    const [a, b] = [world.join(all(0, 4)), world.join(all(0, 4))]
    world.fill(a)
    world.now = 2000
    expect(indexes(world.fill(b))).toEqual(all(0, 4))
    world.now = 4000
    expect(world.fill(a)).toEqual([])
    expect(indexes(world.fill(world.join(all(0, 4))))).toEqual(all(0, 4))
  })
})

it("what came from a peer that has left and was not stored is asked of others", () => {
  const world = new World(1)
  world.ranges.add({ start: 0, end: 5, linear: true })
  const first = world.join(all(0, 5))
  world.fill(first)
  first.receive(
    { _tag: "Data", index: 2, value: new Uint8Array(1), nodes: [], signature: undefined },
    world.now
  )
  world.leave(first)
  expect(indexes(world.fill(world.join(all(0, 5))))).toEqual(all(0, 5))
})

it("of groups from random places, the one that fewest have is asked for first, mostly", () => {
  let rare = 0
  for (let seed = 0; seed < 200; seed++) {
    const world = new World(seed)
    world.ranges.add({ start: 0, end: Infinity, linear: false })
    const peer = world.join([], 16)
    const others = [world.join([]), world.join([])]
    for (const one of [peer, ...others]) {
      one.receive({ _tag: "Have", start: 0, length: 256, bitfield: undefined, ack: false }, 0)
    }
    peer.receive({ _tag: "Have", start: 256, length: 256, bitfield: undefined, ack: false }, 0)
    const orders = indexes(world.fill(peer))
    expect(orders).toEqual(all(orders[0]!, orders[0]! + 16))
    if (orders[0] === 256) rare++
  }
  // Three places, each in the rare half with a chance of a half.
  expect(rare).toBeGreaterThan(150)
  expect(rare).toBeLessThan(200)
})
