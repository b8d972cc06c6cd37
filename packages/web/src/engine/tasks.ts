import { exportTimeline } from "./tasks/export-timeline.ts";
import { hostDocument } from "./tasks/host-document.ts";
import { hostGraph } from "./tasks/host-graph.ts";
import { hostSummary } from "./tasks/host-summary.ts";
import { chooseMapRows, mapRows } from "./tasks/map-rows.ts";
import { openPackedHost } from "./tasks/open-packed-host.ts";
import { openHost } from "./tasks/open-host.ts";
import { hostFollow } from "./tasks/host-follow.ts";
import { listScenario } from "./tasks/list-scenario.ts";
import { recordTimeline } from "./tasks/record-timeline.ts";
import { traceTimeline } from "./tasks/trace-timeline.ts";
import { listRaces } from "./tasks/list-races.ts";
import { recognise } from "./tasks/recognise.ts";
import { verifyRaces } from "./tasks/verify-races.ts";
import { openWalk, walkSlice } from "./tasks/open-walk.ts";
import { walkRace } from "./tasks/walk-race.ts";
import { tryRequest } from "./tasks/try-request.ts";
import { walkFollowed } from "./tasks/walk-followed.ts";

/** Takes how far a task is, in words; or gives what it has so far. */
export type Tell = (progress: string) => void;

/**
 * What the engine can be asked, by name: a function from its input to its result, both of which are copied between
 * threads. A worker keeps what it opened: later tasks of the same worker may ask about it.
 */
export const tasks = {
  recordTimeline,
  traceTimeline,
  exportTimeline,
  listScenario,
  hostGraph,
  hostSummary,
  hostDocument,
  chooseMapRows,
  mapRows,
  openHost,
  openPackedHost,
  hostFollow,
  recognise,
  listRaces,
  verifyRaces,
  walkRace,
  tryRequest,
  walkFollowed,
  openWalk,
  walkSlice,
} as const;

export type TaskName = keyof typeof tasks;

/** Nothing for a task that takes nothing. */
export type TaskInput<Name extends TaskName> =
  Parameters<(typeof tasks)[Name]> extends [infer Input, ...unknown[]] ? Input : null | undefined;

export type TaskResult<Name extends TaskName> = Awaited<ReturnType<(typeof tasks)[Name]>>;
