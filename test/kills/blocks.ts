/** Blocks known by their names, so that whoever was told a name knows every byte. */

/** A large block now and then, which takes several writes and frames. */
const LARGE = 70_000

/** `round.fiber.count`: no two blocks of a log have one name. */
export const blockNamed = (name: string): Uint8Array => {
  const count = Number(name.split(".").at(-1))
  const size = count % 50 === 49 ? LARGE : 1 + ((count * 37) % 600)
  return new TextEncoder().encode(`${name} `.repeat(Math.ceil(size / (name.length + 1))))
}
