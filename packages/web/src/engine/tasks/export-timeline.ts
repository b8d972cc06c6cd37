import { PerfettoWriter, joined, replayTimeline } from "@intremap/core";
import { keptTimeline } from "../kept-timeline.ts";
import { withTransfers } from "../transfers.ts";

/** The timeline that was recorded last as a Perfetto trace. @throws InputError when there is none. */
export function exportTimeline(): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  replayTimeline(keptTimeline().data(), new PerfettoWriter((bytes) => chunks.push(bytes.slice()), 2 ** 20));
  const whole = joined(chunks);
  return withTransfers(whole, [whole.buffer]);
}
