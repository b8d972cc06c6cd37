import { eventKinds } from "../../hardware/event.ts";
import type { Kernel } from "../kernel.ts";
import type { ExitReason } from "./counts.ts";
import type { Vcpu } from "./vcpu.ts";

/** A processor has left a guest. */
export function countExit(k: Kernel, vcpu: Vcpu, reason: ExitReason): void {
  vcpu.counts.exits[reason]++;
  k.observer?.record(eventKinds.vmExit, vcpu.slot, vcpu.vm.ops.exitReasons[reason]!, 0, 0, 0, 0);
}

/** A processor goes into a guest. */
export function countEntry(k: Kernel, vcpu: Vcpu): void {
  vcpu.counts.entries++;
  k.observer?.record(eventKinds.vmEntry, vcpu.slot, 0, 0, 0, 0, 0);
}
