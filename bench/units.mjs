/** What a workload's figure is, by its `unit`. Each is made of what a measurement gives: `ops` and `bytes` in `seconds`. */
const UNITS = {
  ops: { of: ({ ops, seconds }) => ops / seconds, text: "/s" },
  MB: { of: ({ bytes, seconds }) => bytes / 1e6 / seconds, text: "MB/s" },
  /** Of memory, for one feed: less is better. */
  KB: { of: ({ bytes, ops }) => bytes / 1024 / ops, text: "KB", less: true }
}

export const rateOf = (unit, measurement) => UNITS[unit].of(measurement)

export const isBetter = (unit, one, other) => (UNITS[unit].less ? one < other : one > other)

/** How many times as good `one` is. */
export const ratioOf = (unit, one, other) => (UNITS[unit].less ? other / one : one / other)

const formatNumber = (number) =>
  number.toLocaleString("en-US", { maximumFractionDigits: number < 100 ? 1 : 0 })

export const format = (unit, rate) => `${formatNumber(rate)} ${UNITS[unit].text}`
