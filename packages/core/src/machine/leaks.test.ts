import { describe, expect, test } from "vitest";
import { Eventfd } from "../linux/eventfd.ts";
import { amdRemapping } from "../linux/amd-ir/remapping.ts";
import { irteOpsOf } from "../linux/amd-ir/irte.ts";
import { allocIrqIndex } from "../linux/amd-ir/table.ts";
import { intelRemapping } from "../linux/intel-ir/remapping-state.ts";
import { allocIrte } from "../linux/intel-ir/table.ts";
import { ApicChipData } from "../linux/irq/vector-state.ts";
import { kvmCreateVm } from "../linux/kvm/create.ts";
import { vmxX86Ops } from "../linux/kvm/vmx/ops.ts";
import { vfioOpenDevice } from "../linux/vfio/file.ts";
import { Driver } from "./driver.ts";
import { entriesOf } from "./entries.ts";
import { leaksOf } from "./leaks.ts";
import type { Machine } from "./machine.ts";
import { type Draft, booted, guest, nic, runDraft } from "./testbed.ts";

/** A machine on which everything has been used, and given back. */
async function used(draft: Draft): Promise<Machine> {
  const { machine, act } = booted({ devices: nic, vms: guest, ...draft });
  await act({ start: "guest" }, { enable: { device: "nic" } }, { interrupt: { device: "nic", times: 3 } });
  await act({ halt: "guest/0" });
  machine.takeApart();
  return machine;
}

const producer = { eventfd: null, irq: 30, consumer: null };
const consumer = { eventfd: null, producer: null, addProducer: () => 0, delProducer: () => {} };

const plants: readonly [string, (machine: Machine) => unknown, readonly string[]][] = [
  ["an IRTE", ({ kernel: k }) => allocIrte(k, intelRemapping(k).units[0]!, 4), ["4 table entries left"]],
  ["a vector", ({ kernel: k }) => k.irqs.vectors!.matrix.allocate([2], false), ["1 vectors left"]],
  ["a promised vector", ({ kernel: k }) => k.irqs.vectors!.matrix.reserve(), ["1 promised vectors left"]],
  [
    "a place in vector_irq",
    ({ kernel: k }) => {
      const { table } = k.irqs.vectors!;
      table[3]![0x55] = table.flat().find((descriptor) => descriptor !== null)!;
    },
    ["1 places in vector_irq left"],
  ],
  [
    "a vector that was moved away from",
    ({ kernel: k }) => k.irqs.vectors!.cleanup[1]!.add(new ApicChipData(40)),
    ["1 moved vectors left"],
  ],
  [
    "a producer",
    ({ kernel: k }) => k.irqBypass.producers.set(new Eventfd("one"), producer),
    ["1 irqbypass producers left"],
  ],
  [
    "a consumer",
    ({ kernel: k }) => k.irqBypass.consumers.set(new Eventfd("one"), consumer),
    ["1 irqbypass consumers left"],
  ],
  [
    "an open VFIO device",
    ({ kernel: k, devices }) => vfioOpenDevice(k, devices.get("nic")!.pci),
    ["1 VFIO devices left"],
  ],
  [
    "a VM, and the pages that it needs",
    ({ kernel: k }) => kvmCreateVm(k, { name: "other", ops: vmxX86Ops }),
    ["1 virtual machines left", "1 allocations of pages left"],
  ],
  ["a page", ({ kernel: k }) => k.pages.allocate(1), ["1 allocations of pages left"]],
  [
    "a page too few",
    ({ kernel: k }) => k.pages.free(intelRemapping(k).units[0]!.table!.base),
    ["1 allocations of pages gone that were there after boot"],
  ],
  [
    "a vCPU's place on a wakeup list",
    ({ threadStates }) => [...threadStates][0]!.addToList(2, 37),
    ["vCPU slot 37 stands on the wakeup list of CPU 2", "1 places on wakeup lists left"],
  ],
  [
    "a vCPU on a CPU",
    ({ processors }) => processors.place({} as Parameters<typeof processors.place>[0], 2),
    ["a vCPU has CPU 2"],
  ],
  [
    "an interrupt without its EOI",
    ({ hardware: { apics, cpus } }) => {
      apics.fixed(1, 0x41);
      cpus[1]!.localApic.acknowledge();
    },
    ["CPU 1 has an interrupt in service"],
  ],
  [
    "a present entry of nobody's",
    ({ kernel: k, hardware: { memory } }) => {
      const { table } = intelRemapping(k).units[0]!;
      memory.writeWords(table!.addressOf(7), Int32Array.of(0x0041_0001, 2, 0x0004_0100, 0));
    },
    ["the entry at 0x1000070, of 01:00.0, is present, and no interrupt has it"],
  ],
  [
    "a present entry of everybody's",
    ({ kernel: k, hardware: { memory } }) =>
      memory.write32(intelRemapping(k).units[0]!.table!.addressOf(7), 1),
    ["the entry at 0x1000070, of anybody, is present, and no interrupt has it"],
  ],
];

