import { describe, expect, test } from "vitest";
import type { DeviceScope } from "../../evidence/dmar.ts";
import type { PciDevice } from "../../evidence/host/device.ts";
import { printRequester } from "../../spec/requester.ts";
import { HostLinks } from "./links.ts";
import { TestHost, bridgeConfig, named, vtdMessage } from "./testing/test-host.ts";

function intel(): TestHost {
  return new TestHost().cpus(4).vtd().device("00:03.0").device("01:00.0");
}

function linksOf(host: TestHost): HostLinks {
  return new HostLinks(host.finish());
}

/** The index that an interrupt of this chip has whose message names entry 8. */
function indexBy(chip: string): number | undefined {
  const links = linksOf(intel().irq(30, { message: vtdMessage(8), chip, hwirq: 3n }));
  return links.referenceOf(links.state.interrupts[0]!)?.value.index;
}

describe("the entry of an interrupt", () => {
  test.each([
    ["as the kernel has it", { entry: 21 }],
    ["by its message", { message: vtdMessage(21) }],
    ["by its Intel domain", { domains: [{ domain: "INTEL-IR-0-13", chip: "INTEL-IR", hwirq: 0x15_0000n }] }],
    ["by its Intel domain, in a block", { domains: [{ domain: "INTEL-IR-0", chip: "", hwirq: 0x13_0002n }] }],
  ])("is found %s", (_, say) => {
    const links = linksOf(
      intel()
        .remapped(21, { v: 0x24, sid: 0x18 })
        .irq(27, { device: "00:03.0", ...say }),
    );
    const [interrupt] = links.state.interrupts;
    expect(links.entryOf(interrupt!)).toMatchObject({ index: 21, vector: 0x24, mode: "remapped" });
    expect(links.interruptsOf(links.entries[0]!)).toEqual([interrupt]);
  });

  test("is found by indices past 2^15", () => {
    const links = linksOf(
      intel()
        .remapped(40000, { v: 1 })
        .irq(1, { device: "00:03.0", message: vtdMessage(40000) }),
    );
    expect(links.entryOf(links.state.interrupts[0]!)?.index).toBe(40000);
  });

  test("lies behind the message's by the vector's number for an MSI, and at the message's for an MSI-X", () => {
    expect(indexBy("IR-PCI-MSI-0000:00:03.0")).toBe(11);
    expect(indexBy("IR-PCI-MSIX-0000:00:03.0")).toBe(8);
  });

  test("is not guessed from a message of compatibility format, of an unknown device, or of an unknown unit", () => {
    const compatible = { address: 0xfee0_1000n, data: 0x4021 };
    for (const host of [
      intel().irq(9, { device: "00:03.0", message: compatible }),
      intel().irq(9, { device: "00:04.0", message: vtdMessage(1) }),
      new TestHost()
        .device("00:03.0")
        .vtd()
        .irq(9, { device: "00:03.0", message: vtdMessage(1) }),
    ]) {
      const links = linksOf(host);
      expect(links.referenceOf(links.state.interrupts[0]!)).toBeUndefined();
    }
  });

  test("is a reference even where the entry is zero", () => {
    const links = linksOf(intel().irq(30, { device: "00:03.0", entry: 7 }));
    const [interrupt] = links.state.interrupts;
    expect(links.referenceOf(interrupt!)?.value).toEqual({ unit: "dmar0", requester: null, index: 7 });
    expect(links.entryOf(interrupt!)).toBeUndefined();
  });

  test("of AMD-Vi is the message's data, in the table of the device or of one that shares it", () => {
    const host = new TestHost().cpus(4).amdvi().device("03:00.0").device("03:01.0");
    host.remapped128(0x300, 2, { vector: 0x25, dest: 4, dm: 1 }).alias(0x308, 0x300);
    host.irq(40, { device: "03:01.0", message: { address: 0xfee0_0000n, data: 2 } });
    const links = linksOf(host);
    expect(links.entries).toHaveLength(1);
    expect(links.entryOf(links.state.interrupts[0]!)).toMatchObject({ requester: 0x300, index: 2 });
    expect(links.requestersOf(links.entries[0]!)).toEqual(links.state.devices);
  });
});

/** The name of the unit before each device. */
function units(host: TestHost): Record<string, string | undefined> {
  const links = linksOf(host);
  return Object.fromEntries(
    links.state.devices.map((device) => [printRequester(device.requester), links.unitOf(device)?.name]),
  );
}

