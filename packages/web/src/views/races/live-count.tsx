import type { RaceCount } from "../../engine/races/count.ts";

interface LiveCountProps {
  readonly count: RaceCount | null;
  readonly stop: () => void;
}

/** How far the search is. */
export function LiveCount({ count, stop }: LiveCountProps) {
  const figures: readonly (readonly [string, string])[] =
    count === null
      ? []
      : [
          ["states", count.states.toLocaleString("en")],
          ["moves deep", String(count.depth)],
          ["states/s", count.statesPerSecond.toLocaleString("en")],
          ["MiB", Math.round(count.bytes / 2 ** 20).toLocaleString("en")],
        ];
  return (
    <div class="notice waiting race-count" aria-busy="true">
      <h2>{count === null ? "Exploring" : `Exploring ${count.play}, ${count.nth} of ${count.plays}`}</h2>
      <dl>
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {count === null || count.peeled === 0 ? null : (
        <p>All states seen; looking for rounds, {Math.floor((100 * count.peeled) / count.states)} %</p>
      )}
      <button type="button" onClick={stop}>
        Stop
      </button>
    </div>
  );
}
