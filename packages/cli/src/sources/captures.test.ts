import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { HostState } from "@intremap/core";
import { afterAll, describe, expect, test } from "vitest";
import { testIo } from "../testing/test-io.ts";
import { readHost } from "./host.ts";

function pathOf(capture: string): string {
  return fileURLToPath(new URL(`../../../../captures/${capture}.tar.xz`, import.meta.url));
}

const folder = mkdtempSync(join(tmpdir(), "intremap-captures-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The capture as `tar` unpacks it, so that nothing here rests on the readers that are under test. */
function unpacked(capture: string): string {
  const path = join(folder, capture);
  if (!existsSync(path))
    execFileSync("tar", ["--xz", "--extract", "--file", pathOf(capture), "--directory", folder]);
  return path;
}

function fileOf(capture: string, name: string): string {
  return readFileSync(join(unpacked(capture), name), "latin1");
}

function namesIn(capture: string, name: string): string[] {
  return readdirSync(join(unpacked(capture), name)).sort();
}

function digits(value: number, width: number): string {
  return value.toString(16).padStart(width, "0");
}

async function read(capture: string): Promise<HostState> {
  return readHost(pathOf(capture), testIo());
}

const captures = ["amd61-q72", "intel61-5G-strict-node", "intel61-hold", "intel61-q72"];

describe.each(captures)("the capture %s", (capture) => {
  const reading = read(capture);

  test("has the functions, interrupts and processors that the guest had", async () => {
    const { devices, interrupts, processors } = await reading;
    const functions = namesIn(capture, "pci");
    const printed = devices.map(({ segment, requester }) => {
      const device = `${digits(requester >> 8, 2)}:${digits((requester >> 3) & 31, 2)}.${requester & 7}`;
      return `${digits(segment, 4)}:${device}`;
    });
    expect(printed).toEqual(functions);
    const irqs = [...namesIn(capture, "sysirq"), ...namesIn(capture, "irq")].map(Number);
    expect(interrupts.map(({ irq }) => irq)).toEqual([...new Set(irqs)].sort((a, b) => a - b));
    expect(processors.map(({ apicId, online }) => [apicId?.value, online?.value])).toEqual(
      [0, 1, 2, 3].map((id) => [id, true]),
    );
  });

  test("has the rows of /proc/interrupts", async () => {
    const { interrupts } = await reading;
    const rows = fileOf(capture, "interrupts")
      .split("\n")
      .filter((line) => /^ *\d+:/.test(line));
    expect(rows.length).toBeGreaterThan(20);
    for (const row of rows) {
      const [irq, ...words] = row.trim().split(/\s+/);
      const interrupt = interrupts.find((one) => `${one.irq}:` === irq)!;
      expect(interrupt.counts!.value).toEqual(words.slice(0, 4).map(Number));
      expect(interrupt.chip!.value).toBe(words[4]);
      expect(`${interrupt.hwirq!.value}-${interrupt.flow!.value}`).toBe(words[5]);
      expect(interrupt.actions!.value.join(", ")).toBe(words.slice(6).join(" "));
    }
  });

  test("has the MSI-X vectors of each function that uses them", async () => {
    const { devices } = await reading;
    const using = namesIn(capture, "pci").filter((name) =>
      namesIn(capture, `pci/${name}`).includes("msi_irqs"),
    );
    expect(using.length).toBeGreaterThan(5);
    for (const name of using) {
      const device = devices.find(({ messageIrqs }) =>
        fileOf(capture, `pci/${name}/msi_irqs`).startsWith(`${messageIrqs?.value[0]?.irq} `),
      )!;
      const rows = fileOf(capture, `pci/${name}/msi_irqs`).trimEnd().split("\n");
      expect(device.messageIrqs!.value.map(({ irq, kind }) => `${irq} ${kind}`)).toEqual(rows);
      const own = device.messageIrqs!.value[0]!.kind === "msix" ? device.msix : device.msi;
      expect(own?.value).toMatchObject({ enabled: true });
    }
  });

  test("says that the unit remaps", async () => {
    const { units } = await reading;
    expect(units.map(({ name, remapping }) => [name, remapping?.value])).toEqual([
      [capture.startsWith("amd") ? "ivhd0" : "dmar0", true],
    ]);
  });
});

/** Entries as the guest's own program printed them: index, high and low quadword. */
const printedEntries = {
  "intel61-hold": ["irprobe.txt", /^IRTE\[(\d+)\] ([0-9a-f]{16}) ([0-9a-f]{16})/gm],
  "intel61-5G-strict-node": ["nodeprobe.txt", /^IRTE (\d+) ([0-9a-f]{16}) ([0-9a-f]{16})$/gm],
} as const;

test.each(Object.entries(printedEntries))(
  "the table of %s is what another program printed of it",
  async (capture, [file, pattern]) => {
    const { units } = await read(capture);
    const [unit] = units;
    if (unit?.vendor !== "intel") throw new Error("expected a unit of Intel's");
    const printed = [...fileOf(capture, file).matchAll(pattern)].map(([, index, high, low]) => [
      Number(index),
      BigInt(`0x${high}${low}`),
    ]);
    expect(printed).toHaveLength(27);
    expect([...unit.table!.value.entries].sort(([a], [b]) => a - b)).toEqual(printed);
    expect(unit.table!.value).toMatchObject({ length: 65_536, complete: true });
    expect(unit.table!.value.base).toBe(capture === "intel61-hold" ? 0x4a0_0000n : 0x1_0020_0000n);
  },
);

test("the registers of intel61-hold are those that the guest printed", async () => {
  const { units } = await read("intel61-hold");
  const line = /^VER .*$/m.exec(fileOf("intel61-hold", "irprobe.txt"))![0];
  // What the queue did since then does not count.
  for (const [, name, value] of line.matchAll(/\b([A-Z]+) ([0-9a-f]+)/g)) {
    if (name !== "IQH" && name !== "IQT")
      expect(units[0]!.registers.get(name!)?.value).toBe(BigInt(`0x${value}`));
  }
});

test("the tables of amd61-q72 are what another program printed of them", async () => {
  const { units } = await read("amd61-q72");
  const [unit] = units;
  if (unit?.vendor !== "amd") throw new Error("expected a unit of AMD's");
  const parts = fileOf("amd61-q72", "irprobe.txt")
    .split(/^DTE\[/m)
    .slice(1);
  const tables = parts.flatMap((part) => {
    const entries = [...part.matchAll(/GA-IRTE\[(\d+)\] lo ([0-9a-f]{16}) hi ([0-9a-f]{16})/g)];
    return entries.length === 0 ? [] : [{ id: Number.parseInt(part, 16), entries }];
  });
  expect(tables.length).toBeGreaterThan(5);
  for (const { id, entries } of tables) {
    const { value } = unit.tables.get(id)!;
    const held = [...value.entries].sort(([a], [b]) => a - b);
    expect(held).toEqual(entries.map(([, index, low, high]) => [Number(index), BigInt(`0x${high}${low}`)]));
    expect(value).toMatchObject({ length: 512, width: 128 });
  }
  const rows = parts.filter((part) => /\bIV1\b/.test(part)).map((part) => Number.parseInt(part, 16));
  for (const id of rows) expect(unit.devices!.value.has(id)).toBe(true);
  expect(unit.control?.value).toBe(0x3f48fn);
});
