import { vmxPosting } from "../../linux/posting/vmx-table.ts";
import type { VmxStepId } from "../../linux/posting/vmx-step-ids.ts";
import type { Protocol, Removable } from "./protocol.ts";
import { vmxPlays } from "./vmx-plays.ts";
import { VmxWorld } from "./vmx-world.ts";

/** The play in which the bug of a step that is left out shows; the base unless it stands here. */
const shows: Readonly<Partial<Record<VmxStepId, string>>> = {
  "kick-on-assign": "assign",
  "wakeup-list-once": "two-halts",
  "posted-guard": "affinity",
  "irte-invalidate": "release",
};

function removable(id: VmxStepId): Removable {
  const { does, leftOut } = vmxPosting.steps[vmxPosting.at[id]]!;
  return { id, does, bug: leftOut!.bug, play: shows[id] ?? "base" };
}

/** Posting between the remapping unit, VMX and Linux's KVM. */
export const vmxProtocol: Protocol = {
  vendor: "intel",
  removable: vmxPosting.removable.map(removable),
  plays: vmxPlays,
  world(name, size, without) {
    const play = vmxPlays.find((each) => each.name === name);
    if (play === undefined) {
      throw new RangeError(`play "${name}": expected ${vmxPlays.map((each) => each.name).join(", ")}`);
    }
    const table = without === undefined ? vmxPosting : vmxPosting.without(without as VmxStepId);
    return new VmxWorld(table, play, size);
  },
};
