import type { PostingState } from "../../linux/posting/posting-state.ts";
import type { StepTable } from "../../linux/posting/step.ts";
import type { VmxStepId } from "../../linux/posting/vmx-step-ids.ts";
import { vmxPosting } from "../../linux/posting/vmx-table.ts";
import type { VmxPlay } from "./vmx-plays.ts";

/** Which way a step can be moved past what others do without anybody noticing: bits, by step. */
export const Mover = {
  /** What others do behind it, they could have done before it. */
  right: 1,
  /** What others do before it, they could do behind it. */
  left: 2,
  both: 3,
} as const;

/**
 * Steps that may share a move with others of their thread. Any number that move right, then one that counts, then any
 * number that move left: whatever others do in between can be moved out of it, to the same state behind it (Lipton,
 * 1975). So what others can see stays as it is, and so do all states in which threads rest, which is where properties
 * look; a vCPU's lists and an entry that is not locked do not change behind the step that counts.
 *
 * The scheduler is no exception: where it may take the CPU from a thread within a move, it may do so before the move as
 * well, and the thread, when it has a CPU again, does anew what it had done since: to look at what only itself changes.
 *
 * Steps move by the table (`local`), by what VMX and its world are, or by the play: where none plays that would look.
 */
export function moversOf(table: StepTable<PostingState, VmxStepId>, play: VmxPlay): Uint8Array {
  const movers = Uint8Array.from(table.steps, (step, number) =>
    step.local === true || step !== vmxPosting.steps[number] ? Mover.both : 0,
  );
  const set = (mover: number, ids: readonly VmxStepId[]): void => {
    for (const id of ids) movers[table.at[id]] = mover;
  };
  const { beside, bySoftware, last } = play;
  const kicks = beside.includes("assign-count");
  // Nothing but registers and IRR, which is the thread's own; but the scheduler and interrupts come in here.
  set(Mover.right, ["choose"]);
  // The thread's own registers. That its processor is in guest mode, only the thread itself reads. The unit snoops.
  set(Mover.both, ["block-check", "sync-pir-on-entry", "exit-leave-guest", "irte-write-back"]);
  // They keep the CPU's interrupts away, or the CPU from other threads; for the rest they read what their own thread
  // has written. Of a CPU's wakeup list only its handlers read who has joined, which are kept away.
  set(Mover.right, [
    "schedule-in",
    "load-test-vector",
    "entry-disable-interrupts",
    "preempt",
    "wakeup-list-add",
  ]);
  // They let interrupts or other threads come, or leave one that is not taken until then.
  set(Mover.left, ["entry-resume", "self-ipi-at-block", "schedule-off"]);
  // Others look at a vCPU's mode, and at its CPU, when they post by software, which a host's handler does too, and when
  // they kick.
  if (beside.length === 0 && bySoftware === undefined) {
    set(Mover.both, ["entry-mark-in-guest", "schedule-loaded"]);
    set(Mover.left, ["exit-mark-outside"]);
  }
  // Only who kicks requests something, and moves a mode on.
  if (!kicks) set(Mover.both, ["entry-test-requests"]);
  if (!kicks) set(Mover.right, ["block-test"]);
  // The count of interrupts that bypass the host.
  if (!kicks && last !== true) set(Mover.both, ["put-test-target"]);
  return movers;
}
