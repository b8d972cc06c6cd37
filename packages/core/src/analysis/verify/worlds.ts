import { avicProtocol } from "./avic-protocol.ts";
import type { Protocol } from "./protocol.ts";
import { vmxProtocol } from "./vmx-protocol.ts";

/** Each vendor's way of posting. */
export const protocols: Readonly<Record<Protocol["vendor"], Protocol>> = {
  intel: vmxProtocol,
  amd: avicProtocol,
};
