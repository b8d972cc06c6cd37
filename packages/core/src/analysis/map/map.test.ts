import { describe, expect, test } from "vitest";
import { TestHost, vtdMessage } from "../host/testing/test-host.ts";
import { type HostMap, mapOf } from "./map.ts";
import type { MapRow } from "./row.ts";

function intel(): TestHost {
  return new TestHost().cpus(4).vtd().device("00:03.0", { driver: "virtio-pci" }).device("01:00.0");
}

function mapped(host: TestHost): HostMap {
  return mapOf(host.finish());
}

function whats(host: TestHost): string[] {
  return mapped(host).missing.map(({ what }) => what);
}

function onlyRow(host: TestHost): MapRow {
  const { interrupts } = mapped(host);
  expect(interrupts).toHaveLength(1);
  return interrupts[0]!;
}

describe("the row of an entry", () => {
  test("says all that is known of its interrupt", () => {
    const host = intel().remapped(21, { v: 0x24, dm: 1, dst: 0x0400, sid: 0x18 });
    host.irq(27, {
      device: "00:03.0",
      vector: 2,
      entry: 21,
      message: vtdMessage(21),
      chip: "IR-PCI-MSIX-0000:00:03.0",
      actions: ["virtio0-req.1"],
      counts: [0, 3, 40, 0],
    });
    const { origins, ...row } = onlyRow(host);
    expect(row).toEqual({
      unit: "dmar0",
      index: 21,
      requester: "0000:00:03.0",
      mode: "remapped",
      vector: 0x24,
      destination: 4,
      logical: true,
      delivery: "fixed",
      processors: [2],
      descriptor: null,
      machine: null,
      vcpu: null,
      irq: 27,
      device: "0000:00:03.0",
      driver: "virtio-pci",
      kind: "msix",
      input: 2,
      name: "virtio0-req.1",
      chip: "IR-PCI-MSIX-0000:00:03.0",
      message: { address: "0xfee002b8", data: "0x0" },
      counts: { 1: 3, 2: 40 },
      total: 43,
      state: null,
      allocated: null,
      value: "0x40018000004000024000d",
      source: { sid: "0x18", sq: 0, svt: 1 },
    });
    expect(Object.keys(origins)).toEqual(["entry", "interrupt", "message"]);
  });

  test("names the vCPU that it posts to", () => {
    const host = intel()
      .machine("4711", [0x1_0000n, 0x7_1234_5640n])
      .posted(3, { vv: 0x51, sid: 0x100, pda: 0x7_1234_5640n });
    expect(onlyRow(host)).toMatchObject({
      mode: "posted",
      vector: 0x51,
      destination: null,
      processors: null,
      descriptor: "0x712345640",
      machine: "4711",
      vcpu: 1,
      device: "0000:01:00.0",
    });
  });

  test("names the processor that posted MSI of the host goes to", () => {
    const host = intel().posted(3, { vv: 0x51, pda: 0x5000n });
    host.draft.descriptor(0x5000n, host.fact({ kind: "cpu", cpu: 3 }));
    expect(onlyRow(host)).toMatchObject({ mode: "posted", processors: [3], machine: null, vcpu: null });
  });

  test("names the machine of a vector that goes through the host", () => {
    const host = intel().machine("4711", [0x1_0000n]).remapped(3, { v: 0x31, sid: 0x100 });
    host.irq(50, { device: "01:00.0", entry: 3 });
    host.draft.machines[0]!.irqfds = host.fact([{ gsi: 24, irq: 50, message: null }]);
    expect(onlyRow(host)).toMatchObject({ mode: "remapped", machine: "4711", vcpu: null });
    expect(mapped(host).budgets.machines).toMatchObject([
      { machine: "4711", vcpus: 1, posted: 0, remapped: 1 },
    ]);
  });

  test("of AMD-Vi has its table's requester and its guest target", () => {
    const host = new TestHost().cpus(4).amdvi().device("01:00.0").machine("vm", [0x5000n]);
    host.guest(0x100, 5, { vector: 0x41, root: 0x5000n, dest: 2, isrun: 1 });
    expect(onlyRow(host)).toMatchObject({
      unit: "ivhd0",
      requester: "0000:01:00.0",
      index: 5,
      mode: "guest",
      vector: 0x41,
      descriptor: "0x5000",
      machine: "vm",
      vcpu: 0,
    });
  });

  test("is left out where it is not present, like AMD-Vi's mark of an allocated entry", () => {
    const host = new TestHost()
      .cpus(1)
      .amdvi()
      .entry(0xa0, 3, 0xffn << 64n)
      .remapped128(0xa0, 4, { vector: 0x22 });
    expect(mapped(host).interrupts.map(({ index }) => index)).toEqual([4]);
  });

  test("has no requester where it admits a range of buses", () => {
    const row = onlyRow(intel().remapped(29, { svt: 2, sid: 0x0303 }));
    expect(row).toMatchObject({ requester: null, device: null, source: { sid: "0x303", svt: 2 } });
  });

  test("is reserved where its vector is the one for interrupts that nobody requested", () => {
    expect(onlyRow(intel().remapped(9, { v: 0xef })).state).toBe("reserved");
    expect(mapped(intel().remapped(9, { v: 0xef })).totals).toMatchObject({ entries: 1, reserved: 1 });
  });

  test("leaves destination and processors out where the unit's mode is not known", () => {
    const host = intel().remapped(1, { v: 0x30, dst: 0x0400, dm: 1 });
    delete host.draft.vtdUnit("dmar0").extendedMode;
    expect(onlyRow(host)).toMatchObject({ destination: null, processors: null, vector: 0x30 });
  });

  test("is one for two interrupts; the second has a row of its own that says so", () => {
    const host = intel().remapped(7, { v: 0x30, sid: 0x18 });
    host
      .irq(30, { device: "00:03.0", entry: 7, actions: ["a"] })
      .irq(31, { device: "01:00.0", entry: 7, actions: ["b"] });
    expect(mapped(host).interrupts).toMatchObject([
      { index: 7, irq: 30, state: null },
      { index: null, irq: 31, allocated: 7, state: "shared" },
    ]);
  });
});

