import type { AvicStepId } from "../../linux/posting/avic-steps.ts";
import { avicPosting } from "../../linux/posting/avic-table.ts";
import { avicPlays } from "./avic-plays.ts";
import { AvicWorld } from "./avic-world.ts";
import type { Protocol, Size } from "./protocol.ts";

/** The play in which the absence of each step shows. */
const shownIn: Readonly<Partial<Record<AvicStepId, string>>> = {
  "block-hold-cpu": "base",
  "block-stop-running": "base",
  "load-test-blocking": "base",
  "load-lock": "assign",
  "load-update-entries": "base",
  "put-update-entries": "base",
  "put-clear-running": "senders",
  "software-doorbell": "senders",
  "log-clear-interrupt": "base",
  "log-test-again": "base",
  "assign-lock": "assign",
  "assign-read-place": "assign",
  "keep-remapen": "assign",
  "release-leave-list": "reroute",
  "guest-mode-guard": "affinity",
  "entry-invalidate": "assign",
};

/** AVIC, its remapping unit, and Linux 7.0. */
export const avicProtocol: Protocol = {
  vendor: "amd",
  removable: avicPosting.removable.map((id) => {
    const { does, leftOut } = avicPosting.steps[avicPosting.at[id]]!;
    return { id, does, bug: leftOut!.bug, play: shownIn[id]! };
  }),
  plays: avicPlays.map(({ name, title, byDefault }) => ({ name, title, byDefault })),
  world(name: string, size: Size, without?: string): AvicWorld {
    const play = avicPlays.find((each) => each.name === name);
    if (play === undefined) {
      throw new RangeError(
        `play ${name}: one of ${avicPlays.map((each) => each.name).join(", ")} was expected`,
      );
    }
    const table = without === undefined ? avicPosting : avicPosting.without(without as AvicStepId);
    return new AvicWorld(table, play.cast(size), size);
  },
};
