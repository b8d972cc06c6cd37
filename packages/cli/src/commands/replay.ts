import { type FollowChoice, InputError, Replay, type ReplayResult } from "@intremap/core";
import { type Io, exitStatus } from "../io.ts";
import { paintFor, writeJson } from "../output.ts";
import { reportReplay } from "../replay-report.ts";
import { readTrace } from "../sources/read-trace.ts";

export interface ReplayFlags {
  readonly profile?: string;
  /** True for the request that shows most; else `N` or `line:N`. */
  readonly follow?: true | string;
  readonly json?: boolean;
}

/**
 * Replays a QEMU trace log against the model.
 * @returns 1 when an outcome differs from the trace's, 0 when all that were compared agree.
 * @throws InputError when the trace cannot be read, or holds no interrupt request.
 */
export async function replay(trace: string, flags: ReplayFlags, io: Io): Promise<number> {
  const run = new Replay({ profile: flags.profile, follow: followChoice(flags.follow) });
  const result = await readTrace(run, trace, io);
  if (flags.json === true) writeJson(io, "replay", plain(result));
  else io.stdout.write(reportReplay(result, paintFor(io.stdout, io.env)));
  return result.disagreedCount > 0 ? exitStatus.findings : exitStatus.clean;
}

/** @throws InputError for anything but `N` and `line:N`. */
function followChoice(flag: ReplayFlags["follow"]): FollowChoice | undefined {
  if (flag === undefined) return undefined;
  if (flag === true) return "instructive";
  const match = /^(line:)?([1-9]\d{0,14})$/.exec(flag);
  if (match === null) throw new InputError(`--follow "${flag}": expected the number of a request, or line:N`);
  const number = Number(match[2]);
  return match[1] === undefined ? { ordinal: number } : { line: number };
}

/** The result without bigints: numbers as far as they are exact, then `0x` strings. */
function plain(result: ReplayResult): object {
  return JSON.parse(JSON.stringify(result, plainValue)) as object;
}

function plainValue(_key: string, value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : `0x${value.toString(16)}`;
}
