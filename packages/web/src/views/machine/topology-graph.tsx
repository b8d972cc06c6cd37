import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { columnKinds } from "../../engine/graph/column-kinds.ts";
import type { PlacedGraph, PlacedNode } from "../../engine/graph/lay-out.ts";
import { change, route } from "../../state/route.ts";
import { many } from "../../parts/words.ts";

interface TopologyGraphProps {
  readonly graph: PlacedGraph;
  readonly zoom: number;
  readonly zoomBy: (by: 1 | -1) => void;
  readonly frame: { readonly current: HTMLDivElement | null };
  /** Whether the focus goes to the node that can have it, once that is drawn. */
  readonly focus: { current: boolean };
  /** The subject that is followed. */
  readonly selected: string | undefined;
  /** Draws what a node holds. */
  readonly open: (id: string) => void;
}

const headings = { device: "devices", unit: "IOMMUs", entry: "entries", target: "CPUs and vCPUs" } as const;
/** Above the nodes, in pixels of the picture. */
const headRoom = 26;

/** The picture: nodes that can be gone through with the arrow keys, and dragged along with the mouse. */
export function TopologyGraph({ graph, zoom, zoomBy, frame, focus, selected, open }: TopologyGraphProps) {
  const { nodes, edges, width, height } = graph;
  const root = useRef<SVGSVGElement>(null);
  const [over, setOver] = useState<string | null>(null);
  const asked = route.value.query["node"];
  const followed = nodes.find(({ subject }) => subject !== null && subject === selected);
  const current = nodes.find(({ id }) => id === asked) ?? followed ?? nodes[0]!;
  const lit = over ?? (asked === undefined && followed === undefined ? null : current.id);
  const reach = useMemo(() => (lit === null ? null : reachOf(graph, lit)), [graph, lit]);
  const places = useMemo(() => new Map(nodes.map((node) => [node.id, node])), [nodes]);
  useLayoutEffect(() => {
    const start = asked === undefined ? (followed ?? nodes.find(({ kind }) => kind === "unit")) : current;
    if (frame.current === null || start === undefined) return;
    frame.current.scrollTop = (start.y + start.height / 2 + headRoom) * zoom - frame.current.clientHeight / 2;
  }, []);
  useLayoutEffect(() => {
    if (!focus.current) return;
    focus.current = false;
    root.current?.querySelector<SVGGElement>('g[tabindex="0"]')?.focus();
  });
  const act = (node: PlacedNode): void => {
    if (node.holds > 1) open(node.id);
    else if (node.subject !== null)
      change({ at: node.subject, which: undefined, step: undefined, node: node.id }, "push");
    else if (node.filter !== "") change({ show: undefined, filter: node.filter, all: undefined }, "push");
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    // A click gives the focus to any node.
    const { id } = (event.target as Element).closest<SVGGElement>(".node")?.dataset ?? {};
    const at = places.get(id ?? "") ?? current;
    if (event.key === "+" || event.key === "-") zoomBy(event.key === "+" ? 1 : -1);
    else if (event.key === "Enter" || event.key === " ") {
      focus.current = at.holds > 1;
      act(at);
    } else {
      const next = neighbour(graph, at, event.key);
      if (next === null) return;
      focus.current = true;
      change({ node: next.id }, "replace");
    }
    event.preventDefault();
  };
  return (
    <svg
      ref={root}
      role="group"
      aria-label="Topology; arrow keys go from node to node, Enter opens one"
      width={Math.ceil(width * zoom)}
      height={Math.ceil((height + headRoom) * zoom)}
      viewBox={`0 ${-headRoom} ${width} ${height + headRoom}`}
      onKeyDown={onKey}
      onPointerDown={(event) => dragFrame(event, frame.current)}
    >
      {headed(nodes).map(([kind, x]) => (
        <text key={kind} class="heading" x={x} y={-8}>
          {headings[kind]}
        </text>
      ))}
      <g class="edges" aria-hidden="true">
        {edges.map(({ from, to, count }) => {
          const [a, b] = [places.get(from)!, places.get(to)!];
          const [x1, y1, x2, y2] = [a.x + a.width, a.y + a.height / 2, b.x, b.y + b.height / 2];
          const bend = Math.max(24, (x2 - x1) / 2);
          const tone = reach === null ? "" : reach.has(pairOf(from, to)) ? " lit" : " dim";
          return (
            <path
              key={pairOf(from, to)}
              class={`${modeClass(a.mode === "mixed" ? b.mode : a.mode)}${tone}`}
              d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`}
              stroke-width={1 + Math.min(5, Math.log2(count))}
            />
          );
        })}
      </g>
      {nodes.map((node) => (
        <Node
          key={node.id}
          node={node}
          current={node.id === current.id}
          followed={node.id === followed?.id}
          dim={reach !== null && !reach.has(node.id)}
          act={() => act(node)}
          enter={setOver}
        />
      ))}
    </svg>
  );
}

interface NodeProps {
  readonly node: PlacedNode;
  readonly current: boolean;
  readonly followed: boolean;
  readonly dim: boolean;
  readonly act: () => void;
  readonly enter: (id: string | null) => void;
}

function Node({ node, current, followed, dim, act, enter }: NodeProps) {
  const { id, kind, title, detail, count, mode, holds, subject, filter, x, y, width, height } = node;
  const does =
    holds > 1
      ? "draw them singly"
      : subject !== null
        ? `follow ${subject}`
        : filter === ""
          ? ""
          : "show them in the table";
  const times = count > 1 ? `×${count.toLocaleString("en")}` : "";
  const seen = [shorten(title, 19), shorten(detail, count > 1 ? 14 : 20), times].filter((one) => one !== "");
  const whole = title.length > 19 || detail.length > 20 ? [` (${title} ${detail})`] : [];
  // What is seen stands in what is said: who speaks to the page says what they see.
  const said = `${seen.join(" ")}${whole.join("")}, ${many(count, "interrupt")}`;
  return (
    <g
      data-id={id}
      class={`node ${kind} ${modeClass(mode)}${dim ? " dim" : ""}${followed ? " followed" : ""}`}
      transform={`translate(${x} ${y})`}
      role={does === "" ? "img" : "button"}
      tabindex={current ? 0 : -1}
      aria-label={does === "" ? said : `${said}: ${does}`}
      onClick={act}
      onPointerEnter={() => enter(id)}
      onPointerLeave={() => enter(null)}
    >
      <title>{does === "" ? said : `${said}: ${does}`}</title>
      {holds > 1 ? <rect class="behind" x={4} y={-4} width={width} height={height} rx={4} /> : null}
      <rect width={width} height={height} rx={4} />
      <rect class="band" width={4} height={height} rx={2} />
      <text x={12} y={detail === "" && count === 1 ? height / 2 + 4 : 16}>
        {shorten(title, 19)}{" "}
      </text>
      {detail === "" ? null : (
        <text class="detail" x={12} y={30}>
          {shorten(detail, count > 1 ? 14 : 20)}{" "}
        </text>
      )}
      {count > 1 ? (
        <text class="count" x={width - 8} y={30} text-anchor="end">
          {times}
        </text>
      ) : null}
    </g>
  );
}

function modeClass(mode: PlacedNode["mode"]): string {
  return mode === "guest" ? "posted" : (mode ?? "unknown");
}

function shorten(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** Where the columns begin. */
function headed(nodes: readonly PlacedNode[]): [(typeof columnKinds)[number], number][] {
  return columnKinds.flatMap((kind) => {
    const own = nodes.filter((node) => node.kind === kind);
    return own.length === 0 ? [] : [[kind, Math.min(...own.map(({ x }) => x))] as [typeof kind, number]];
  });
}

/** What the interrupts through one node go through: nodes, and pairs of them. */
function reachOf({ nodes, ways }: PlacedGraph, id: string): ReadonlySet<string> {
  const at = nodes.findIndex((node) => node.id === id);
  const found = new Set<string>();
  for (const way of ways) {
    if (!way.includes(at)) continue;
    for (const [column, place] of way.entries()) {
      const node = nodes[place]!.id;
      found.add(node);
      if (column > 0) found.add(pairOf(nodes[way[column - 1]!]!.id, node));
    }
  }
  return found;
}

function pairOf(from: string, to: string): string {
  return `${from}\n${to}`;
}

/** The node that an arrow key leads to: in the column, or nearest of those that are joined to this one. */
function neighbour({ nodes, edges }: PlacedGraph, from: PlacedNode, key: string): PlacedNode | null {
  const nearest = (list: readonly PlacedNode[]): PlacedNode | null =>
    list.reduce<PlacedNode | null>(
      (best, one) => (best === null || Math.abs(one.y - from.y) < Math.abs(best.y - from.y) ? one : best),
      null,
    );
  const column = nodes.filter(({ kind }) => kind === from.kind);
  if (key === "ArrowDown") return nearest(column.filter(({ y }) => y > from.y));
  if (key === "ArrowUp") return nearest(column.filter(({ y }) => y < from.y));
  const way =
    key === "ArrowRight" ? (["from", "to"] as const) : key === "ArrowLeft" ? (["to", "from"] as const) : null;
  if (way === null) return null;
  const joined = new Set(edges.filter((edge) => edge[way[0]] === from.id).map((edge) => edge[way[1]]));
  return nearest(nodes.filter(({ id }) => joined.has(id)));
}

/** Moves what a frame shows while the pointer is held. */
function dragFrame(event: PointerEvent, frame: HTMLDivElement | null): void {
  if (frame === null || event.button !== 0 || (event.target as Element).closest(".node") !== null) return;
  const { clientX, clientY } = event;
  const { scrollLeft, scrollTop } = frame;
  const move = (to: PointerEvent): void => {
    frame.scrollLeft = scrollLeft - (to.clientX - clientX);
    frame.scrollTop = scrollTop - (to.clientY - clientY);
  };
  const end = (): void => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", end);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
}
