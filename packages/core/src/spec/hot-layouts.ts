import { dte } from "./amdvi/dte.ts";
import { eventGeneric } from "./amdvi/events.ts";
import { galogEntry } from "./amdvi/galog.ts";
import { irte32, irteGuest, irteRemapped128 } from "./amdvi/irte.ts";
import {
  control as amdviControl,
  deviceTableBase,
  galogTailAddress,
  interruptCapability,
  ringBase,
  ringPointer,
  status as amdviStatus,
} from "./amdvi/registers.ts";
import { amdviRequestAddress, htInterruptAddress } from "./amdvi/request.ts";
import { avicLogicalEntry, avicPhysicalEntry } from "./apic/avic.ts";
import {
  apicBase,
  clusterId,
  destinationFormat,
  errorStatus,
  interruptCommand,
  lvtPin,
  lvtTimer,
  spuriousVector,
  x2apicLogicalDestination,
  xapicId,
} from "./apic/local-apic.ts";
import { guestInterruptStatus, pidPointer, xapicNotification } from "./apic/vmx.ts";
import { ioapicRteWire } from "./apic/ioapic.ts";
import type { Layout } from "./layout.ts";
import { pciCommandStatus } from "./pci/config-header.ts";
import { msiControl } from "./pci/msi.ts";
import { msixControl, msixTableEntry } from "./pci/msix.ts";
import {
  msiAddress,
  msiAddressExtended,
  msiAmdData,
  msiData,
  msiRemappableAddress,
  msiRemappableData,
} from "./msi/message.ts";
import { interruptEntryCacheInvalidate } from "./vtd/descriptors.ts";
import { irtePosted, irteRemapped, postedDescriptor } from "./vtd/irte.ts";
import {
  eventControl,
  faultRecord,
  faultStatus,
  globalCommand,
  globalStatus,
  queueAddress,
  queueTail,
  tableAddress,
} from "./vtd/registers.ts";

/** The layouts whose accessors are generated into `accessors/`. */
export const hotLayouts: readonly Layout[] = [
  msiAddress,
  msiAddressExtended,
  msiData,
  msiRemappableAddress,
  msiRemappableData,
  irteRemapped,
  irtePosted,
  postedDescriptor,
  globalCommand,
  globalStatus,
  faultStatus,
  eventControl,
  faultRecord,
  tableAddress,
  queueAddress,
  queueTail,
  interruptEntryCacheInvalidate,
  ioapicRteWire,
  pciCommandStatus,
  msiControl,
  msixControl,
  msixTableEntry,
  apicBase,
  xapicId,
  x2apicLogicalDestination,
  clusterId,
  errorStatus,
  destinationFormat,
  spuriousVector,
  interruptCommand,
  lvtTimer,
  lvtPin,
  guestInterruptStatus,
  pidPointer,
  xapicNotification,
  avicPhysicalEntry,
  avicLogicalEntry,
  msiAmdData,
  amdviRequestAddress,
  htInterruptAddress,
  dte,
  irte32,
  irteRemapped128,
  irteGuest,
  eventGeneric,
  galogEntry,
  amdviControl,
  amdviStatus,
  deviceTableBase,
  ringBase,
  ringPointer,
  galogTailAddress,
  interruptCapability,
];
