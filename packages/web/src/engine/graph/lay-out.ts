import { Graph, layout } from "@dagrejs/dagre";
import type { GraphEdge, GraphNode, HostGraph } from "./host-graph.ts";

/** A node with its place: the upper left corner, in pixels. */
export interface PlacedNode extends GraphNode {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedGraph {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly GraphEdge[];
  readonly ways: HostGraph["ways"];
}

const nodeSize = { width: 160, height: 38 } as const;
const margin = 12;

/** Gives every node its place: columns from left to right, with few crossings. */
export function layOut({ nodes, edges, ways }: HostGraph): PlacedGraph {
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 10, ranksep: 70, marginx: margin, marginy: margin });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id } of nodes) graph.setNode(id, { ...nodeSize });
  for (const { from, to, count } of edges) graph.setEdge(from, to, { weight: Math.min(8, count) });
  layout(graph);
  const placed = nodes.map((node) => {
    const { x, y } = graph.node(node.id) as { x: number; y: number };
    const { width, height } = nodeSize;
    return { ...node, x: x - width / 2, y: y - height / 2, width, height };
  });
  const extent = (of: (node: PlacedNode) => number): number =>
    placed.reduce((widest, node) => Math.max(widest, of(node)), 0) + margin;
  return {
    width: extent((node) => node.x + node.width),
    height: extent((node) => node.y + node.height),
    nodes: placed,
    edges,
    ways,
  };
}
