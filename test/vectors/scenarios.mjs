// Every scenario that is captured from the real peer, as plain data (see dsl.d.mts for the shapes).
// The functions here only save typing: what they return is what ends up in the vector files.

import { pseudoRandomBytes } from "./dsl.mjs"

const append = (blocks, batch) => ({ op: "append", blocks, ...(batch && { batch }) })
const sourceAppend = (blocks, batch) => ({ op: "source-append", blocks, ...(batch && { batch }) })
const clear = (start, end) => ({ op: "clear", start, end })
const download = (...indices) => ({ op: "download", indices })
const downloadHash = (...indices) => ({ op: "download-hash", indices })
const reopen = { op: "reopen" }

const text = (value) => ({ text: value })
const empty = { hex: "" }
const fill = (size, seed) => ({ fill: { size, seed } })
const repeat = (count, block, from) => ({ repeat: { count, ...(from && { from }), block } })

// Blocks whose lengths differ (one to five digits), so that a wrong offset shows.
const numbers = (count, from) => [repeat(count, text("block {i}"), from)]
const singles = (count, from) => append(numbers(count, from), 1)
const batch = (count, from) => append(numbers(count, from))

const range = (start, end) => Array.from({ length: end - start }, (_, i) => start + i)

/** The numbers below `count` in a fixed pseudo-random order. */
const shuffled = (count, seed) => {
  const list = range(0, count)
  const random = pseudoRandomBytes(2 * count, seed)
  for (let i = count - 1; i > 0; i--) {
    const j = ((random[2 * i] << 8) | random[2 * i + 1]) % (i + 1)
    const swap = list[i]
    list[i] = list[j]
    list[j] = swap
  }
  return list
}

const author = (name, about, operations, options) => ({
  name,
  about,
  kind: "author",
  seed: "01".repeat(32),
  ...options,
  operations
})

const reader = (name, about, operations, options) => ({
  name,
  about,
  kind: "reader",
  seed: "02".repeat(32),
  ...options,
  operations
})

// The page size of feeds made before hypercore 6.22.1: half as many index bytes a page, too few
// for the page's own blocks.
const oldPages = { bitfieldPageSize: 3328 }

const creation = [
  author("created-empty", "Created and closed, nothing appended.", []),
  author("created-empty-reopened", "An empty feed, reopened, then one block.", [
    reopen,
    append([text("hello world")])
  ]),
  author(
    "no-secret-key-file",
    "storeSecretKey: false; the secret key is given again on the reopen.",
    [singles(3), reopen, singles(2, 3)],
    { storeSecretKey: false }
  ),
  author(
    "other-seed",
    "Another key pair, blocks that are not text.",
    [append([{ hex: "00" }, { hex: "ff00ff00" }, fill(300, 7)])],
    { seed: "a5".repeat(32) }
  )
]

const appends = [
  ...[1, 2, 3, 5, 8, 17].map((count) =>
    author(`singles-${count}`, `${count} appends of one block.`, [singles(count)])
  ),
  author("batch-3-empty-hello", "The batch a, b, c, then an empty block, then hello.", [
    append([text("a"), text("b"), text("c")]),
    append([empty]),
    append([text("hello")])
  ]),
  author("batches-and-singles", "Batches of several sizes with singles between them.", [
    batch(3),
    singles(1, 3),
    batch(5, 4),
    singles(2, 9),
    batch(8, 11),
    batch(2, 19),
    batch(16, 21),
    singles(1, 37)
  ]),
  author("batch-first-two", "A batch of two, then a batch of seven, from an odd length on.", [
    batch(1),
    batch(2, 1),
    batch(7, 3),
    batch(3, 10)
  ]),
  author("batch-64", "A batch whose only root is one full tree.", [batch(64)]),
  author("batch-empty", "An append of no blocks at all, between two others.", [
    singles(1),
    append([]),
    singles(1, 1)
  ]),
  author("empty-single", "One empty block: the data file is created but stays empty.", [append([empty])]),
  author("empty-blocks-only", "Nothing but empty blocks, as a batch and as singles.", [
    append([repeat(3, empty)]),
    append([repeat(2, empty)], 1)
  ]),
  author("empty-blocks-in-batch", "A batch with empty blocks at its start, middle and end.", [
    append([empty, text("one"), empty, empty, text("two"), empty]),
    append([text("three")])
  ]),
  author("blocks-100kb", "Blocks of 100 KB, a batch and singles, with a small one between.", [
    append([repeat(3, fill(102400, 1))]),
    append([text("small")]),
    append([repeat(2, fill(102400, 100))], 1)
  ])
]

