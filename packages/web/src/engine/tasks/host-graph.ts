import { nameStyleOf } from "@intremap/core";
import { hostGraph as graphOf } from "../graph/host-graph.ts";
import { type PlacedGraph, layOut } from "../graph/lay-out.ts";
import { keptMap } from "../map/kept-map.ts";

/**
 * Draws the host that is open: devices, units, entries and processors.
 * @param opened ids of nodes whose content is drawn instead of them.
 */
export function hostGraph(opened: readonly string[]): PlacedGraph {
  const { interrupts } = keptMap();
  return layOut(graphOf(interrupts, nameStyleOf(interrupts), opened));
}
