import { describe, expect, test, vi } from "vitest";
import { command, enableRemapping } from "../../hardware/vtd/bring-up.ts";
import {
  type VtdProfile,
  vtdProfiles,
  vtdQemu72,
  vtdQemu111,
  vtdStrict,
} from "../../hardware/vtd/profile.ts";
import { VtdUnit } from "../../hardware/vtd/unit.ts";
import { decode, encode } from "../../spec/codec.ts";
import {
  capability,
  extendedCapability,
  globalStatus,
  registers,
  tableAddress,
} from "../../spec/vtd/registers.ts";
import { enableIrX2apic, irqRemappingDisable, irqRemappingReenable } from "../remapping.ts";
import { type HostOptions, host } from "../testbed.ts";
import { intelRemapping } from "./remapping-state.ts";

function boot(options: HostOptions = {}) {
  const machine = host(options);
  enableIrX2apic(machine.k);
  return machine;
}

function lines({ k }: ReturnType<typeof host>): string[] {
  return k.log.lines.map(({ text }) => text);
}

function changed(profile: VtdProfile, cap: object, ecap: object = {}): VtdProfile {
  return {
    ...profile,
    capability: encode(capability, { ...decode(capability, profile.capability), ...cap }),
    extendedCapability: encode(extendedCapability, {
      ...decode(extendedCapability, profile.extendedCapability),
      ...ecap,
    }),
  };
}

/** Firmware opts out of x2APIC mode. */
function optOut(commandLine: string) {
  const machine = host({ commandLine });
  Object.assign(machine.k.firmware.dmar!, { x2apicOptOut: true });
  enableIrX2apic(machine.k);
  return machine;
}

function status({ vtd }: ReturnType<typeof host>) {
  return decode(globalStatus, vtd.read(registers.GSTS.offset, 32));
}

describe("bringing remapping up", () => {
  test("says what a laptop of the day says, in that order", () => {
    const machine = boot({ firmware: { hpets: [{ id: 0 }] } });
    expect(lines(machine)).toEqual([
      "DMAR: Host address width 46",
      "DMAR: DRHD base: 0x000000fed90000 flags: 0x1",
      `DMAR: dmar0: reg_base_addr fed90000 ver 6:0 cap ${vtdStrict.capability.toString(16)} ecap ${vtdStrict.extendedCapability.toString(16)}`,
      "DMAR-IR: IOAPIC id 2 under DRHD base  0xfed90000 IOMMU 0",
      "DMAR-IR: Queued invalidation will be enabled to support x2apic and Intr-remapping.",
      "DMAR-IR: Enabled IRQ remapping in x2apic mode",
      "x2apic enabled",
    ]);
    expect(intelRemapping(machine.k)).toMatchObject({ enabled: true, mode: "x2apic", postingCapable: true });
  });

  test.each(vtdProfiles)("breaks no rule of $name", (profile) => {
    const machine = boot({ profile });
    expect(machine.violations).toEqual([]);
    expect(status(machine)).toMatchObject({ qies: 1, irtps: 1, ires: 1, cfis: 0 });
    const eime = profile === vtdQemu72 ? 0 : 1;
    expect(decode(tableAddress, machine.vtd.read(registers.IRTA.offset, 64))).toMatchObject({ s: 15, eime });
  });

  test("does not happen on a chipset with the erratum", () => {
    const machine = boot({ firmware: { remappingBroken: true } });
    expect(lines(machine).slice(0, 5)).toEqual([
      "DMAR-IR: This system BIOS has enabled interrupt remapping",
      "on a chipset that contains an erratum making that",
      "feature unstable.  To maintain system stability",
      "interrupt remapping is being disabled.  Please",
      "contact your BIOS vendor for an update",
    ]);
    expect(machine.k.remapping).toBeNull();
  });

  test("does not happen where the DMAR table does not offer it", () => {
    const { k } = host();
    const dmar = { ...k.firmware.dmar!, interruptRemapping: false };
    expect(boot({ firmware: { dmar } }).k.remapping).toBeNull();
  });

  test("needs a unit for every I/O APIC", () => {
    const ioapics = [
      { id: 2, version: 0x20 },
      { id: 8, version: 0x20 },
    ];
    const machine = boot({ firmware: { ioapics } });
    expect(lines(machine).slice(-4)).toEqual([
      "DMAR-IR: [Firmware Bug]: ioapic 8 has no mapping iommu, interrupt remapping will be disabled",
      "DMAR-IR: Not enabling interrupt remapping",
      "DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection attacks.",
      "x2apic: IRQ remapping doesn't support X2APIC mode",
    ]);
    expect(machine.k.remapping).toBeNull();
    expect(machine.k.x2apic).toBe(false);
  });

  test.each([
    ["interrupt remapping", changed(vtdStrict, {}, { ir: 0 })],
    ["queued invalidation", changed(vtdStrict, {}, { qi: 0 })],
  ])("is given up, and leaves nothing behind, on a unit without %s", (_, profile) => {
    const machine = boot({ profile });
    expect(machine.k.remapping).toBeNull();
    expect(machine.k.pages.allocations).toBe(0);
    expect(machine.k.irqs.domains.filter(({ name }) => name.startsWith("INTEL-IR"))).toEqual([]);
    expect(lines(machine)).toContain(
      "DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection attacks.",
    );
  });

  test("is given up for all units when one cannot be set up, and none keeps anything", () => {
    const machine = host();
    const { k, memory, fabric } = machine;
    const profile = changed(vtdStrict, {}, { qi: 0 });
    const [first] = k.firmware.dmar!.units;
    const second = {
      ...first!,
      base: 0xfed91000,
      scopes: [],
      unit: new VtdUnit({ memory, fabric, profile }),
    };
    Object.assign(k.firmware.dmar!, { units: [first!, second] });
    enableIrX2apic(k);
    expect(lines(machine)).toEqual(
      expect.arrayContaining([
        "DMAR-IR: Failed to enable queued invalidation",
        "DMAR-IR: Failed to setup irq remapping for dmar1",
      ]),
    );
    expect(k.pages.allocations).toBe(0);
    expect(status(machine)).toMatchObject({ qies: 0, ires: 0 });
  });

  test("says which allocation failed", () => {
    const machine = host();
    vi.spyOn(machine.k.pages, "allocate").mockReturnValueOnce(-1);
    enableIrX2apic(machine.k);
    expect(lines(machine)).toContain("DMAR-IR: IR0: failed to allocate 1M of pages");
    expect(machine.k.remapping).toBeNull();
  });

  describe("where firmware opts out of x2APIC mode", () => {
    test("stays in xAPIC mode and says how to change that", () => {
      const machine = optOut("");
      expect(lines(machine)).toEqual(
        expect.arrayContaining([
          "DMAR-IR: x2apic is disabled because BIOS sets x2apic opt out bit.",
          "DMAR-IR: Use 'intremap=no_x2apic_optout' to override the BIOS setting.",
          "DMAR-IR: Enabled IRQ remapping in xapic mode",
        ]),
      );
      expect(machine.k.x2apic).toBe(false);
    });

    test("does not listen with intremap=no_x2apic_optout", () => {
      expect(lines(optOut("intremap=no_x2apic_optout"))).toContain(
        "DMAR-IR: Enabled IRQ remapping in x2apic mode",
      );
    });
  });

  test("stays in xAPIC mode where a unit knows no 32-bit destinations", () => {
    const machine = boot({ profile: vtdQemu72 });
    expect(lines(machine)).toContain("DMAR-IR: dmar0 does not support EIM");
    expect(intelRemapping(machine.k).mode).toBe("xapic");
  });

  test.each([
    ["a CPU without cmpxchg16b", { firmware: { cx16: false } }],
    ["a unit without it", { profile: vtdQemu111 }],
    ["intremap=nopost", { commandLine: "intremap=nopost" }],
  ])("can post unless there is %s", (_, options: HostOptions) => {
    expect(intelRemapping(boot(options).k).postingCapable).toBe(false);
    expect(intelRemapping(boot().k).postingCapable).toBe(true);
  });

  test("turns off what firmware has let through in compatibility format", () => {
    const machine = host();
    command(machine.vtd, { cfi: 1 });
    enableIrX2apic(machine.k);
    expect(status(machine)).toMatchObject({ ires: 1, cfis: 0 });
    // The driver does not take CFI over from GSTS: its first command turns it off together with what it is to do.
    expect(machine.violations).toEqual(["vtd.gcmd.one-bit"]);
  });
});