describe("the unit before a device", () => {
  const base = { first: 0x1000n, second: 0x2000n };
  const scoped = (scopes: readonly Partial<DeviceScope>[]): TestHost => {
    const host = new TestHost().dmar({ base: base.first, scopes }, { base: base.second, all: true });
    host.device("00:06.0").device("00:07.0").device("05:00.0").device("07:00.0");
    return host.vtd("dmar0", { base: base.first }).vtd("dmar1", { base: base.second });
  };
  test("is that of its scope, else the one for all the others", () => {
    const host = scoped([{ type: 1, path: [{ device: 6, function: 0 }] }]);
    expect(units(host)).toEqual({
      "00:06.0": "dmar0",
      "00:07.0": "dmar1",
      "05:00.0": "dmar1",
      "07:00.0": "dmar1",
    });
  });

  test("is that of the bridge above it, by the buses in the bridge's configuration space", () => {
    const host = scoped([{ type: 2, path: [{ device: 6, function: 0 }] }]);
    host.draft.device(0, named("00:06.0").requester).config = host.fact(bridgeConfig(4, 6));
    expect(units(host)).toEqual({
      "00:06.0": "dmar0",
      "00:07.0": "dmar1",
      "05:00.0": "dmar0",
      "07:00.0": "dmar1",
    });
  });

  test("is that at the end of a path through bridges", () => {
    const host = scoped([
      {
        type: 1,
        path: [
          { device: 6, function: 0 },
          { device: 0, function: 0 },
        ],
      },
    ]);
    host.draft.device(0, named("00:06.0").requester).config = host.fact(bridgeConfig(5, 5));
    expect(units(host)["05:00.0"]).toBe("dmar0");
  });

  test("is not known where a bridge on the way cannot be read", () => {
    const host = scoped([{ type: 2, path: [{ device: 6, function: 0 }] }]);
    expect(units(host)).toEqual({
      "00:06.0": "dmar0",
      "00:07.0": undefined,
      "05:00.0": undefined,
      "07:00.0": undefined,
    });
  });

  test("is sysfs's word before firmware's", () => {
    const host = scoped([{ type: 1, path: [{ device: 6, function: 0 }] }]);
    host.draft.device(0, named("00:06.0").requester).unit = host.fact("dmar1");
    expect(units(host)["00:06.0"]).toBe("dmar1");
  });
});

describe("whom an entry admits", () => {
  test.each([
    ["SVT 1, SQ 0: one", { sid: 0x18 }, ["00:03.0"]],
    ["SVT 1, SQ 3: any function", { sid: 0x18, sq: 3 }, ["00:03.0", "00:03.1", "00:03.4"]],
    ["SVT 1, SQ 1: with bit 2 or without", { sid: 0x18, sq: 1 }, ["00:03.0", "00:03.4"]],
    ["SVT 2: a range of buses", { svt: 2, sid: 0x0002 }, ["00:03.0", "00:03.1", "00:03.4", "01:00.0"]],
    ["SVT 2 the wrong way round: nobody", { svt: 2, sid: 0x0200 }, []],
    ["SVT 3: not known", { svt: 3, sid: 0x18 }, []],
  ])("%s", (_, fields, expected) => {
    const host = intel().device("00:03.1").device("00:03.4").device("03:00.0").remapped(1, fields);
    const links = linksOf(host);
    const admitted = links.requestersOf(links.entries[0]!) as readonly PciDevice[];
    expect(admitted.map(({ requester }) => printRequester(requester))).toEqual(expected);
  });

  test("SVT 0: all", () => {
    const links = linksOf(intel().remapped(1, { svt: 0 }));
    expect(links.requestersOf(links.entries[0]!)).toBe("all");
  });

  test("an IOAPIC is known by its scope", () => {
    const scope = { type: 3, bus: 0xff, path: [{ device: 0, function: 0 }], enumerationId: 2 };
    const links = linksOf(
      intel()
        .dmar({ base: 0xfed9_0000n, scopes: [scope] })
        .remapped(1, { sid: 0xff00 }),
    );
    expect(links.platformSourceBehind(links.entries[0]!)).toMatchObject({ kind: "ioapic", id: 2 });
  });
});

/** The processors that a destination names on a host with these APIC ids. */
function cpus(
  count: number,
  apicId: (cpu: number) => number,
  ...args: [number, boolean, boolean]
): number[] | undefined {
  const links = linksOf(new TestHost().cpus(count, apicId));
  return links.processorsOf(...args)?.map(({ cpu }) => cpu);
}

