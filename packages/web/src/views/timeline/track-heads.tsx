import type { Layout } from "./layout.ts";
import { countText } from "./time-text.ts";

interface TrackHeadsProps {
  readonly layout: Layout;
  readonly width: number;
  readonly onFold: (track: number) => void;
}

/** The tracks' names, which fold and unfold them. */
export function TrackHeads({ layout, width, onFold }: TrackHeadsProps) {
  return (
    <ul class="track-heads" style={{ width: `${width}px` }}>
      {layout.tracks.map(({ track, name, level, top, height, closed, lanes, count }) => (
        <li
          key={track}
          class={level === 0 ? "group" : "track"}
          style={{ top: `${top}px`, height: `${height}px`, paddingLeft: `${6 + 12 * level}px` }}
        >
          {level > 0 && lanes.length <= 1 && !closed ? (
            <span title={name}>{name}</span>
          ) : (
            <button
              type="button"
              title={`${name}: ${countText(count)} events`}
              aria-expanded={!closed}
              onClick={() => onFold(track)}
            >
              <span aria-hidden="true">{closed ? "▸" : "▾"}</span> {name}
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}
