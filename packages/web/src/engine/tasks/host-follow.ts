import { type FollowedVcpu, type Following, follow } from "@intremap/core";
import { keptHost } from "../kept-host.ts";

/**
 * Follows one interrupt, a device's, an entry or a vCPU of the host that is open, as `follow --json` has it.
 * @param subject as the command takes it: `irq 24`, `00:03.0`, `dmar0:22`, VM/vCPU.
 * @throws InputError when the host has no such subject.
 */
export function hostFollow(subject: string): Following | FollowedVcpu {
  return follow(keptHost(), subject);
}
