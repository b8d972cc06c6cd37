import { describe, expect, test } from "vitest";
import { type AmdviProfile, amdviStrict } from "../../hardware/amdvi/profile.ts";
import { Outcome } from "../../hardware/delivery.ts";
import { control, extendedFeature, registers } from "../../spec/amdvi/registers.ts";
import { decode, encode } from "../../spec/codec.ts";
import type { Release } from "../kernel.ts";
import { enableIrX2apic, irqRemappingDisable, irqRemappingReenable } from "../remapping.ts";
import { type HostOptions, host, settle } from "../testbed.ts";
import { amdRemapping } from "./remapping.ts";

const releases: readonly Release[] = ["5.4", "6.12", "7.0"];

function profile(features: Parameters<typeof encode<keyof typeof extendedFeature.fields>>[1]): AmdviProfile {
  return {
    ...amdviStrict,
    efr: encode(extendedFeature, { ...decode(extendedFeature, amdviStrict.efr), ...features }),
  };
}

/** A unit whose MSI registers are in MMIO space, as 5.4 asks for before it turns 32-bit destinations on. */
const withMsiRegisters = profile({ msicapmmiosup: 1 });

function boot(options: HostOptions = {}) {
  const machine = host({ vendor: "amd", ...options });
  enableIrX2apic(machine.k);
  const lines = machine.k.log.lines.map(({ text }) => text);
  return { ...machine, lines, amd: lines.filter((line) => line.startsWith("AMD-Vi: ")) };
}

const controlOf = ({ amdvi }: ReturnType<typeof boot>) =>
  decode(control, amdvi.read(registers.CONTROL.offset, 64));

const missing = (id: number) => `AMD-Vi: [Firmware Bug]: : IOAPIC[${id}] not in IVRS table`;

describe("remapping comes up", () => {
  test.each([
    ["5.4", ["Interrupt remapping enabled", "Virtual APIC enabled", "X2APIC enabled"]],
    ["6.12", ["Interrupt remapping enabled", "X2APIC enabled", "Virtual APIC enabled"]],
    ["7.0", ["Interrupt remapping enabled", "X2APIC enabled", "Virtual APIC enabled"]],
  ] as const)("in %s with these messages, in this order", (release, expected) => {
    const { amd } = boot({ release, amdviProfile: withMsiRegisters });
    expect(amd[0]).toMatch(
      /^AMD-Vi: Extended features \(0x[0-9a-f]+(, 0x100)?\): PreF PPR X2APIC NX GT IA GA GA_vAPIC$/,
    );
    expect(amd.slice(1)).toEqual(expected.map((text) => `AMD-Vi: ${text}`));
  });

  test.each(releases)("in %s with the control bits that the features allow", (release) => {
    const machine = boot({ release, amdviProfile: withMsiRegisters });
    expect(controlOf(machine)).toMatchObject({
      iommuen: 1,
      cmdbufen: 1,
      evtlogen: 1,
      evtinten: 1,
      gaen: 1,
      gamen: 1,
      galogen: 1,
      gainten: 1,
      xten: 1,
      intcapxten: 1,
      numintremapmode: release === "7.0" ? 1 : 0,
      irtcachedis: 0,
    });
    expect(machine.k.remapping).toMatchObject({ enabled: true, mode: "x2apic", postingCapable: true });
    expect(machine.amdvi.fault).toBeUndefined();
  });

  test("before 5.11 without 32-bit destinations, unless the driver can reach the unit's MSI registers", () => {
    const machine = boot({ release: "5.4" });
    expect(machine.k.remapping).toMatchObject({ mode: "xapic" });
    expect(controlOf(machine)).toMatchObject({ xten: 0, intcapxten: 0 });
    expect(machine.lines).toContain("x2apic: IRQ remapping doesn't support X2APIC mode");
  });

  test.each([
    ["no guest virtual APIC", profile({ gasup: 0 }), true, { gaen: 0, gamen: 0, xten: 0 }, "legacy"],
    ["no guest mode", profile({ gamsup: 0 }), true, { gaen: 1, gamen: 0, xten: 1 }, "legacyGa"],
    ["no cmpxchg16b", amdviStrict, false, { gaen: 0, gamen: 0, xten: 0 }, "legacy"],
  ] as const)("with %s without posting", (_what, amdviProfile, cx16, bits, guestIr) => {
    const machine = boot({ amdviProfile, firmware: { cx16 } });
    expect(controlOf(machine)).toMatchObject({ iommuen: 1, ...bits });
    expect(amdRemapping(machine.k)).toMatchObject({ guestIr, postingCapable: false });
    expect(machine.amd).not.toContain("AMD-Vi: Virtual APIC enabled");
  });

  test("with amd_iommu_intr=legacy in entries of 128 bits that post to nobody", () => {
    const machine = boot({ commandLine: "amd_iommu_intr=legacy" });
    expect(controlOf(machine)).toMatchObject({ gaen: 1, gamen: 0, galogen: 0 });
    expect(machine.k.remapping).toMatchObject({ enabled: true, postingCapable: false });
  });

  test("with amd_iommu=irtcachedis without a cache of entries", () => {
    const machine = boot({ commandLine: "amd_iommu=irtcachedis" });
    expect(machine.amd).toContain("AMD-Vi: iommu0 (0x0002) : IRT cache is disabled");
    expect(controlOf(machine)).toMatchObject({ irtcachedis: 1 });
  });
});

