/** The bytes of a block by its name: `small-7`, `large-8`, the number being nobody else's. */
export const blockOf = (name: string): Uint8Array => {
  const size = name.startsWith("large") ? 100_000 : 100
  return new TextEncoder().encode(`${name} `.repeat(Math.ceil(size / (name.length + 1))))
}
