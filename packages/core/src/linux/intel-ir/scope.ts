import { hex } from "../../spec/codec.ts";
import type { ScopedDevice } from "../firmware.ts";
import type { AllocInfo, RequesterTopology } from "../irq/domain.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { IntelRemapping } from "./remapping-state.ts";
import type { IntelIommu } from "./unit.ts";

const parseIoapicHpetScope = kernelFunction(
  "ir_parse_ioapic_hpet_scope",
  (k: Kernel, remapping: IntelRemapping, iommu: IntelIommu): void => {
    const { base, scopes } = iommu.drhd;
    for (const scope of scopes) {
      if (scope.kind !== "ioapic" && scope.kind !== "hpet") continue;
      const known = scope.kind === "ioapic" ? remapping.ioapics : remapping.hpets;
      if (known.some((source) => source.iommu === iommu && source.id === scope.id)) continue;
      known.push({ iommu, id: scope.id, requester: scope.requester });
      k.log.info(
        scope.kind === "ioapic"
          ? `DMAR-IR: IOAPIC id ${scope.id} under DRHD base  ${hex(base)} IOMMU ${iommu.sequence}`
          : `DMAR-IR: HPET id ${scope.id} under DRHD base ${hex(base)}`,
      );
    }
  },
);

/**
 * Finds out whose interrupts the units remap: every I/O APIC has to be among them.
 * @returns 0, or a negative errno.
 */
export const parseIoapicsUnderIr = kernelFunction(
  "parse_ioapics_under_ir",
  (k: Kernel, remapping: IntelRemapping): number => {
    const able = remapping.units.filter(({ ecap }) => ecap.ir === 1);
    if (able.length === 0) return -errno.ENODEV;
    for (const iommu of able) parseIoapicHpetScope(k, remapping, iommu);
    // linux.ir.all-ioapics
    for (const { id } of k.firmware.ioapics) {
      if (remapping.ioapic(id) !== undefined) continue;
      k.log.err(
        `DMAR-IR: [Firmware Bug]: ioapic ${id} has no mapping iommu, interrupt remapping will be disabled`,
      );
      return -errno.ENODEV;
    }
    return 0;
  },
);

/** The unit behind which a function's requests arrive: the first that names it, or all of its segment. */
const dmarFindMatchedDrhdUnit = kernelFunction(
  "dmar_find_matched_drhd_unit",
  (
    _k: Kernel,
    remapping: IntelRemapping,
    segment: number,
    device: RequesterTopology,
  ): IntelIommu | undefined =>
    remapping.units.find(
      ({ drhd }) =>
        drhd.segment === segment && (drhd.scopes.some((scope) => covers(scope, device)) || drhd.includeAll),
    ),
);

function covers(scope: ScopedDevice, { requester }: RequesterTopology): boolean {
  if (scope.kind === "endpoint") return scope.requester === requester;
  if (scope.kind !== "bridge") return false;
  if (scope.requester === requester) return true;
  if (scope.buses === undefined) return false;
  const [secondary, subordinate] = scope.buses;
  return requester >> 8 >= secondary && requester >> 8 <= subordinate;
}

/** The unit that remaps an interrupt, by who asks for it. */
export function unitFor(k: Kernel, remapping: IntelRemapping, info: AllocInfo): IntelIommu | undefined {
  switch (info.kind) {
    case "ioapic":
      return remapping.ioapic(info.id)?.iommu;
    case "hpet":
      return remapping.hpet(info.id)?.iommu;
    case "vector":
      return undefined;
    default:
      return dmarFindMatchedDrhdUnit(k, remapping, info.segment, info.device);
  }
}