const large = [
  author("batch-20000", "20,000 blocks in one batch: three bitfield pages.", [batch(20000)]),
  author("batches-20000", "20,000 blocks in batches of 1,000.", [append(numbers(20000), 1000)]),
  author("singles-9000", "9,000 appends of one block: two bitfield pages.", [singles(9000)]),
  author("page-exactly", "Exactly the 8,192 blocks of one page.", [batch(8192)]),
  author("page-boundary", "Singles over the boundary of the first page.", [batch(8190), singles(5, 8190)])
]

const clears = [
  author("clear-one", "One block in the middle.", [singles(8), clear(3, 4)]),
  author("clear-middle", "A range in the middle: the peer leaves its bytes in place.", [
    singles(17),
    clear(5, 9)
  ]),
  author("clear-start", "A range from block 0.", [singles(17), clear(0, 8)]),
  author("clear-end", "A range up to the end: the peer truncates the data file.", [
    singles(17),
    clear(12, 17)
  ]),
  author("clear-all", "Everything.", [singles(17), clear(0, 17)]),
  author("clear-twice", "The same range twice, then an overlapping one up to the end.", [
    singles(17),
    clear(4, 8),
    clear(4, 8),
    clear(6, 17)
  ]),
  author("clear-backwards", "The end first, then ranges before it: every one truncates.", [
    batch(17),
    clear(14, 17),
    clear(10, 14),
    clear(9, 10)
  ]),
  author("clear-empty-blocks", "Empty blocks among the cleared.", [
    append([text("a"), empty, empty, text("b"), empty]),
    clear(1, 2),
    clear(2, 4)
  ]),
  author("clear-then-append", "A cleared middle, then appends.", [
    singles(10),
    clear(2, 5),
    singles(3, 10),
    batch(4, 13)
  ]),
  author("clear-end-then-append", "A truncated data file, then appends behind the hole.", [
    singles(10),
    clear(7, 10),
    singles(3, 10)
  ]),
  author("clear-all-then-append", "Everything cleared, then appends.", [batch(9), clear(0, 9), batch(4, 9)]),
  author("clear-reopen-append", "A clear, a reopen, an append, another clear.", [
    batch(20),
    clear(8, 16),
    reopen,
    batch(5, 20),
    clear(18, 22)
  ]),
  author("clear-1000-of-20000", "1,000 blocks over the boundary of the first page.", [
    append(numbers(20000), 1000),
    clear(7700, 8700)
  ]),
  author("clear-many-of-20000", "Many ranges over all pages, then everything past a point.", [
    batch(20000),
    ...range(0, 20).map((i) => clear(i * 997, i * 997 + 8 * i + 1)),
    clear(19100, 20000)
  ]),
  author("clear-all-of-20000", "All three pages.", [batch(20000), clear(0, 20000)]),
  author("clear-20000-reopen-append", "A whole page cleared, a reopen, appends, a clear.", [
    batch(20000),
    clear(8192, 16384),
    reopen,
    singles(3, 20000),
    clear(16000, 17000),
    batch(100, 20003)
  ])
]

const reopens = [
  author("reopen-append", "A reopen between singles.", [singles(5), reopen, singles(4, 5)]),
  author("reopen-append-batch", "Reopens between batches and singles.", [
    batch(6),
    reopen,
    batch(7, 6),
    reopen,
    singles(1, 13),
    reopen
  ]),
  author("reopen-page-boundary", "Reopens around the boundary of the first page.", [
    batch(8190),
    reopen,
    singles(2, 8190),
    reopen,
    singles(2, 8192),
    reopen,
    batch(40, 8194)
  ]),
  author("reopen-20000", "A reopen on every page.", [
    append(numbers(5000), 1000),
    reopen,
    append(numbers(10000, 5000), 1000),
    reopen,
    append(numbers(5000, 15000), 1000)
  ])
]

const oldPageSizes = [
  author("old-pages-17", "The old page size, few blocks.", [singles(17)], oldPages),
  author(
    "old-pages-5000",
    "Past block 4,096, where the old page's own index ends.",
    [batch(4000), singles(200, 4000), batch(800, 4200)],
    oldPages
  ),
  author(
    "old-pages-9000",
    "The old page size over the first page, with singles at its end.",
    [append(numbers(8000), 1000), singles(400, 8000), batch(600, 8400)],
    oldPages
  ),
  author("old-pages-20000", "The old page size, 20,000 blocks in one batch.", [batch(20000)], oldPages),
  author(
    "old-pages-clear-reopen",
    "The old page size with clears, reopens and appends.",
    [
      append(numbers(12000), 1000),
      clear(3000, 5000),
      reopen,
      batch(3000, 12000),
      clear(8000, 8300),
      reopen,
      singles(5, 15000),
      clear(14000, 15005)
    ],
    oldPages
  )
]