describe("when everything was given back", () => {
  test.each(plants)("%s that is left is found", async (_, plant, expected) => {
    const machine = await used({});
    expect(leaksOf(machine)).toEqual([]);
    plant(machine);
    expect(leaksOf(machine)).toEqual(expected);
  });

  test("everything of a driver that nobody took off its device is found", async () => {
    const machine = await used({});
    const { kernel: k, devices } = machine;
    const device = devices.get("nic")!;
    new Driver(k, device.pci, () => {}).enable("msix", 2);
    const at = entriesOf(machine.hardware, device).map(({ address }) => `0x${address.toString(16)}`);
    expect(leaksOf(machine)).toEqual([
      "2 table entries left",
      "2 vectors left",
      "2 places in vector_irq left",
      "2 handlers left",
      "2 irq descriptors left",
      "6 mapped interrupts left",
      `the entry at ${at[0]}, of 01:00.0, is present, and no interrupt has it`,
      `the entry at ${at[1]}, of 01:00.0, is present, and no interrupt has it`,
      "nic has its messages still",
    ]);
  });
});

describe("on AMD", () => {
  const amd = { machine: { vendor: "amd", cmdline: "" } };

  test("a device keeps its table, and that is no leak", async () => {
    const machine = await used(amd);
    expect(amdRemapping(machine.kernel).segments[0]!.irqTables.size).toBe(1);
    expect(leaksOf(machine)).toEqual([]);
  });

  test("entries that are left are found by what the driver keeps, and by memory", async () => {
    const machine = await used(amd);
    const { kernel: k, hardware } = machine;
    const [iommu] = amdRemapping(k).iommus;
    const index = allocIrqIndex(k, iommu!, irteOpsOf(k), 0x0100, 2, false, null, 512);
    expect(leaksOf(machine)).toEqual(["2 table entries left"]);
    const address = amdRemapping(k).segments[0]!.irqTables.get(0x0100)!.addressOf(index);
    hardware.memory.write32(address, hardware.memory.read32(address) | 1);
    expect(leaksOf(machine).slice(1)).toEqual([
      `the entry at 0x${address.toString(16)}, of 01:00.0, is present, and no interrupt has it`,
    ]);
  });
});

describe("after a crash", () => {
  const crash: Draft = {
    devices: nic,
    script: [{ enable: { device: "nic" } }, { interrupt: { device: "nic" } }, "crash"],
    expect: { delivered: 4 },
  };

  test("entries of the dead kernel stay taken, and are no leak of the new one", async () => {
    expect((await runDraft(crash)).findings).toEqual([]);
    const { machine, act } = booted(crash);
    await act(...crash.script!);
    machine.takeApart();
    expect(intelRemapping(machine.kernel).entries).toBe(4);
  });

  test("an entry that the new kernel leaves is one", async () => {
    const { machine, act } = booted(crash);
    await act(...crash.script!, { enable: { device: "nic", vectors: 2 } });
    machine.drivers.clear();
    machine.takeApart();
    expect(leaksOf(machine)).toContain("2 table entries left");
  });
});
