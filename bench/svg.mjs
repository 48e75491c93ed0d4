/** A plot as SVG: lines over two logarithmic axes, with a grid, a legend and nothing else. */

const WIDTH = 720
const HEIGHT = 440
const MARGIN = { left: 80, right: 170, top: 44, bottom: 56 }
const COLOURS = ["#0b6bcb", "#d9480f", "#2b8a3e", "#7048a8", "#555555"]

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const tag = (name, attributes, content = "") => {
  const given = Object.entries(attributes).map(([key, value]) => ` ${key}="${value}"`)
  return `<${name}${given.join("")}>${content}</${name}>`
}

const text = (x, y, content, more = {}) => tag("text", { x, y, ...more }, escape(content))

const line = (x1, y1, x2, y2, stroke) => tag("line", { x1, y1, x2, y2, stroke })

/** Every power of ten from below the least to above the most. */
const powers = (values) => {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9)
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9))
  return Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i))
}

/** From a value to a place, by its logarithm. */
const scale = (ticks, from, to) => {
  const [low, high] = [Math.log10(ticks[0]), Math.log10(ticks.at(-1))]
  return (value) => Math.round(10 * (from + ((Math.log10(value) - low) / (high - low)) * (to - from))) / 10
}

const short = (value) => {
  const [by, unit] = value >= 1e6 ? [1e6, " M"] : value >= 1e3 ? [1e3, " k"] : [1, ""]
  return `${Number((value / by).toPrecision(3))}${unit}`
}

const axes = ({ xLabel, yLabel, title }, xTicks, yTicks, x, y) => {
  const [left, right] = [MARGIN.left, WIDTH - MARGIN.right]
  const [top, bottom] = [MARGIN.top, HEIGHT - MARGIN.bottom]
  const middle = (top + bottom) / 2
  return [
    text(left, 24, title, { "font-size": 16, "font-weight": "bold" }),
    ...xTicks.flatMap((value) => [
      line(x(value), top, x(value), bottom, "#dddddd"),
      text(x(value), bottom + 18, short(value), { "text-anchor": "middle" })
    ]),
    ...yTicks.flatMap((value) => [
      line(left, y(value), right, y(value), "#dddddd"),
      text(left - 8, y(value) + 4, short(value), { "text-anchor": "end" })
    ]),
    text((left + right) / 2, HEIGHT - 14, xLabel, { "text-anchor": "middle" }),
    text(20, middle, yLabel, { "text-anchor": "middle", transform: `rotate(-90 20 ${middle})` })
  ]
}

const curve = ({ name, points }, index, x, y) => {
  const colour = COLOURS[index % COLOURS.length]
  const places = points.map(([at, value]) => [x(at), y(value)])
  const at = MARGIN.top + 12 + 20 * index
  const right = WIDTH - MARGIN.right + 12
  return [
    tag("polyline", { points: places.join(" "), fill: "none", stroke: colour, "stroke-width": 2 }),
    ...places.map(([cx, cy], i) =>
      tag("circle", { cx, cy, r: 3.5, fill: colour }, tag("title", {}, short(points[i][1])))
    ),
    tag("circle", { cx: right + 4, cy: at - 4, r: 4, fill: colour }),
    text(right + 14, at, name)
  ]
}

/** `series`: `[{ name, points: [[x, y], ...] }]`, all above zero. Gives the file's text. */
export const plot = ({ series, ...labels }) => {
  const points = series.flatMap((one) => one.points)
  const [xTicks, yTicks] = [0, 1].map((i) => powers(points.map((point) => point[i])))
  const x = scale(xTicks, MARGIN.left, WIDTH - MARGIN.right)
  const y = scale(yTicks, HEIGHT - MARGIN.bottom, MARGIN.top)
  const content = [
    tag("rect", { width: WIDTH, height: HEIGHT, fill: "white" }),
    ...axes(labels, xTicks, yTicks, x, y),
    ...series.flatMap((one, index) => curve(one, index, x, y))
  ]
  const attributes = {
    xmlns: "http://www.w3.org/2000/svg",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    width: WIDTH,
    height: HEIGHT,
    "font-family": "sans-serif",
    "font-size": 12
  }
  return `${tag("svg", attributes, `\n${content.join("\n")}\n`)}\n`
}
