import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../input-error.ts";
import { HostDraft } from "./draft.ts";
import { readPastedHost } from "./read-pasted.ts";
import type { HostState } from "./state.ts";

const fixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/${name}`, import.meta.url), "latin1");

function read(text: string, source?: string): HostState {
  const draft = new HostDraft("-");
  readPastedHost(text, draft, source);
  return draft.finish();
}

const intel = fixture("intel-debugfs.txt");
const amd = fixture("amd-debugfs.txt");
const lspci =
  "0000:00:0a.0 Ethernet controller [0200]: Intel I210 [8086:1533]\n\tCapabilities: [50] MSI: Enable+ Count=1/1 Maskable+ 64bit+\n\t\tAddress: 00000000fee00018  Data: 0000\n";
const interrupts =
  "           CPU0       CPU1\n 24:          0          7  IR-PCI-MSI-0000:00:0a.0    0-edge      eth0\n";
const log =
  "[    0.07] DMAR-IR: Enabled IRQ remapping in x2apic mode\n[ 9.1] DMAR: [INTR-REMAP] Request device [65:00.0] fault index 0x25 [fault reason 0x22] Present field in the IRTE entry is clear\n";

describe("a mixture of texts", () => {
  const host = read(["$ cat everything", intel, lspci, interrupts, log].join("\n"), "paste.txt");

  test("is one picture", () => {
    expect(
      host.units.map((unit) => [unit.name, unit.vendor === "intel" && unit.table?.value.entries.size]),
    ).toEqual([
      ["dmar0", 2],
      ["dmar1", 1],
    ]);
    expect(host.devices).toMatchObject([
      { requester: 0x50, msi: { value: { message: { address: 0xfee00018n } } } },
    ]);
    expect(host.interrupts).toMatchObject([
      { irq: 24, counts: { value: [0, 7] }, chip: { value: "IR-PCI-MSI-0000:00:0a.0" } },
    ]);
    expect(host.log?.value.map(({ kind }) => kind)).toEqual(["boot-message", "vtd-fault"]);
    expect(host.processors.map(({ cpu }) => cpu)).toEqual([0, 1]);
  });

  test("has the line of each fact", () => {
    const lines = ["$ cat everything", intel, lspci, interrupts, log].join("\n").split("\n");
    const { source, place } = host.interrupts[0]!.counts!.origin;
    expect(source).toBe("paste.txt");
    expect(lines[Number(place!.slice("line ".length)) - 1]).toContain("eth0");
  });

  test("counts what was not understood", () => {
    expect(host.missing).toContainEqual({
      what: "3 lines of paste.txt, line 1 the first",
      why: "they were not understood",
      needs: null,
    });
  });

  test("says of every unit whether it remaps, once the log does", () => {
    expect(host.units.map(({ extendedMode }) => extendedMode?.value)).toEqual([true, true]);
  });
});

test("AMD's debugfs is a unit with tables, whose place the device table entry says", () => {
  const { units, devices } = read(amd);
  expect(units).toHaveLength(1);
  const [unit] = units;
  expect(unit).toMatchObject({ vendor: "amd", name: "ivhd3", queue: { value: { head: 339, tail: 339 } } });
  expect(unit!.vendor === "amd" && unit!.tables.get(0x100)!.value).toMatchObject({
    base: 0x1_373b_8000n,
    length: 512,
    complete: true,
  });
  expect(devices[0]!.unit?.value).toBe("ivhd3");
});

test("rows that no heading belongs to are of a unit without a name, unless there is one only", () => {
  const row = " 0     00:0a.0 00000080 24  0000000000040050    000000800024000d\n";
  expect(read(row).units.map(({ name }) => name)).toEqual(["dmar?"]);
  const unit = "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c22260206 ecap f00f4a\n";
  expect(read(unit + row).units.map(({ name }) => name)).toContain("dmar?");
});

test("capabilities that lspci does not show are named", () => {
  const { missing } = read("01:00.0 0108: 1b36:0010\n\tCapabilities: <access denied>\n");
  expect(missing.map(({ what }) => what)).toEqual(["capabilities of 1 PCI functions"]);
});

test("irq/irqs is an interrupt with its vector", () => {
  expect(read(fixture("irq-debugfs-intel-nvme.txt")).interrupts).toMatchObject([
    { irq: 138, vector: { value: { vector: 34, cpu: 1 } } },
  ]);
});

test.each(["", "\n", " \t\r\n\n"])("nothing is said to be nothing: %j", (text) => {
  expect(() => read(text)).toThrow(new InputError("standard input: it is empty"));
});

test.each([
  ["prose", "my interrupts are lost\nplease help\n"],
  ["a listing of lspci lines without a function", "\tCapabilities: [70] MSI-X: Enable+ Count=5 Masked-\n"],
])("%s ends in one line that says what was expected", (_, text) => {
  expect(() => read(text)).toThrow(InputError);
  expect(() => read(text)).toThrow(/^standard input: line 1: expected ir_translation_struct, [^\n]*$/);
});

test("text with CR LF, tabs for spaces, or behind another prompt is read the same", () => {
  const text = intel + lspci + interrupts;
  expect(strip(read(text.replaceAll("\n", "\r\n")))).toBe(strip(read(text)));
});

function strip({ units, devices, interrupts }: HostState): string {
  return JSON.stringify([units, devices, interrupts], plain);
}

function plain(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return value instanceof Map ? [...value] : value;
}

test("edited text gives a picture or one clear line, and no entry that stands nowhere in it", () => {
  const text = [intel, amd, lspci, interrupts, log, fixture("irq-debugfs-amd-msix.txt")].join("\n");
  const edit = fc.tuple(
    fc.nat({ max: text.length }),
    fc.nat({ max: 200 }),
    fc.string({ maxLength: 8, unit: "binary" }),
  );
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 8 }), (edits) => {
      const changed = edits.reduce(
        (text, [at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut),
        text,
      );
      let host: HostState;
      try {
        host = read(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
        return;
      }
      for (const unit of host.units) {
        const tables =
          unit.vendor === "amd" ? [...unit.tables.values()] : unit.table === undefined ? [] : [unit.table];
        for (const { value } of tables) {
          for (const entry of value.entries.values()) {
            expect(changed.toLowerCase()).toContain((entry & ((1n << 64n) - 1n)).toString(16));
          }
        }
      }
    }),
    { numRuns: 200 },
  );
});