describe("the row of an interrupt without an entry", () => {
  test("takes vector and destination from a message of compatibility format", () => {
    const host = new TestHost().cpus(4).device("02:00.0");
    host.irq(24, {
      device: "02:00.0",
      chip: "PCI-MSI-0000:02:00.0",
      message: { address: 0xfee0_2004n, data: 0x4031 },
      actions: ["ahci"],
      counts: [0, 9, 0, 0],
    });
    expect(onlyRow(host)).toMatchObject({
      index: null,
      unit: null,
      mode: "unremapped",
      vector: 0x31,
      destination: 2,
      logical: true,
      processors: [1],
      kind: "msi",
    });
    expect(mapped(host).totals).toMatchObject({ entries: 0, irqs: 1, unremapped: 1, count: 9 });
  });

  test("takes all 32 bits of a unit's own destination", () => {
    const host = new TestHost().cpus(2, (cpu) => 0x100 * (cpu + 1));
    const message = { address: 0x0000_0200_fee0_0000n, data: 0x21 };
    host.irq(24, { chip: "DMAR-MSI", hwirq: 0n, message, actions: ["dmar0"], counts: [0, 0] });
    expect(onlyRow(host)).toMatchObject({
      kind: "unit",
      device: "dmar0",
      destination: 0x200,
      processors: [1],
    });
  });

  test("has the index that the kernel gave it, and says that it is not present", () => {
    const host = intel().irq(40, {
      device: "01:00.0",
      entry: 12,
      actions: ["nvme0q1"],
      counts: [0, 0, 0, 0],
    });
    expect(onlyRow(host)).toMatchObject({ index: null, allocated: 12, unit: "dmar0", state: "not present" });
  });

  test("does not say so where the source shows only a part of the table", () => {
    const host = intel().irq(40, { device: "01:00.0", entry: 12, actions: ["nvme0q1"] });
    const unit = host.draft.vtdUnit("dmar0");
    unit.table = host.fact({ ...unit.table!.value, complete: false });
    expect(onlyRow(host)).toMatchObject({ allocated: 12, state: null });
  });

  test("is remapped by the name of its chip, through an entry that is not known", () => {
    const host = intel().irq(30, {
      chip: "IR-PCI-MSI",
      hwirq: 49153n,
      actions: ["virtio0-req.0"],
      counts: [1],
    });
    expect(onlyRow(host)).toMatchObject({
      mode: "remapped",
      device: "0000:00:03.0",
      input: 1,
      unit: "dmar0",
    });
    expect(mapped(host).totals).toMatchObject({ entryUnknown: 1, unremapped: 0 });
  });

  test("is unused where nobody handles it and it never came", () => {
    expect(onlyRow(intel().irq(5, { affinity: [0, 1] })).state).toBe("unused");
    expect(mapped(intel().irq(5, { affinity: [0, 1] })).totals.irqs).toBe(0);
  });
});