describe("remapping does not come up", () => {
  const noSouthBridge = "AMD-Vi: [Firmware Bug]: : No southbridge IOAPIC found";
  const disabled = "AMD-Vi: Disabling interrupt remapping";
  const both = [
    { id: 2, version: 0x21 },
    { id: 3, version: 0x21 },
  ];

  /** Special device entries for some I/O APICs, the first of which is the south bridge's. */
  function withIoapics(specials: readonly [id: number, requester: number][]) {
    const { amdvi, k } = host({ vendor: "amd" });
    const ivrs = {
      units: [
        {
          ...k.firmware.ivrs!.units[0]!,
          unit: amdvi,
          specials: specials.map(([id, requester]) => ({ kind: "ioapic", id, requester }) as const),
        },
      ],
    };
    return boot({ firmware: { ivrs, ioapics: both } });
  }

  test("when the last I/O APIC is missing", () => {
    const { amd, k } = withIoapics([[2, 0x00a0]]);
    expect(amd).toEqual([missing(3), disabled]);
    expect(k.remapping).toBeNull();
  });

  test("when no I/O APIC is the south bridge's", () => {
    const { amd } = withIoapics([
      [2, 0x00a8],
      [3, 0x00b0],
    ]);
    expect(amd).toEqual([noSouthBridge, disabled]);
  });

  test("unless the last that matters is the south bridge's: the last one decides", () => {
    const { amd, k } = withIoapics([[3, 0x00a0]]);
    expect(amd.slice(0, 1)).toEqual([missing(2)]);
    expect(k.remapping).toMatchObject({ enabled: true });
  });

  test.each(["amd_iommu=off", "iommu=off", "intremap=off"])("with %s", (commandLine) => {
    const machine = boot({ commandLine });
    expect(machine.k.remapping).toBeNull();
    expect(machine.k.pages.allocations).toBe(0);
    expect(machine.amdvi.interrupt(0xfee00000 | 0, 0x31, 0x0100)).toBe(Outcome.passed);
  });

  test("without an IVRS", () => {
    expect(boot({ firmware: { ivrs: undefined } as never }).k.remapping).toBeNull();
  });

  test("beside Stoney Ridge's graphics", () => {
    const machine = host({ vendor: "amd" });
    machine.plug(0x0008, { vendor: 0x1002, device: 0x98e4 });
    enableIrX2apic(machine.k);
    expect(machine.k.log.lines[0]!.text).toBe("AMD-Vi: Disable IOMMU on Stoney Ridge");
    expect(machine.k.remapping).toBeNull();
  });

  test("and gives back all that it took", () => {
    const { k } = withIoapics([[2, 0x00a0]]);
    expect(k.pages.allocations).toBe(0);
    expect(k.irqs.domains.map(({ name }) => name)).not.toContain("AMD-IR-0");
  });
});

describe("a device without a table", () => {
  const line =
    "iommu ivhd0: AMD-Vi: Event logged [INVALID_DEVICE_REQUEST device=0000:08:00.0 pasid=0x00000 " +
    "address=0xfffffffdf8050000 flags=0x0a00]";

  test("has its interrupts aborted, and the kernel says so", () => {
    const { amdvi, k, cpus } = boot();
    expect(amdvi.interrupt(0xfee00000 | 0, 5, 0x0800)).toBe(Outcome.blocked);
    settle(k, cpus);
    expect(k.log.lines.at(-1)).toEqual({ level: "err", text: line });
  });

  test("is named without its segment before 6.0", () => {
    const { amdvi, k, cpus } = boot({ release: "5.4", amdviProfile: withMsiRegisters });
    amdvi.interrupt(0xfee00000 | 0, 5, 0x0800);
    settle(k, cpus);
    expect(k.log.lines.at(-1)!.text).toBe(line.replace("device=0000:", "device="));
  });
});

describe("suspend and resume", () => {
  test("turn the unit off and on again with everything that was on", () => {
    const machine = boot();
    const before = controlOf(machine);
    irqRemappingDisable(machine.k);
    expect(controlOf(machine)).toMatchObject({ iommuen: 0, cmdbufen: 0, evtlogen: 0, galogen: 0 });
    expect(machine.k.remapping).toMatchObject({ postingCapable: false });
    expect(irqRemappingReenable(machine.k)).toBe(0);
    expect(controlOf(machine)).toEqual(before);
    expect(machine.k.remapping).toMatchObject({ postingCapable: true });
  });
});