const scattered20000 = [
  12345, 0, 19999, 8191, 8192, 16383, 16384, 4096, 4095, 10000, 1, 3, 2, 19998, 19967, 19968, 255, 256, 511,
  7, 6, 5, 4, 12288, 12287, 15000, 15001, 15002, 15003, 17777, 18888, 13, 1000, 2000, 3000, 5000, 6000, 7000,
  8000, 9000, 11000, 13000, 14000, 16000, 17000, 18000, 19000, 8190, 8193, 16382, 16385, 9999, 10001, 12344,
  12346, 19456, 19455, 64, 63, 20
]

const readers = [
  reader("reader-empty", "A reader that downloads nothing.", [sourceAppend(numbers(3))]),
  reader("reader-1-of-1", "The only block.", [sourceAppend(numbers(1)), download(0)]),
  reader("reader-in-order", "All of eight blocks, in order.", [
    sourceAppend(numbers(8), 1),
    download(...range(0, 8))
  ]),
  reader("reader-backwards", "All of 13 blocks, from the last to the first.", [
    sourceAppend(numbers(13)),
    download(...range(0, 13).reverse())
  ]),
  reader("reader-holes-17", "Some of 17 blocks; one of them twice.", [
    sourceAppend(numbers(17), 1),
    download(6, 16, 3, 6, 11, 12)
  ]),
  reader("reader-one-of-100", "One block in the middle of 100.", [sourceAppend(numbers(100)), download(42)]),
  reader("reader-shuffled-100", "Forty of 100 blocks in a mixed order.", [
    sourceAppend(numbers(100), 7),
    download(...shuffled(100, 3).slice(0, 40))
  ]),
  reader("reader-empty-blocks", "A source with empty blocks.", [
    sourceAppend([empty, text("one"), empty, empty, text("two"), empty, text("three")]),
    download(3, 4, 0, 5)
  ]),
  reader("reader-blocks-100kb", "The second and the last of five 100 KB blocks.", [
    sourceAppend([repeat(5, fill(102400, 11))]),
    download(4, 1)
  ]),
  reader("reader-hashes", "Hash-only downloads before, between and after the blocks.", [
    sourceAppend(numbers(21)),
    downloadHash(9),
    download(4, 9),
    downloadHash(5, 20, 4),
    download(5, 13),
    downloadHash(12, 0)
  ]),
  reader("reader-hashes-only", "Nothing but hashes: a length without a block.", [
    sourceAppend(numbers(11)),
    downloadHash(2, 10)
  ]),
  reader("reader-growing-source", "The source grows between the downloads.", [
    sourceAppend(numbers(5)),
    download(4, 1),
    sourceAppend(numbers(3, 5)),
    download(5, 2),
    sourceAppend(numbers(1, 8), 1),
    download(8),
    sourceAppend(numbers(20, 9), 4),
    download(0, 17, 28, 27, 9),
    downloadHash(20)
  ]),
  reader("reader-growing-old-block", "After growth, an old block first: the length stays.", [
    sourceAppend(numbers(6)),
    download(0),
    sourceAppend(numbers(6, 6)),
    download(1, 5, 11, 6)
  ]),
  reader("reader-reopen", "Reopens between the downloads, with holes.", [
    sourceAppend(numbers(37)),
    download(30),
    reopen,
    download(2, 36),
    reopen,
    sourceAppend(numbers(30, 37)),
    download(40, 31, 3),
    reopen
  ]),
  reader("reader-clear", "Downloads, clears, and a cleared block downloaded again.", [
    sourceAppend(numbers(16), 1),
    download(...range(0, 16)),
    clear(4, 9),
    download(6),
    clear(13, 16),
    download(15)
  ]),
  reader("reader-20000", "Sixty blocks of 20,000, scattered over all three pages.", [
    sourceAppend(numbers(20000), 1000),
    download(...scattered20000)
  ]),
  reader("reader-20000-last", "The last of 20,000 first, then a few, with a reopen.", [
    sourceAppend(numbers(20000)),
    download(19999, 19990),
    reopen,
    download(16384, 5, 8200)
  ]),
  reader("reader-20000-run", "A run of sixty blocks over the boundary of the second page.", [
    sourceAppend(numbers(20000)),
    download(...range(16354, 16414))
  ]),
  reader(
    "reader-old-pages",
    "A reader with the old page size.",
    [
      sourceAppend(numbers(20000)),
      download(0, 4095, 4096, 8191, 8192, 12500, 19999),
      ...range(0, 3).map((i) => download(...range(5000 + 8 * i, 5008 + 8 * i))),
      reopen,
      download(16384, 18000, 6)
    ],
    oldPages
  )
]

export const scenarios = [
  ...creation,
  ...appends,
  ...large,
  ...clears,
  ...reopens,
  ...oldPageSizes,
  ...readers
]
