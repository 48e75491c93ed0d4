/** A timeout as Node's timers take it: text is a number, and what is none, or below zero, ends at once. */
export const toMillis = (timeout: unknown): number => Math.max(0, Number(timeout) || 0)
