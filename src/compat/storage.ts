import type { CreateStorage } from "./feed/open.js"
export class LegacyStorage {
  data: unknown = null; tree: unknown = null; bitfield: unknown = null; signatures: unknown = null; key: unknown = null; secretKey: unknown = null
  over(storage: CreateStorage): CreateStorage {
    if (typeof storage === "string") return storage
    return (name) => { const it = storage(name); (this as Record<string, unknown>)[name === "secret_key" ? "secretKey" : name] = it; return it }
  }
  open(_: unknown, cb: (e: unknown, d?: unknown) => void) { const k = this.key as any, s = this.secretKey as any; k.read(0, 32, (e: unknown, key: unknown) => s.read(0, 64, (e2: unknown, secretKey: unknown) => cb(null, { key, secretKey }))) }
}
