import { type HostMap, type HostState, mapOf } from "@intremap/core";
import { keptHost } from "../kept-host.ts";

const maps = new WeakMap<HostState, HostMap>();

/** The map of the host that is open, made once. */
export function keptMap(): HostMap {
  const host = keptHost();
  let map = maps.get(host);
  if (map === undefined) maps.set(host, (map = mapOf(host)));
  return map;
}