describe("processors of a destination", () => {
  test.each([
    ["physical", 6, false, false, [3]],
    ["physical, nobody's", 5, false, false, []],
    ["broadcast of 8 bits", 0xff, false, false, [0, 1, 2, 3]],
    ["flat", 0b1010, true, false, [1, 3]],
    ["broadcast of 32 bits", 0xffff_ffff, false, true, [0, 1, 2, 3]],
    ["physical 255 of 32 bits", 0xff, false, true, []],
    ["cluster 0", 0x0000_0044, true, true, [1, 3]],
    ["cluster 1", 0x0001_0044, true, true, []],
  ] as const)("%s", (_, destination, logical, extended, expected) => {
    expect(cpus(4, (cpu) => 2 * cpu, destination, logical, extended)).toEqual(expected);
  });

  test("are not known without APIC ids", () => {
    const host = new TestHost().cpus(2);
    delete host.draft.processor(1).apicId;
    const links = linksOf(host);
    expect(links.processorsOf(1, false, true)).toBeUndefined();
    expect(links.processorsOf(0, false, true)).toHaveLength(1);
    expect(links.processorsOf(1, true, true)).toBeUndefined();
  });

  test("of an entry in xAPIC mode stand in bits 15:8 of its field", () => {
    const links = linksOf(intel().remapped(1, { dst: 0x0400, dm: 1 }));
    expect(links.destinationOf(links.entries[0]!)).toBe(4);
    expect(links.targetsOf(links.entries[0]!)?.map(({ cpu }) => cpu)).toEqual([2]);
  });

  test("of an entry are not known where the unit's mode is not", () => {
    const host = intel().remapped(1, { dst: 0x0400, dm: 1 });
    delete host.draft.vtdUnit("dmar0").extendedMode;
    const links = linksOf(host);
    expect(links.destinationOf(links.entries[0]!)).toBeUndefined();
    expect(links.targetsOf(links.entries[0]!)).toBeUndefined();
  });
});

test("a posted entry is a vCPU's by the address of its descriptor, on AMD by that of its backing page", () => {
  const intelLinks = linksOf(
    intel().machine("4711", [0x1_2340n, 0x7_1234_5640n]).posted(3, { vv: 0x51, pda: 0x7_1234_5640n }),
  );
  expect(intelLinks.posteeOf(intelLinks.entries[0]!)).toMatchObject({
    owner: { kind: "vcpu", machine: "4711", vcpu: 1 },
  });
  const amd = new TestHost()
    .amdvi()
    .device("01:00.0")
    .machine("4711", [0x5000n])
    .guest(0x100, 0, { root: 0x5000n, vector: 0x31 });
  const amdLinks = linksOf(amd);
  expect(amdLinks.posteeOf(amdLinks.entries[0]!)).toMatchObject({ vcpu: { id: 0 } });
  const stray = linksOf(intel().posted(3, { pda: 0x40n }));
  expect(stray.posteeOf(stray.entries[0]!)).toBeUndefined();
});

describe("whether a unit remaps", () => {
  const said = (lines: readonly { says: "enabled" | "not-enabled"; text: string }[]): HostLinks => {
    const host = new TestHost().with((draft) => {
      draft.vtdUnit("dmar0");
      draft.log = host0.fact(
        lines.map((line, i) => ({ kind: "boot-message" as const, line: i + 1, ...line })),
      );
    });
    return linksOf(host);
  };
  const host0 = new TestHost("dmesg");

  test("is said by GSTS before anything else", () => {
    const links = linksOf(
      new TestHost().vtd("dmar0", { on: false }).with((draft) => {
        draft.vtdUnit("dmar0").remapping = host0.fact(true);
      }),
    );
    expect(links.remappingOn(links.state.units[0]!)?.value).toBe(false);
  });

  test("is said by the log where nothing else does, with the line", () => {
    const links = said([{ says: "enabled", text: "Enabled IRQ remapping in x2apic mode" }]);
    const [unit] = links.state.units;
    expect(links.remappingOn(unit!)).toEqual({ value: true, origin: { source: "dmesg", place: "line 1" } });
    expect(links.extendedMode(unit!)?.value).toBe(true);
    const off = said([{ says: "not-enabled", text: "Not enabling interrupt remapping" }]);
    expect(off.remappingOn(off.state.units[0]!)?.value).toBe(false);
  });

  test("is not known where nothing is said", () => {
    const links = said([]);
    expect(links.remappingOn(links.state.units[0]!)).toBeUndefined();
  });
});

test.each([
  ["00:03.0", 0, 0x18],
  ["0:3.0", 0, 0x18],
  ["0001:00:03.0", 1, 0x18],
  ["02:00.0", 1, 0x200],
])("a device named %s is found", (name, segment, requester) => {
  const links = linksOf(new TestHost().device("00:03.0").device("0001:00:03.0").device("0001:02:00.0"));
  expect(links.deviceNamed(name)).toMatchObject({ segment, requester });
});

test.each(["", "00:03", "00:20.0", "00:03.8", "eth0", "04:00.0"])("no device is named %j", (name) => {
  expect(linksOf(new TestHost().device("00:03.0")).deviceNamed(name)).toBeUndefined();
});