describe("a unit that another kernel has left remapping", () => {
  const old = 0x4000_0000;

  function inherited(options: HostOptions = {}, size = 15) {
    const machine = host(options);
    machine.memory.write64(old + 16 * 77, 0x0000_0001_0041_000dn);
    enableRemapping(machine.vtd, { base: old, size, eime: true });
    machine.violations.length = 0;
    enableIrX2apic(machine.k);
    return machine;
  }

  test("hands its table over to a kdump kernel", () => {
    const machine = inherited({ firmware: { kdump: true } });
    const { table } = intelRemapping(machine.k).units[0]!;
    expect(lines(machine)).toContain("DMAR-IR: Copied IR table for dmar0 from previous kernel");
    expect(machine.memory.read64(table!.addressOf(77))).toBe(0x0000_0001_0041_000dn);
    expect(table!.isTaken(77)).toBe(true);
    expect(table!.allocated).toBe(1);
    expect(status(machine).ires).toBe(1);
    expect(machine.violations).toEqual([]);
  });

  test("keeps a table of another size to itself", () => {
    const machine = inherited({ firmware: { kdump: true } }, 7);
    expect(lines(machine)).toContain("DMAR-IR: Failed to copy IR table for dmar0 from previous kernel");
  });

  test("is stopped first by any other kernel", () => {
    const machine = inherited();
    expect(lines(machine)).toContain(
      "DMAR-IR: IRQ remapping was enabled on dmar0 but we are not in kdump mode",
    );
    expect(intelRemapping(machine.k).entries).toBe(0);
    expect(status(machine).ires).toBe(1);
    expect(machine.violations).toEqual([]);
  });
});

describe("suspend and resume", () => {
  test("keep the table while the unit loses its registers", () => {
    const machine = boot();
    const { k, vtd } = machine;
    const { table } = intelRemapping(k).units[0]!;
    irqRemappingDisable(k);
    expect(status(machine).ires).toBe(0);
    expect(intelRemapping(k).postingCapable).toBe(false);
    vtd.write(registers.GCMD.offset, 32, 0n);
    vtd.write(registers.IRTA.offset, 64, 0n);
    vtd.write(registers.IQA.offset, 64, 0n);
    expect(irqRemappingReenable(k)).toBe(0);
    expect(status(machine)).toMatchObject({ qies: 1, ires: 1 });
    expect(decode(tableAddress, vtd.read(registers.IRTA.offset, 64))).toEqual({
      irta: table!.base,
      s: 15,
      eime: 1,
    });
    expect(intelRemapping(k).postingCapable).toBe(true);
    expect(machine.violations).toEqual([]);
  });
});
