import type { Stop } from "@intremap/core";

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A way between two stops: what an interrupt takes, or what software reaches for. */
export interface Way {
  readonly from: Stop;
  readonly to: Stop;
  readonly d: string;
}

export interface Geometry {
  readonly height: number;
  readonly boxes: Readonly<Record<Stop, Box>>;
  readonly ways: readonly Way[];
}

const gap = 26;
const rowGap = 24;

/** Where everything stands on so many pixels. Two rows: the way itself; software and the descriptor under it. */
export function geometryOf(width: number, boxHeight: number): Geometry {
  // A pixel at each side is the frames'.
  const column = (width - 2 - 5 * gap) / 6;
  const left = (at: number): number => 1 + at * (column + gap);
  const lower = boxHeight + rowGap;
  const top = (at: number): Box => ({ x: left(at), y: 1, width: column, height: boxHeight });
  const boxes: Record<Stop, Box> = {
    device: top(0),
    bus: top(1),
    unit: top(2),
    entry: top(3),
    apic: top(4),
    descriptor: { x: left(4), y: lower + 1, width: column, height: boxHeight },
    vcpu: { x: left(5), y: 1, width: column, height: lower + boxHeight },
    software: { x: 1, y: lower + 1, width: left(3) + column - 1, height: boxHeight },
  };
  const middle = boxHeight / 2;
  const across = (from: Stop, to: Stop, y: number): Way => ({
    from,
    to,
    d: `M${boxes[from].x + boxes[from].width} ${y}H${boxes[to].x - 2}`,
  });
  const down = boxes.descriptor.x;
  const ways: Way[] = [
    across("device", "bus", middle),
    across("bus", "unit", middle),
    across("unit", "entry", middle),
    across("entry", "apic", middle),
    across("apic", "vcpu", middle),
    across("descriptor", "vcpu", lower + middle),
    {
      from: "entry",
      to: "descriptor",
      d: `M${boxes.entry.x + column} ${boxHeight - 14}H${down - gap / 2}V${lower + 18}H${down - 2}`,
    },
    {
      from: "descriptor",
      to: "apic",
      d: `M${down + column / 2} ${lower}V${boxHeight + 4}`,
    },
    ...(["device", "bus", "unit", "entry"] as const).map((to) => ({
      from: "software" as const,
      to,
      d: `M${boxes[to].x + column / 2} ${lower}V${boxHeight + 4}`,
    })),
    {
      from: "software",
      to: "descriptor",
      d: `M${boxes.software.x + boxes.software.width} ${lower + boxHeight - 16}H${down - 2}`,
    },
  ];
  return { height: lower + boxHeight + 2, boxes, ways };
}

/** Pixels of one character of the diagram's fixed-width letters. */
export const letter = 7;

/** As much of a text as fits into so many pixels. */
export function cut(text: string, pixels: number): string {
  const most = Math.max(1, Math.floor(pixels / letter));
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** A text in lines that fit, at most so many; the last one says that there is more. */
export function wrapped(text: string, pixels: number, most: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (longer.length * letter <= pixels || line === "") line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  if (line !== "") lines.push(line);
  if (lines.length > most) {
    lines.length = most;
    lines[most - 1] = `${lines[most - 1]} …`;
  }
  return lines.map((one) => cut(one, pixels));
}
