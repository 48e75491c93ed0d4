/** The one rule for a feed's path inside a storage, so that none leads out of its root. */

const segment = /^(?!\.{1,2}$)[^/\\\0]+$/

export const FEED_PATH_RULE = "a feed's path is segments joined by '/', none of them empty, '.' or '..'"

export const isFeedPath = (path: string): boolean =>
  typeof path === "string" && (path === "" || path.split("/").every((name) => segment.test(name)))
