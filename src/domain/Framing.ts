/** Placeholder: frames on the wire (FORMATS, "Wire"). */

/** XORs the bytes it is given, in place, with the next bytes of a key stream. */
export type StreamCipher = (bytes: Uint8Array) => void
