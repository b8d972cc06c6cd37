import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readIrqDumps } from "./irq-debugfs.ts";

function sample(name: string): string {
  return readFileSync(new URL(`../fixtures/irq-debugfs-${name}.txt`, import.meta.url), "latin1");
}

const ioapic = sample("amd-ioapic");

test.each([
  {
    name: "amd-ioapic",
    irq: 4,
    levels: ["IO-APIC-240 0x4 IR-IO-APIC", "AMD-IR-3 0xa00000 AMD-IR", "VECTOR 0x4 APIC"],
    vector: { vector: 33, cpu: 130 },
    effective: "130",
    state: 0x35408200,
    device: null,
    message: null,
  },
  {
    name: "amd-msix",
    irq: 87,
    levels: [
      "IR-PCI-MSIX-0000:41:00.0-12 0x8 IR-PCI-MSIX-0000:41:00.0",
      "AMD-IR-3-14 0x41000000 AMD-IR",
      "VECTOR 0x57 APIC",
    ],
    vector: { vector: 33, cpu: 3 },
    effective: "3",
    state: 0x19601200,
    device: "0000:41:00.0",
    message: { address: 0xfee00000n, data: 8 },
  },
  {
    name: "intel-5.10",
    irq: 209,
    levels: ["INTEL-IR-MSI-3-3 0x6c00000 IR-PCI-MSI", "INTEL-IR-3 0x20000 INTEL-IR", "VECTOR 0xd1 APIC"],
    vector: { vector: 42, cpu: 5 },
    effective: "5",
    state: 0x35409200,
    device: "0000:d8:00.0",
    message: null,
  },
  {
    name: "intel-nvme",
    irq: 138,
    levels: [
      "IR-PCI-MSIX-0000:06:00.0-12 0x1 IR-PCI-MSIX-0000:06:00.0",
      "INTEL-IR-0-13 0x230000 INTEL-IR",
      "VECTOR 0x8a APIC",
    ],
    vector: { vector: 34, cpu: 1 },
    effective: "1",
    state: 0x31608200,
    device: "0000:06:00.0",
    message: null,
  },
])("the levels, vector and message of $name are read", ({ name, levels, ...facts }) => {
  const { dumps } = readIrqDumps(sample(name));
  expect(dumps).toHaveLength(1);
  expect(dumps[0]).toMatchObject(facts);
  expect(
    dumps[0]!.levels.map(({ domain, hwirq, chip }) => `${domain} 0x${hwirq.toString(16)} ${chip}`),
  ).toEqual(levels);
  expect(dumps[0]!.stateNames).toContain("IRQD_IRQ_STARTED");
  expect(dumps[0]!.stateNames).not.toContain("IRQCHIP_SKIP_SET_WAKE");
});

test("what begins with a domain has lost its head; a level that was cut off is left out", () => {
  const { dumps } = readIrqDumps(sample("posted-msi"));
  expect(dumps.map(({ irq, levels }) => [irq, levels.map(({ chip }) => chip)])).toEqual([
    [101, ["IR-PCI-MSIX-0000:6f:01.0", "INTEL-IR-POST", "APIC"]],
    [null, ["IR-IO-APIC", "INTEL-IR"]],
  ]);
  expect(dumps[0]).toMatchObject({ state: null, vector: null });
});

test("an interrupt without a vector has none", () => {
  const { dumps } = readIrqDumps(
    "handler:  handle_edge_irq\ndomain:  VECTOR\n hwirq:   0x5\n chip:    APIC\n Vector: Not assigned\n Target: Legacy PIC all CPUs\n",
  );
  expect(dumps[0]).toMatchObject({ irq: 5, vector: null });
});

test("tabs and CR LF change nothing", () => {
  const changed = ioapic.replaceAll(/^ +/gm, (spaces) => "\t".repeat(spaces.length)).replaceAll("\n", "\r\n");
  expect(readIrqDumps(changed).dumps).toEqual(readIrqDumps(ioapic).dumps);
});

test("a text with some lines left out never says something else", () => {
  const [whole] = readIrqDumps(ioapic).dumps;
  const lines = ioapic.split("\n");
  fc.assert(
    fc.property(fc.infiniteStream(fc.boolean()), (keep) => {
      const { dumps } = readIrqDumps(lines.filter(() => keep.next().value as boolean).join("\n"));
      for (const { irq, vector, state } of dumps) {
        expect([null, whole!.irq]).toContain(irq);
        expect([null, whole!.state]).toContain(state);
        expect([null, 33]).toContain(vector?.vector ?? null);
      }
    }),
  );
});
