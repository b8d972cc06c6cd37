import type { Arrow, Beat, Sequence } from "@intremap/core";

/** Sizes in SVG units, which are pixels. */
export const sizes = { head: 30, gutter: 44, line: 18, box: 22, gap: 8, foot: 30 } as const;

export interface PlacedArrow extends Arrow {
  readonly fromX: number;
  readonly toX: number;
  readonly y: number;
}

export interface PlacedBeat {
  readonly beat: Beat;
  /** From 1. */
  readonly number: number;
  readonly x: number;
  readonly top: number;
  readonly height: number;
  /** The top of the box. */
  readonly boxY: number;
  readonly text: string;
  readonly arrows: readonly PlacedArrow[];
}

export interface PlacedSequence {
  readonly width: number;
  readonly height: number;
  readonly lanes: readonly { readonly name: string; readonly x: number }[];
  readonly beats: readonly PlacedBeat[];
  /** Where a round begins; null if nothing goes round. */
  readonly roundY: number | null;
}

/** Boxes are wider: each has its row. */
const leastSpacing = 76;

/** @param room how wide the diagram may be without being scrolled. */
export function placeSequence({ lanes, beats, roundFrom }: Sequence, room: number): PlacedSequence {
  const spacing = Math.max(leastSpacing, (room - 2 * sizes.gutter) / Math.max(lanes.length, 1));
  const xOf = (lane: string): number => sizes.gutter + spacing * (lanes.indexOf(lane) + 0.5);
  let y: number = sizes.gap;
  const placed = beats.map((beat, i): PlacedBeat => {
    const top = y;
    const at = (arrow: Arrow): PlacedArrow => {
      y += sizes.line;
      return { ...arrow, fromX: xOf(arrow.from), toX: xOf(arrow.to), y: y - 4 };
    };
    const coming = beat.arrows.filter(({ to }) => to === beat.lane).map(at);
    const boxY = y + 3;
    y = boxY + sizes.box;
    const going = beat.arrows.filter(({ to }) => to !== beat.lane).map(at);
    y += sizes.gap;
    const { step, rest = [] } = beat.move;
    const text = rest.length === 0 ? step : `${step} +${rest.length}`;
    return {
      beat,
      number: i + 1,
      x: xOf(beat.lane),
      top,
      height: y - top,
      boxY,
      text,
      arrows: [...coming, ...going],
    };
  });
  return {
    width: 2 * sizes.gutter + spacing * lanes.length,
    height: y + sizes.foot,
    lanes: lanes.map((name) => ({ name, x: xOf(name) })),
    beats: placed,
    roundY: roundFrom === null ? null : placed[roundFrom]!.top,
  };
}