describe("budgets", () => {
  test("of tables count present entries, those given away and the room for them", () => {
    const host = intel()
      .remapped(1, { v: 0x30 })
      .remapped(2, { v: 0x31 })
      .entry(null, 3, 1n << 20n);
    const unit = host.draft.vtdUnit("dmar0");
    unit.table = host.fact({ ...unit.table!.value, allocated: new Set([0, 1, 2, 3]) });
    expect(mapped(host).budgets.tables).toEqual([
      { unit: "dmar0", requesters: null, used: 2, allocated: 4, size: 65536, complete: true },
    ]);
  });

  test("of a table that requesters share come once", () => {
    const host = new TestHost().cpus(1).amdvi().remapped128(0x300, 0, { vector: 0x30 }).alias(0x308, 0x300);
    expect(mapped(host).budgets.tables).toMatchObject([
      { unit: "ivhd0", requesters: ["0000:03:00.0", "0000:03:01.0"], used: 1, size: 512 },
    ]);
  });

  test("of vectors are the kernel's own, where it was read", () => {
    const host = intel();
    host.draft.processor(0).vectors = host.fact({
      available: 190,
      allocated: 10,
      managed: 5,
      managedAllocated: 2,
    });
    const kernels = { cpu: 0, used: 10, available: 203, by: "kernel" };
    expect(mapped(host).budgets.processors).toEqual([kernels]);
    const [first, second] = mapped(host.remapped(1, { v: 0x30 })).budgets.processors;
    expect(first).toEqual(kernels);
    expect(second).toEqual({ cpu: 1, used: 0, available: null, by: "counted" });
  });

  test("of vectors are else counted: each once, of interrupts with one processor", () => {
    const host = intel()
      .remapped(1, { v: 0x30, dst: 0x0100 })
      .remapped(2, { v: 0x30, dst: 0x0100 })
      .remapped(3, { v: 0x31, dst: 0x0100 })
      .remapped(4, { v: 0xef, dst: 0x0100 })
      .remapped(5, { v: 0x32, dst: 0x0300, dm: 1 });
    expect(mapped(host).budgets.processors.map(({ used }) => used)).toEqual([0, 2, 0, 0]);
  });

  test("of messages are vectors in use of those that the function has", () => {
    const host = intel();
    const msix = { enabled: true, masked: false, available: 66, bar: 0, offset: 0 };
    host.device("02:00.0", { msix: host.fact(msix), driver: "nvme" });
    for (const vector of [0, 1, 2])
      host.irq(60 + vector, { device: "02:00.0", vector, chip: "IR-PCI-MSIX-0000:02:00.0" });
    expect(mapped(host).budgets.devices).toEqual([
      { device: "0000:02:00.0", driver: "nvme", kind: "msix", used: 3, available: 66 },
    ]);
  });
});

describe("what is missing", () => {
  test("is nothing on a host of which all is known", () => {
    const host = intel()
      .remapped(1, { v: 0x30, sid: 0x18 })
      .irq(30, { device: "00:03.0", entry: 1, chip: "IR-PCI-MSI" });
    expect(whats(host)).toEqual([]);
  });

  test("names a unit whose table nobody showed, unless it remaps nothing", () => {
    const host = intel();
    delete host.draft.vtdUnit("dmar0").table;
    expect(whats(host)).toEqual(["the interrupt remapping table of dmar0"]);
    host.draft.vtdUnit("dmar0").registers.set("GSTS", host.fact(0n));
    expect(whats(host)).toEqual([]);
  });

  test("names interrupts and entries that nothing brings together", () => {
    const host = intel()
      .remapped(1, { v: 0x30 })
      .irq(30, { chip: "IR-PCI-MSI", hwirq: 49152n, actions: ["x"] });
    expect(whats(host)).toEqual(["which of 1 entries serve which of 1 interrupts"]);
  });

  test("keeps what the sources named", () => {
    const host = intel().with(({ missing }) =>
      missing.push({ what: "debugfs", why: "not mounted", needs: null }),
    );
    expect(whats(host)).toEqual(["debugfs"]);
  });
});

test("rows can be written as JSON, whatever they hold", () => {
  const host = intel()
    .posted(1, { pda: (1n << 51n) - 64n })
    .remapped(65535, { sid: 0xffff, dst: 0xff00 });
  expect(() => JSON.stringify(mapped(host))).not.toThrow();
});
