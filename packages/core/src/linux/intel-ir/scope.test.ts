import { describe, expect, test } from "vitest";
import { vtdStrict } from "../../hardware/vtd/profile.ts";
import { VtdUnit } from "../../hardware/vtd/unit.ts";
import type { Drhd } from "../firmware.ts";
import type { AllocInfo } from "../irq/domain.ts";
import { msiParentDomain } from "../pci/irq-domain.ts";
import { enableIrX2apic } from "../remapping.ts";
import { host } from "../testbed.ts";
import { intelRemapping } from "./remapping-state.ts";

/** A graphics unit for 00:02.0, one for what is behind the bridge 00:1c.0, and one for the rest and the I/O APIC. */
function boot() {
  const machine = host();
  const { k, memory, fabric } = machine;
  const [rest] = k.firmware.dmar!.units;
  const unit = (base: number, scopes: Drhd["scopes"]): Drhd => ({
    base,
    segment: 0,
    includeAll: false,
    scopes,
    unit: new VtdUnit({ memory, fabric, profile: vtdStrict }),
  });
  const units = [
    unit(0xfed91000, [{ kind: "endpoint", requester: 0x0010 }]),
    unit(0xfed92000, [{ kind: "bridge", requester: 0x00e0, buses: [3, 5] }]),
    { ...rest!, scopes: [...rest!.scopes, { kind: "hpet", id: 0, requester: 0xf0f8 }] },
  ];
  Object.assign(k.firmware.dmar!, { units });
  enableIrX2apic(k);
  return machine;
}

describe("the unit that remaps an interrupt", () => {
  test.each([
    ["00:02.0, which it names", 0x0010, 0],
    ["00:02.1, which only looks like it", 0x0011, 2],
    ["the bridge", 0x00e0, 1],
    ["03:00.0, the first behind the bridge", 0x0300, 1],
    ["05:1f.7, the last", 0x05ff, 1],
    ["06:00.0, behind another", 0x0600, 2],
  ])("is the one of %s", (_, requester, unit) => {
    const { k, plug } = boot();
    const { device } = plug(requester);
    expect(msiParentDomain(k, device)).toBe(intelRemapping(k).units[unit]!.domain);
    expect(msiParentDomain(k, device).name).toBe(`INTEL-IR-${unit}`);
  });

  test.each<[string, AllocInfo, number[]]>([
    ["an I/O APIC by its id", { kind: "ioapic", id: 2, pin: 0, level: false }, [2]],
    ["no I/O APIC that it does not know", { kind: "ioapic", id: 3, pin: 0, level: false }, []],
    ["an HPET by its id", { kind: "hpet", id: 0, comparator: 0 }, [2]],
    ["nothing of another segment", msi(1), []],
    ["nothing that is the system's own", { kind: "vector" }, []],
  ])("takes %s", (_, info, expected) => {
    const { k } = boot();
    const chosen = intelRemapping(k).units.filter(({ domain }) => domain!.ops.select!(k, domain!, info));
    expect(chosen.map(({ sequence }) => sequence)).toEqual(expected);
  });
});

function msi(segment: number): AllocInfo {
  return { kind: "msi", segment, hwirq: 0, device: { requester: 0x0010, aliases: [0x0010] } };
}
