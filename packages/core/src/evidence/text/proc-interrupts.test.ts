import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readInterruptTable } from "./proc-interrupts.ts";

const text = `           CPU0       CPU1
  0:         87          0  IR-IO-APIC   2-edge      timer
  9:          0          1  IR-IO-APIC   9-fasteoi   acpi
 24:          0          0  DMAR-MSI   0-edge      dmar0
 25:          0          0  IR-PCI-MSI 98304-edge      PCIe PME, aerdrv
 38:         16          0  IR-PCI-MSIX-0000:01:00.0    0-edge      nvme0q0
 39:          0 4294967295  Hyper-V PCIe MSI 1073741824-edge      mlx5
NMI:          0          0   Non-maskable interrupts
ERR:          3
PIN:          5          7   Posted-interrupt notification event
`;

const table = readInterruptTable(text);

test("each row has its numbers, chip, hwirq, flow and handlers", () => {
  expect(table.cpus).toEqual([0, 1]);
  expect(
    table.interrupts.map(({ irq, counts, chip, hwirq, flow, actions }) => [
      irq,
      counts,
      chip,
      hwirq,
      flow,
      actions,
    ]),
  ).toEqual([
    [0, [87, 0], "IR-IO-APIC", 2n, "edge", ["timer"]],
    [9, [0, 1], "IR-IO-APIC", 9n, "fasteoi", ["acpi"]],
    [24, [0, 0], "DMAR-MSI", 0n, "edge", ["dmar0"]],
    [25, [0, 0], "IR-PCI-MSI", 98304n, "edge", ["PCIe PME", "aerdrv"]],
    [38, [16, 0], "IR-PCI-MSIX-0000:01:00.0", 0n, "edge", ["nvme0q0"]],
    [39, [0, 4294967295], "Hyper-V PCIe MSI", 1073741824n, "edge", ["mlx5"]],
  ]);
  expect(table.interrupts[0]!.line).toBe(2);
  expect(table.lines.size).toBe(10);
});

test("rows that are no device's are counters, of every processor or of the machine", () => {
  expect(table.counters.map(({ label, counts, title }) => [label, counts, title])).toEqual([
    ["NMI", [0, 0], "Non-maskable interrupts"],
    ["ERR", [3], ""],
    ["PIN", [5, 7], "Posted-interrupt notification event"],
  ]);
});

test("columns are those of the processors that are online", () => {
  expect(readInterruptTable("  CPU0  CPU3\n 5:  1  2  IO-APIC 5-edge x\n").cpus).toEqual([0, 3]);
});

describe("rows that somebody changed", () => {
  test.each([
    ["a separator in a number", " 5:  1,234  2  IO-APIC  5-edge  x"],
    ["a dot in a number", " 5:  1.234  2  IO-APIC  5-edge  x"],
    ["a missing number", " 5:  1  IO-APIC  5-edge  x"],
    ["one number too many", " 5:  1  2  3  IO-APIC  5-edge  x"],
  ])("%s: the row's numbers and names are not believed", (_, row) => {
    const { interrupts } = readInterruptTable(`  CPU0  CPU1\n${row}\n`);
    for (const { irq, counts, chip, actions } of interrupts) {
      expect([irq, counts, chip, actions]).toEqual([5, null, null, []]);
    }
  });

  test("tabs, CR LF and colours change nothing", () => {
    const changed = text.replaceAll("\n", "\r\n").replace("  0:  ", "\t0:\t");
    expect(readInterruptTable(changed).interrupts).toEqual(table.interrupts);
  });
});

test("rows without a heading say what they are, and not whose their numbers are", () => {
  const { interrupts, counters } = readInterruptTable(
    " 129:   0   82393  IR-PCI-MSI 23592960-edge      xhci_hcd\n12: 5 minutes ago\nPIN: 1 2   Posted-interrupt notification event\n",
  );
  expect(interrupts).toHaveLength(1);
  expect(interrupts[0]).toMatchObject({ irq: 129, counts: null, chip: "IR-PCI-MSI", hwirq: 23592960n });
  expect(counters.map(({ counts }) => counts)).toEqual([[1, 2]]);
});

test("a row of 8,192 processors is read whole", () => {
  const cpus = Array.from({ length: 8192 }, (_, cpu) => cpu);
  const heading = cpus.map((cpu) => `CPU${cpu}`.padStart(10)).join(" ");
  const row = cpus.map((cpu) => String(cpu).padStart(10)).join(" ");
  const [read] = readInterruptTable(`${heading}\n 7: ${row}  IR-IO-APIC  7-edge  x\n`).interrupts;
  expect(read!.counts).toEqual(cpus);
  expect(read!.chip).toBe("IR-IO-APIC");
});

test("anything is read without an exception, and in linear time", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: text.length }), fc.nat({ max: 8 }), fc.string()), { maxLength: 6 }),
      (edits) => {
        const changed = edits.reduce(
          (text, [at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut),
          text,
        );
        const { cpus, interrupts } = readInterruptTable(changed);
        for (const { counts } of interrupts)
          expect(counts === null || counts.length === cpus.length).toBe(true);
      },
    ),
  );
  const spaces = " ".repeat(100_000);
  const rows = Array.from({ length: 20 }, () => `5: 1 a${spaces}b`).join("\n");
  expect(readInterruptTable(`CPU0\n${rows}\n`).interrupts).toHaveLength(20);
});
