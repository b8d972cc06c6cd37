import { eventKinds } from "../../hardware/event.ts";
import type { Kernel } from "../kernel.ts";
import type { ExitReason } from "./counts.ts";
import type { Vcpu } from "./vcpu.ts";

/** A processor has left a guest. */
export function countExit(k: Kernel, vcpu: Vcpu, reason: ExitReason): void {
  vcpu.counts.exits[reason]++;
  const code = vcpu.vm.ops.exitReasons[reason]!;
  k.observer?.record(eventKinds.vmExit, vcpu.slot, vcpu.cpu!.apicId, code, 0, 0, 0);
}

/** A processor goes into a guest. */
export function countEntry(k: Kernel, vcpu: Vcpu): void {
  vcpu.counts.entries++;
  k.observer?.record(eventKinds.vmEntry, vcpu.slot, vcpu.cpu!.apicId, 0, 0, 0, 0);
}
