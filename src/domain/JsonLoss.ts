/**
 * What `JSON.stringify` loses without a word. It is asked of every value that is encoded, so it only walks and compares; a
 * replacer would cost more than the text.
 */

/** Where `value` (free of circles) has something that JSON would store as something else: ".a[2]: NaN". */
export const find = (value: unknown): string | undefined => look(value, false)

/** The same, and objects of a class too, with `toJSON` or without: they would read back as something else. */
export const findInPlain = (value: unknown): string | undefined => look(value, true)

const look = (value: unknown, plain: boolean): string | undefined => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined
    case "number":
      return Number.isFinite(value) ? undefined : `: ${value}`
    case "object":
      if (value === null) return undefined
      return Array.isArray(value) ? lookInArray(value, plain) : lookInObject(value, plain)
    default:
      return `: ${typeof value}`
  }
}

const lookInArray = (values: ReadonlyArray<unknown>, plain: boolean): string | undefined => {
  for (let i = 0; i < values.length; i++) {
    const found = look(values[i], plain)
    if (found !== undefined) return `[${i}]${found}`
  }
  return undefined
}

const lookInObject = (object: object, plain: boolean): string | undefined => {
  if (!isPlain(object)) {
    const name = nameOf(object)
    if (plain) return `: ${name === "Object" ? "an object of a class" : name}`
    if (hasOwnJson(object)) return undefined
    if (name !== "Object") return `: ${name}`
  } else if (!plain && hasOwnJson(object)) {
    return undefined
  }
  for (const key of Object.keys(object)) {
    const value = (object as Record<string, unknown>)[key]
    // A property that is undefined is one that is not there, in JSON as in most of JavaScript.
    const found = value === undefined ? undefined : look(value, plain)
    if (found !== undefined) return `.${key}${found}`
  }
  return undefined
}

/** Of no class; an object of another realm is plain too. */
const isPlain = (object: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(object)
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}

const hasOwnJson = (object: object): boolean => "toJSON" in object && typeof object.toJSON === "function"

/** "Map", "Uint8Array", "Error": of a class of the language that JSON does not know; "Object" for all others. */
const nameOf = (object: object): string => Object.prototype.toString.call(object).slice("[object ".length, -1)
