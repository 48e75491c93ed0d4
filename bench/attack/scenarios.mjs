/**
 * What an attacker does. `attack` plays on one connection, which has opened the feed; when it ends, the connection is cut and made anew.
 * `roles`: of which victims; both when left out. `connections`: how many play at a time, 1 when left out.
 */
import { randomBytes } from "node:crypto"
import { honestData, openAuthor } from "./authorFeed.mjs"
import {
  MB,
  bytes,
  cancel,
  data,
  extension,
  feed,
  frame,
  have,
  info,
  node,
  repeat,
  request,
  unhave,
  varint,
  want
} from "./bytes.mjs"

const TYPE = { Info: 2, Have: 3, Want: 5, Data: 9 }
const REGION = 1_048_576
const ALL = 2n ** 46n

// ---------------------------------------------------------------------------------------------
// Ways to attack

const nothing = (peer) => peer.until(() => false)

/** Waits until the victim wants to know what we have, where it wants that at all. */
const wanted = async (peer) => {
  if (peer.victim.role === "reader") await peer.until(() => peer.heard[TYPE.Want] > 0)
}

/** One message, then a moment for what it does. */
const one = (message) => async (peer) => {
  await wanted(peer)
  await peer.write(message)
  await Promise.race([nothing(peer), peer.sleep(100)])
}

/** As many as the connection takes. */
const flood = (make, before) => async (peer) => {
  await wanted(peer)
  for (const message of before?.(peer) ?? []) await peer.write(message)
  const part = repeat(MB, (i) => make(i, peer))
  while (!peer.isOver) await peer.write(part)
}

/** As many as are answered: `answers` counts those that came. */
const paced =
  (make, answers, atATime = 8000) =>
  async (peer) => {
    let sent = 0
    while (!peer.isOver) {
      const part = []
      while (part.length < atATime / 4) part.push(make(sent++, peer))
      await peer.write(Buffer.concat(part))
      await peer.until(() => sent - answers(peer) <= (3 * atATime) / 4)
    }
  }

const served = (peer) => peer.heard[TYPE.Data] + peer.heard[4]
const described = (peer) => peer.heard[TYPE.Have] / 2

/** Has all that there may be, and answers each request as `make` says. */
const answering = (make) => async (peer) => {
  await wanted(peer)
  await peer.write(have({ start: 0, length: ALL }))
  while (!peer.isOver) {
    await peer.until(() => peer.requests.length > 0)
    const asked = peer.requests
    peer.requests = []
    await peer.write(Buffer.concat(await Promise.all(asked.map((index, i) => make(index, i)))))
  }
}

const claimsAll = () => [have({ start: 0, length: ALL })]
const random = (i, blocks) => (i * 7919) % blocks
const hashRequest = (i, { victim }) => request({ index: random(i, victim.blocks), hash: true })
const seekRequest = (i, { victim }) =>
  request({ index: 0, bytes: 1 + random(i, 20 * victim.blocks), hash: true })
const blockRequest = (i, { victim }) => request({ index: random(i, victim.blocks) })

const describes = (bitfield) => have({ start: 0, length: REGION, bitfield })
const longRuns = Buffer.from([0x83, 0x80, 0x20])
/** Two bytes a byte of the bitfield, the longest that is valid. */
const literals = Buffer.alloc(2 * (REGION / 8)).map((_, i) => (i % 2 === 0 ? 2 : 0x55))

/** A Data of as many nodes as a message may have. */
const bigProof = (index) =>
  data({
    index,
    value: Buffer.from("a block"),
    nodes: Array.from({ length: 4096 }, (_, i) => node({ index: 2 * i + 1, hash: randomBytes(32), size: 5 })),
    signature: randomBytes(64)
  })

/** Opens every feed that the victim has, and asks for something of all of them. */
const ofAllFeeds = (make, answers) => async (peer) => {
  const keys = peer.victim.discoveryKeys
  for (const [i, discoveryKey] of keys.entries()) if (i > 0) await peer.write(feed({ discoveryKey }, i))
  await paced((i) => make(i, i % keys.length), answers, 16_000)(peer)
}

/** Answers each Want with nothing, and says anew that it has everything. */
const exhausting = async (peer) => {
  await wanted(peer)
  const part = repeat(MB, (i) =>
    i % 2 === 0
      ? have({ start: 0, length: ALL })
      : have({ start: (i % 128) * REGION, length: REGION, bitfield: [] })
  )
  while (!peer.isOver) await peer.write(part)
}

// ---------------------------------------------------------------------------------------------
// The scenarios

const authors = ["author"]
const readers = ["reader"]

