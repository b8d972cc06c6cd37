import { type FollowedVcpu, type Following, follow as followOn } from "@intremap/core";
import { reportFollowing } from "../follow-report.ts";
import { type Io, exitStatus } from "../io.ts";
import { paintFor, writeJson } from "../output.ts";
import { readHost } from "../sources/host.ts";

export interface FollowFlags {
  readonly from: string;
  readonly json?: boolean;
}

/**
 * Follows one interrupt, a device's, a remapping entry or a vCPU on a host.
 * @returns 0 when all that was followed would arrive, 1 when something would not or is passed through and not posted, 2
 * when the source does not tell.
 * @throws InputError when the source cannot be read, or has no such subject.
 */
export async function follow(subject: readonly string[], flags: FollowFlags, io: Io): Promise<number> {
  const found = followOn(await readHost(flags.from, io), subject.join(" "));
  if (flags.json === true) writeJson(io, "follow", { path: pathOf(found), ...found });
  else io.stdout.write(reportFollowing(found, paintFor(io.stdout, io.env)));
  return statusOf(found);
}

const bad: ReadonlySet<string> = new Set(["blocked", "lost", "not sent"]);

function statusOf(found: Following | FollowedVcpu): number {
  if (found.kind === "vcpu") return found.outcome === "posted" ? exitStatus.clean : exitStatus.unusable;
  const { interrupts } = found;
  if (interrupts.some(({ outcome, passthrough }) => bad.has(outcome) || passthrough?.posted === false)) {
    return exitStatus.findings;
  }
  return interrupts.every(({ outcome }) => outcome === "not known") ? exitStatus.unusable : exitStatus.clean;
}

/** The steps of the one that was followed; empty for several, which have theirs each. */
function pathOf(found: Following | FollowedVcpu): readonly object[] {
  if (found.kind === "vcpu") return [];
  const [only, ...others] = found.interrupts;
  return only === undefined || others.length > 0 ? [] : only.path;
}
