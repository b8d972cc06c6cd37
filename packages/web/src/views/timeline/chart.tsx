import { useEffect } from "preact/hooks";
import { panned, whole, zoomed } from "./axis.ts";
import { type Command, commandOf } from "./keys.ts";
import { laneHeight, laneTop } from "./layout.ts";
import { rulerHeight } from "./paint-ruler.ts";
import { laneOf } from "./queries.ts";
import { TrackHeads } from "./track-heads.tsx";
import { type Picture, gutter, usePainting } from "./use-painting.ts";
import { usePointer } from "./use-pointer.ts";

interface ChartProps extends Picture {
  /** Times are lines of a trace. */
  readonly lines: boolean;
  readonly onSelect: (row: number) => void;
  readonly onFold: (track: number) => void;
  /** What a key asks for and the chart cannot do by itself. */
  readonly onCommand: (command: Command) => void;
}

/** The tracks on a canvas, with an overview and marks above. The scroller takes the keys. */
export function Chart(props: ChartProps) {
  const { layout, scroller, onFold } = props;
  const painting = usePainting(props);
  const { tip, onTracks, onOverview } = usePointer({ ...props, ...painting });
  useSelectedInSight(props);
  const { canvas, ruler, size, drawSoon } = painting;
  return (
    <div class="chart">
      <canvas
        ref={ruler}
        class="chart-ruler"
        aria-hidden="true"
        style={{ height: `${rulerHeight}px`, width: `${size.width}px` }}
        {...onOverview}
      />
      <div
        ref={scroller}
        class="chart-scroller"
        tabIndex={0}
        role="application"
        aria-label="Tracks"
        aria-describedby="chart-keys"
        onKeyDown={(event) => pressed(event, props)}
        onScroll={drawSoon}
      >
        <div class="chart-tall" style={{ height: `${layout.height}px` }}>
          <canvas
            ref={canvas}
            class="chart-canvas"
            aria-hidden="true"
            style={{ width: `${size.width}px`, height: `${size.height}px` }}
            {...onTracks}
          />
          <div ref={tip} class="chart-tip" aria-hidden="true" hidden />
          <TrackHeads layout={layout} width={gutter} onFold={onFold} />
        </div>
      </div>
    </div>
  );
}

function pressed(event: KeyboardEvent, { axis, window, selected, scroller, onCommand }: ChartProps): void {
  const command = commandOf(event);
  if (command === undefined || event.target !== scroller.current) return;
  event.preventDefault();
  const now = window.peek();
  if (command === "in") window.value = zoomed(now, 0.6, 0.5, axis);
  else if (command === "out") window.value = zoomed(now, 1 / 0.6, 0.5, axis);
  else if (command === "earlier" || (command === "left" && selected < 0)) {
    window.value = panned(now, -0.15, axis);
  } else if (command === "later" || (command === "right" && selected < 0)) {
    window.value = panned(now, 0.15, axis);
  } else if (command === "all") window.value = whole(axis);
  else onCommand(command);
}

/** Scrolls to what is selected as soon as something else is. */
function useSelectedInSight({ data, layout, selected, scroller }: ChartProps): void {
  useEffect(() => {
    if (selected < 0) return;
    const top = laneTop(layout, data.lanes.indexOf(laneOf(data, selected)));
    const element = scroller.current!;
    if (top === null) return;
    if (top < element.scrollTop) element.scrollTop = Math.max(0, top - laneHeight * 2);
    else if (top + laneHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + laneHeight * 3 - element.clientHeight;
    }
  }, [selected, layout, data]);
}
