import type { FabricOptions } from "./fabric.ts";

/** Local APICs as QEMU emulates them without KVM. */
export const qemuApics: FabricOptions = {
  lowestPriority: "first",
  acceptIllegalVectors: true,
  ignoreRedirectionHint: true,
  acceptWhileDisabled: true,
  logicalBroadcastMatched: true,
  extIntRequests: true,
};
