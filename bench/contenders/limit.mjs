/** No feed: what crypto and files alone take. See ../limit.mjs. */
import { limitOf, limited } from "../limit.mjs"
import * as Ours from "./ours.mjs"

/** Feeds to read the files of are ours. */
export const load = async () => {
  const { crypto, open } = await Ours.load()
  const version = process.versions.node
  return { version, crypto, supports: ["sleep"], fixturesOf: "ours", open, limited, limitOf }
}
