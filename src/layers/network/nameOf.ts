/** An address for people, and for a URL: `127.0.0.1:80`, `[::1]:80`. */
export const nameOf = (host: string | undefined, port: number | undefined): string =>
  `${host?.includes(":") === true ? `[${host}]` : (host ?? "localhost")}:${port ?? 0}`