/** The list at the end of FORMATS: what one message does to the real peer. */
const listed = [
  {
    name: "rle-bomb",
    about: "a run of 2^50 bytes",
    roles: readers,
    attack: one(describes(varint(2n ** 52n + 3n)))
  },
  { name: "rle-cut", about: "a run length that is cut off", roles: readers, attack: one(describes([0xff])) },
  {
    name: "huge-want",
    about: "Want of 2^53 blocks",
    attack: one(want({ start: 0, length: 2n ** 53n - 8192n }))
  },
  {
    name: "short-hash",
    about: "a node with a hash of 3 bytes",
    attack: one(data({ index: 0, nodes: [node({ index: 2, hash: [1, 2, 3], size: 1 })] }))
  },
  { name: "first-request", about: "a Request before any Have", attack: one(request({ index: 0 })) },
  { name: "have-4e9", about: "Have of 4e9 blocks", attack: one(have({ start: 0, length: 4e9 })) },
  { name: "have-2^50", about: "Have of block 2^50", attack: one(have({ start: 2n ** 50n })) }
]

const floods = [
  { name: "keep-alives", about: "frames of nothing", attack: flood(() => Buffer.alloc(1024)) },
  {
    name: "tiny",
    about: "frames of types that mean nothing",
    attack: flood(() => frame(12, Buffer.alloc(1)))
  },
  {
    name: "infos",
    about: "Info, on and off",
    attack: flood((i) => info({ uploading: true, downloading: i % 2 === 0 }))
  },
  {
    name: "haves",
    about: "Have of 2^46 blocks",
    attack: flood(() => have({ start: 0, length: ALL }), claimsAll)
  },
  {
    name: "have-unhave",
    about: "Have and Unhave of 2^45 blocks in turns",
    attack: flood((i) => (i % 2 === 0 ? have : unhave)({ start: 1, length: 2n ** 45n }), claimsAll)
  },
  {
    name: "unhaves",
    about: "Unhave of what the victim asked for and of more",
    roles: readers,
    attack: flood((i) => unhave({ start: 2 ** 40 + i }), claimsAll)
  },
  {
    name: "bitfields",
    about: "bitfields of one run, of 32 regions",
    roles: readers,
    attack: flood((i) => have({ start: (i % 32) * REGION, length: REGION, bitfield: longRuns }), claimsAll)
  },
  {
    name: "literals",
    about: "bitfields of 131,072 literals of a byte",
    roles: readers,
    attack: flood(() => describes(literals), claimsAll)
  },
  {
    name: "empty-runs",
    about: "bitfields of 8 million runs of nothing",
    roles: readers,
    attack: flood(() => describes(Buffer.alloc(8 * MB - 64, 1)))
  },
  {
    name: "empty-regions",
    about: "regions without anything, and Have of everything, in turns",
    roles: readers,
    attack: exhausting
  },
  {
    name: "requests",
    about: "requests of what there is not, as fast as they go",
    attack: flood((i) => request({ index: 1e12 + i }))
  },
  {
    name: "cancels",
    about: "50,000 requests taken back, and more that never were",
    attack: flood((i) => (i % 2 === 0 ? request({ index: i }) : cancel({ index: i - 1 })))
  },
  {
    name: "far-cancels",
    about: "Cancel of what was never asked for",
    attack: flood(
      (i) => cancel({ index: 1e12 + i }),
      () => [repeat(100_000, (i) => request({ index: i }))]
    )
  },
  {
    name: "unasked",
    about: "blocks that nobody asked for",
    attack: flood((i) => data({ index: 1e6 + i, value: [1] }))
  },
  {
    name: "extensions",
    about: "extension messages that are listened for",
    attack: flood(() => extension({ id: 0, payload: Buffer.alloc(1) }))
  },
  {
    name: "fields",
    about: "a message of 4 million unknown fields",
    attack: flood(() =>
      frame(
        TYPE.Info,
        Buffer.alloc(8 * MB - 64).map((_, i) => (i % 2 === 0 ? 0x78 : 0))
      )
    )
  },
  {
    name: "node-fields",
    about: "a proof of nodes of a million fields",
    attack: flood(() =>
      frame(
        TYPE.Data,
        Buffer.concat([
          Buffer.from([8, 0]),
          bytes(
            3,
            Buffer.alloc(8 * MB - 64).map((_, i) => (i % 2 === 0 ? 8 : 0))
          )
        ])
      )
    )
  },
  {
    name: "channels",
    about: "feeds opened that the victim has not, over each other",
    attack: flood((i) => feed({ discoveryKey: randomBytes(32) }, 1 + (i % 255)))
  },
  {
    name: "reopening",
    about: "the victim's feed opened on another channel, again and again",
    attack: flood((i, { victim }) => feed({ discoveryKey: victim.discoveryKeys[0] }, i % 256))
  },
  {
    name: "early",
    about: "messages for a feed that the victim has not",
    attack: flood(
      () => extension({ id: 0, payload: Buffer.alloc(60_000) }, 1),
      () => [feed({ discoveryKey: randomBytes(32) }, 1)]
    )
  },
  {
    name: "pieces",
    about: "a frame of 8 MB in pieces of 1 KB",
    attack: async (peer) => {
      const whole = frame(15, Buffer.alloc(8 * MB - 64))
      for (let at = 0; at < whole.length && !peer.isOver; at += 1024)
        await peer.write(whole.subarray(at, at + 1024))
    }
  },
  {
    name: "slow-loris",
    about: "a frame of 8 MB, a byte each 2 ms, 64 times",
    connections: 64,
    attack: async (peer) => {
      const whole = frame(15, Buffer.alloc(8 * MB - 64))
      for (let at = 0; at < whole.length && !peer.isOver; at++) {
        await peer.write(whole.subarray(at, at + 1))
        await peer.sleep(2)
      }
    }
  }
]

