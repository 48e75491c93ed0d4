/** The results as a table for people. */
import { fixtures } from "./fixtures.mjs"
import { format } from "./units.mjs"

const formatRatio = (ratio) => (ratio === undefined ? "-" : `${ratio.toFixed(ratio < 10 ? 2 : 1)}x`)
const formatShare = (share) => (share === undefined ? "-" : `${(100 * share).toFixed(0)}%`)

const cell = ({ errors, figures, unit }, name) => {
  if (name in errors) return "failed"
  return name in figures ? format(unit, figures[name].rate) : "-"
}

/** A table's lines, the first column to the left, the others to the right. */
const lines = ([head, ...body]) => {
  const rows = [head, ...body]
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const line = (row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column])))
      .join("  ")
  return [line(head), widths.map((width) => "-".repeat(width)).join("  "), ...body.map(line)]
}

export const printTable = ({ buildings, results }, contenders) => {
  const names = contenders.map(({ contender }) => contender)
  const compared = [
    ["ours / better peer", ({ ratio }) => formatRatio(ratio)],
    ["aim", ({ aim }) => (aim === undefined ? "-" : `${aim}x`)],
    ["ours / limit", ({ ofLimit }) => formatShare(ofLimit)],
    ["portable / portable", ({ portable }) => formatRatio(portable)],
    ["compat / hypercore-7", ({ compat }) => formatRatio(compat)]
  ]
  const head = ["workload", ...names, ...compared.map(([title]) => title)]
  const rows = results.map((result) => [
    result.title,
    ...names.map((name) => cell(result, name)),
    ...compared.map(([, text]) => text(result))
  ])
  console.log(lines([head, ...rows]).join("\n"))
  const long = buildings.filter(({ fixture }) => fixtures[fixture].shared)
  if (long.length > 0) console.log()
  for (const { blocks, owner, seconds } of long) {
    const rate = format("ops", blocks / seconds)
    console.log(
      `${blocks.toLocaleString("en-US")} blocks built by ${owner} in ${seconds.toFixed(0)} s, ${rate}`
    )
  }
}
