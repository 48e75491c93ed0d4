// JSON that is small and still gives readable diffs: whatever fits on a line stays on it, long
// lists of numbers are wrapped, everything else has one entry a line.

const WIDTH = 100

const inline = (value) => {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value)
    if (entries.length === 0) return "{}"
    return `{ ${entries.map(([key, entry]) => `${JSON.stringify(key)}: ${inline(entry)}`).join(", ")} }`
  }
  return JSON.stringify(value)
}

const wrapped = (numbers, indent) => {
  const lines = [""]
  numbers.forEach((number, i) => {
    const item = `${number}${i < numbers.length - 1 ? "," : ""}`
    const line = lines.at(-1)
    if (line === "") lines[lines.length - 1] = indent + item
    else if (line.length + 1 + item.length <= WIDTH) lines[lines.length - 1] = `${line} ${item}`
    else lines.push(indent + item)
  })
  return lines.join("\n")
}

// `used` is what already stands on the line before and after the value: its key and its comma.
const format = (value, indent, used) => {
  const short = inline(value)
  if (value === null || typeof value !== "object") return short
  if (indent.length + used + short.length <= WIDTH) return short
  const deeper = `${indent}  `
  if (Array.isArray(value)) {
    const items = value.every((item) => typeof item === "number")
      ? wrapped(value, deeper)
      : value.map((item) => deeper + format(item, deeper, 1)).join(",\n")
    return `[\n${items}\n${indent}]`
  }
  const entries = Object.entries(value).map(([key, entry]) => {
    const name = `${JSON.stringify(key)}: `
    return deeper + name + format(entry, deeper, name.length + 1)
  })
  return `{\n${entries.join(",\n")}\n${indent}}`
}

export const stringify = (value) => format(value, "", 0)
