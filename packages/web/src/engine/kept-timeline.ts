import { InputError, type TimelineData, TimelineStore } from "@intremap/core";
import { withTransfers } from "./transfers.ts";

/** What the page shows of a timeline beside its columns. */
export interface Recorded {
  readonly title: string;
  /** Where it comes from, and how time goes in it. */
  readonly about: string;
  /** Its times are lines of a trace without stamps. */
  readonly lines: boolean;
  /** Whose remapping unit a trace is of; null where that is not told. */
  readonly vendor: "intel" | "amd" | null;
  readonly data: TimelineData;
}

let kept: TimelineStore | undefined;

/** Keeps a timeline until the next one, and gives a copy of it to the page. */
export function keep(store: TimelineStore, shown: Omit<Recorded, "data">): Recorded {
  kept = store;
  const data = store.data();
  const buffers = Object.values(data).flatMap((column: unknown) =>
    ArrayBuffer.isView(column) ? [column.buffer as ArrayBuffer] : [],
  );
  return withTransfers({ ...shown, data }, buffers);
}

/** Lets go of the one that is kept: the next takes its memory. */
export function forget(): void {
  kept = undefined;
}

/** @throws InputError when none was recorded. */
export function keptTimeline(): TimelineStore {
  if (kept === undefined) throw new InputError("no timeline is open");
  return kept;
}
