import type { AuditCheck } from "./check.ts";
import { tablesSpent, vectorsSpent } from "./entries/budgets.ts";
import { illegalEntries, illegalVectors, openEntries, tornEntries } from "./entries/content.ts";
import { deadDestinations, displacedEntries, placeholderVectors } from "./entries/delivery.ts";
import { deviceTableEntries, passedTypes, sharedTables } from "./entries/device-table.ts";
import { staleEntries } from "./entries/stale.ts";
import { absentSources, foreignEntries, missingEntries, sharedEntries } from "./entries/users.ts";
import {
  dmarFlag,
  ioapicScopes,
  overlappingScopes,
  uncoveredDevices,
  x2apicOptOut,
} from "./firmware/dmar.ts";
import { ivrsIoapics, southBridgeIoapic, specialTwice } from "./firmware/ivrs.ts";
import { firmwareTables } from "./firmware/tables.ts";
import { loggedFaults } from "./kernel/log.ts";
import {
  compatibilityMessages,
  misalignedBlocks,
  outsideHierarchy,
  overwrittenMessages,
  strayData,
} from "./messages/messages.ts";
import {
  deadNotification,
  illegalDescriptors,
  misplacedDescriptors,
  unannouncedInterrupts,
  unknownDescriptors,
  wrongNotification,
} from "./posting/descriptors.ts";
import { notPosted } from "./posting/passthrough.ts";
import {
  clobberedEntry,
  interruptCacheDisabled,
  lostRetrigger,
  remapEnLost,
  snpForbidsPosting,
  takenOver,
} from "./setup/known-bugs.ts";
import {
  chipsetErratum,
  remappingOff,
  sourceIdsUnchecked,
  unitsThatCannotRemap,
  unitsWithoutExtendedMode,
  unsafeInterrupts,
  vfioWithoutRemapping,
} from "./setup/remapping.ts";
import {
  compatibilityOpen,
  extendedModeOff,
  faultsPending,
  queueHalted,
  translationOff,
} from "./setup/vtd-unit.ts";

/** Every check of the audit. */
export const auditChecks: readonly AuditCheck[] = [
  firmwareTables,
  dmarFlag,
  x2apicOptOut,
  ioapicScopes,
  overlappingScopes,
  uncoveredDevices,
  ivrsIoapics,
  southBridgeIoapic,
  specialTwice,

  remappingOff,
  vfioWithoutRemapping,
  unsafeInterrupts,
  sourceIdsUnchecked,
  unitsThatCannotRemap,
  unitsWithoutExtendedMode,
  chipsetErratum,
  clobberedEntry,
  lostRetrigger,
  remapEnLost,
  interruptCacheDisabled,
  snpForbidsPosting,
  takenOver,

  compatibilityOpen,
  extendedModeOff,
  translationOff,
  queueHalted,
  faultsPending,

  openEntries,
  illegalEntries,
  illegalVectors,
  tornEntries,
  missingEntries,
  foreignEntries,
  sharedEntries,
  staleEntries,
  absentSources,
  deadDestinations,
  displacedEntries,
  placeholderVectors,
  deviceTableEntries,
  passedTypes,
  sharedTables,
  vectorsSpent,
  tablesSpent,

  compatibilityMessages,
  strayData,
  misalignedBlocks,
  overwrittenMessages,
  outsideHierarchy,

  unknownDescriptors,
  misplacedDescriptors,
  illegalDescriptors,
  wrongNotification,
  deadNotification,
  unannouncedInterrupts,
  notPosted,

  loggedFaults,
];