const costly = [
  {
    name: "unknown",
    about: "requests of what there is not, paced",
    attack: paced((i) => request({ index: 1e12 + i }), served)
  },
  { name: "blocks", about: "requests of blocks from all over", attack: paced(blockRequest, served) },
  { name: "hashes", about: "requests of leaves from all over", attack: paced(hashRequest, served) },
  { name: "seeks", about: "requests of bytes from all over", attack: paced(seekRequest, served) },
  {
    name: "far-seeks",
    about: "requests of bytes that there are not",
    attack: paced(() => request({ index: 1e12, bytes: 10n ** 14n, hash: true }), served)
  },
  {
    name: "wants",
    about: "Want of 1.1 million blocks",
    attack: paced((i) => want({ start: 8192 * (i % 16), length: REGION }), described)
  },
  {
    name: "hashes-all-feeds",
    about: "requests of leaves of 201 feeds",
    roles: authors,
    attack: ofAllFeeds((i, channel) => request({ index: i % 100, hash: true }, channel), served)
  },
  {
    name: "seeks-all-feeds",
    about: "requests of bytes of 201 feeds",
    roles: authors,
    attack: ofAllFeeds(
      (i, channel) => request({ index: 0, bytes: 1 + (i % 1000), hash: true }, channel),
      served
    )
  },
  {
    name: "unasked-paced",
    about: "blocks that nobody asked for, paced",
    attack: paced((i) => data({ index: 1e6 + i, value: [1] }), served)
  }
]

const lies = [
  {
    name: "bad-data",
    about: "answers whose blocks are others",
    roles: readers,
    attack: answering((index) => data({ index, value: randomBytes(20) }))
  },
  {
    name: "large-blocks",
    about: "answers of 8 MB, which are hashed before they are known to be false",
    roles: readers,
    attack: answering((index, i) =>
      i === 0 ? data({ index, value: Buffer.alloc(8 * MB - 64) }) : Buffer.alloc(0)
    )
  },
  {
    name: "bad-proofs",
    about: "answers with 4096 nodes that prove nothing",
    roles: readers,
    attack: answering(bigProof)
  },
  {
    name: "silence",
    about: "has everything, answers nothing",
    roles: readers,
    attack: async (peer) => {
      await wanted(peer)
      await peer.write(have({ start: 0, length: ALL }))
      await nothing(peer)
    }
  },
  {
    name: "full-proofs",
    about: "valid answers with all nodes and the signature each",
    roles: readers,
    attack: async (peer) => {
      const author = await openAuthor(peer.victim.author)
      await answering((index) => honestData(author, index))(peer)
    }
  }
]

const MANY = 16
const inMany = new Set(["keep-alives", "haves", "requests", "hashes", "seeks", "blocks"])
const many = [...floods, ...costly]
  .filter(({ name }) => inMany.has(name))
  .map(({ about, attack, name }) => ({
    name: `${name}-x${MANY}`,
    about: `${about}, ${MANY} connections`,
    attack,
    connections: MANY
  }))

const connections = [
  { name: "nothing", about: "no attack: an idle connection", attack: nothing },
  {
    name: "dialling",
    about: "connections that are cut at once, 64 at a time",
    connections: 64,
    attack: async () => undefined
  }
]

export const scenarios = [...connections, ...listed, ...floods, ...costly, ...lies, ...many]
