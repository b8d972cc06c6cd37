import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readHexdumps } from "../evidence/input/hexdump.ts";
import { decodeKind } from "./decode.ts";
import { decodeTable } from "./decode-table.ts";
import { explainText } from "./explain.ts";
import { hostLength, recognise, traceLength, valueLimit } from "./recognise.ts";

const fixture = (name: string): Uint8Array =>
  readFileSync(new URL(`../evidence/fixtures/${name}`, import.meta.url));

const dmar = fixture("qemu-7.2-intel.dmar.bin");
const ivrs = fixture("qemu-7.2-amd.ivrs.bin");

const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
const ascii = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");

function rows(bytes: Uint8Array, print: (offset: number, row: Uint8Array) => string): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) lines.push(print(at, bytes.subarray(at, at + 16)));
  return lines.join("\n");
}

const pairs = (row: Uint8Array, swap: boolean): string =>
  Array.from({ length: Math.ceil(row.length / 2) }, (_, i) => {
    const [a, b] = [row[2 * i]!, row[2 * i + 1]];
    if (b === undefined) return swap ? `00${hex(a)}` : hex(a);
    return swap ? hex(b) + hex(a) : hex(a) + hex(b);
  }).join(" ");

/** How programs print bytes. */
const printers: Readonly<Record<string, (bytes: Uint8Array) => string>> = {
  xxd: (bytes) =>
    rows(
      bytes,
      (at, row) => `${at.toString(16).padStart(8, "0")}: ${pairs(row, false).padEnd(39)}  ${ascii(row)}`,
    ),
  "hexdump -C": (bytes) =>
    rows(bytes, (at, row) => {
      const half = (from: number): string => [...row.subarray(from, from + 8)].map(hex).join(" ");
      return `${at.toString(16).padStart(8, "0")}  ${`${half(0)}  ${half(8)}`.padEnd(50)}|${ascii(row)}|`;
    }),
  hexdump: (bytes) => rows(bytes, (at, row) => `${at.toString(16).padStart(7, "0")} ${pairs(row, true)}`),
  "od -t x1": (bytes) =>
    rows(bytes, (at, row) => `${at.toString(8).padStart(7, "0")} ${[...row].map(hex).join(" ")}`),
  acpidump: (bytes) =>
    rows(
      bytes,
      (at, row) =>
        `    ${at.toString(16).toUpperCase().padStart(4, "0")}: ${[...row].map(hex).join(" ").toUpperCase().padEnd(48)} ${ascii(row)}`,
    ),
};

describe("firmware tables in a text", () => {
  test.each(Object.keys(printers))("are read as %s prints them", (name) => {
    for (const bytes of [dmar, ivrs]) {
      const even = bytes.length % 2 === 0 ? bytes : bytes.subarray(0, -1);
      const [dump, ...rest] = readHexdumps(`$ some command\n${printers[name]!(even)}\n`);
      expect(rest).toEqual([]);
      expect(dump!.line).toBe(2);
      expect(Buffer.from(dump!.bytes).equals(Buffer.from(even))).toBe(true);
    }
  });

  test("are decoded as the command decodes the file", () => {
    const { tables, values, host } = recognise(
      `DMAR @ 0x0\n${printers["acpidump"]!(dmar)}\n\nIVRS @ 0x0\n${printers["acpidump"]!(ivrs)}\n`,
    );
    expect(tables.map(({ signature, line }) => [signature, line])).toEqual([
      ["DMAR", 2],
      ["IVRS", 4 + Math.ceil(dmar.length / 16)],
    ]);
    expect(tables[0]!.table).toEqual(decodeTable("dmar", dmar));
    expect(tables[1]!.table).toEqual(decodeTable("ivrs", ivrs));
    expect(values).toEqual([]);
    expect(host).toBeNull();
  });

  test("say what is wrong where they are cut off, and which others are none that decode takes", () => {
    const [cut] = recognise(printers["xxd"]!(dmar.subarray(0, 32))).tables;
    expect(cut!.table).toBeNull();
    expect(cut!.wrong).toContain("expected a header of");
    const apic = Uint8Array.from(dmar);
    apic.set(Buffer.from("APIC"));
    expect(recognise(printers["xxd"]!(apic)).tables[0]).toMatchObject({ signature: "APIC", table: null });
  });

  test("fill rows that hexdump leaves out", () => {
    const text =
      "00000000  44 4d 41 52 00 00 00 00  00 00 00 00 00 00 00 00  |DMAR|\n00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |.|\n*\n00000040  01\n";
    const [dump] = readHexdumps(text);
    expect(dump!.bytes.length).toBe(65);
    expect(dump!.bytes[64]).toBe(1);
  });
});

const valuesOf = (text: string): unknown[] =>
  recognise(text).values.map(({ line, kind, value, place }) => [line, kind, value, place]);

/** A line of a debugger's, two words of memory. */
const memory = (at: number, a: string, b: string): string => `0xffff8881000${at}:\t0x${a}\t0x${b}`;

describe("values in a text", () => {
  test("are rows of debugfs, each on its line", () => {
    const text = new TextDecoder().decode(fixture("intel-debugfs.txt"));
    const { values, host, trace } = recognise(text);
    expect(values[0]).toMatchObject({
      kind: "irte",
      value: "0000000000040050 000000800024000d",
      place: "entry 0",
      index: 0,
    });
    expect(host!.entries).toBeGreaterThan(2);
    expect(trace).toBe(false);
  });

  test("are AMD-Vi's entries and device table entries", () => {
    const { values, host } = recognise(new TextDecoder().decode(fixture("amd-debugfs.txt")));
    expect(values[0]).toMatchObject({ kind: "dte", place: "0000:01:00.0" });
    expect(values[1]).toMatchObject({
      kind: "amd-irte",
      value: "0000000000000020 0000000000000241",
      place: "entry 0",
    });
    expect(host!.entries).toBe(8);
  });

  test("are pairs that stand alone, with what else they may be", () => {
    const { values } = recognise("0x0000000000040050 0x000000800024000d");
    expect(values).toEqual([
      {
        line: 1,
        kind: "irte",
        value: "0000000000040050 000000800024000d",
        place: "",
        index: null,
        others: ["amd-irte", "iec", "frcd"],
      },
    ]);
    expect(valuesOf("fee00338 0000")).toEqual([[1, "msi", "fee00338 0000", ""]]);
  });

  test("are what a debugger prints of a descriptor", () => {
    const zero = "0".repeat(16);
    const text = [
      memory(0, "0002000000000000", zero),
      memory(10, zero, zero),
      memory(20, "0000010000f20001", zero),
      memory(30, zero, zero),
    ].join("\n");
    expect(recognise(text).values[0]).toMatchObject({ kind: "pid" });
  });

  test("are the capabilities of units that Linux found, each on its line", () => {
    const text =
      "[    0.004] DMAR: DRHD base: 0x000000fed90000 flags: 0x0\n[    0.005] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c222f0686 ecap f00f5e\n[    0.006] DMAR: dmar1: reg_base_addr fed91000 ver 1:0 cap d2008c20660462 ecap f010da";
    expect(valuesOf(text)).toEqual([
      [2, "cap", "00d2008c222f0686", ""],
      [2, "ecap", "0000000000f00f5e", ""],
      [3, "cap", "00d2008c20660462", ""],
      [3, "ecap", "0000000000f010da", ""],
    ]);
  });

  test("are the entries and requests of a QEMU trace", () => {
    // QEMU prints the high half as `low`.
    const text = "vtd_ir_irte_get index 5 low 0x4ff00 high 0x1000030000d\n";
    const recognised = recognise(text);
    expect(recognised.trace).toBe(true);
    expect(recognised.values).toEqual([
      {
        line: 1,
        kind: "irte",
        value: "000000000004ff00 000001000030000d",
        place: "entry 5",
        index: 5,
        others: [],
      },
    ]);
  });

  test.each([
    ["messages", "fee00338 0000\n".repeat(valueLimit + 7)],
    ["events of a trace", "vtd_ir_irte_get index 5 low 0x4ff00 high 0x1000030000d\n".repeat(valueLimit + 7)],
    [
      "capabilities",
      `${"fee00338 0000\n".repeat(valueLimit - 1)}${"reg_base_addr fed90000 ver 1:0 cap 12 ecap 34\n".repeat(4)}`,
    ],
  ])("are counted past the limit: %s", (_, text) => {
    const { values, valuesOmitted, valuesWhole } = recognise(text);
    expect([values.length, valuesOmitted, valuesWhole]).toEqual([valueLimit, 7, true]);
  });

  test("are looked for in the beginning of a trace, and that is said", () => {
    const line = "vtd_ir_irte_get index 5 low 0x4ff00 high 0x1000030000d\n";
    const { values, valuesOmitted, valuesWhole } = recognise(line.repeat(traceLength / line.length + 1));
    expect(values.length + valuesOmitted).toBe(Math.floor(traceLength / line.length));
    expect(valuesWhole).toBe(false);
  });

  test("may have capital letters in front and within", () => {
    expect(valuesOf("0X00000000 0XFEE00338 : 0X0000")).toEqual([]);
    expect(valuesOf("0X0000000000040018, 0X000100000023000D")).toEqual([
      [1, "irte", "0000000000040018 000100000023000d", ""],
    ]);
  });
});

test.each([
  ["what Linux prints of a unit", "reg_base_addr fed90000 ver 1:0 cap d2008c222f0686 ecap f00f5e", false],
  ["other words with underscores", "one_word 1\n".repeat(50), false],
  ["events that QEMU stamped", "4711@1700000000.123456:usb_packet 1\n".repeat(50), true],
  ["events of which few are known", `${"usb_packet 1\n".repeat(150)}vtd_ir_enable enable 1\n`, true],
])("a QEMU trace is told from other text: %s", (_, text, trace) => {
  expect(recognise(text).trace).toBe(trace);
});

test("progress is said in lines while messages are looked for", () => {
  const seen: string[] = [];
  recognise("fee00338 0000\n".repeat(2500), (what) => seen.push(what));
  expect(seen.filter((what) => what.startsWith("looking for messages, line"))).toEqual([
    "looking for messages, line 1",
    "looking for messages, line 1,001",
    "looking for messages, line 2,001",
  ]);
});

test("a long text is looked through for a host in its first part alone", () => {
  const row = " 0     00:0a.0 00000080 24  0000000000040050    000000800024000d\n";
  const table = `Remapped Interrupt supported on IOMMU: dmar0\n IR table address:100900000\n${row}`;
  expect(recognise(table).host).toEqual({ entries: 1, interrupts: 0, devices: 0, whole: true });
  const filling = `${" ".repeat(1023)}\n`.repeat(hostLength / 1024);
  expect(recognise(table + filling).host).toMatchObject({ entries: 1, whole: false });
  const seen: string[] = [];
  expect(recognise(filling + table, (what) => seen.push(what)).host).toBeNull();
  expect(seen).toEqual([
    "looking for tables",
    "looking for messages",
    "looking for messages, line 4,099",
    "looking for a machine",
  ]);
});

test("what explain says of a text stands in it unchanged", () => {
  const text =
    "DMAR: [INTR-REMAP] Request device [00:1f.0] fault index 0x25 [fault reason 0x26] Blocked an interrupt request due to source-id verification failure";
  expect(recognise(text).explanation).toEqual(explainText(text));
});

/** Of what the readers look for, and of what they do not. */
const fragments = [
  ..."\n,\n, ,\t,:,|,*,<,\u0000,\ud800,é,0".split(","),
  ..."0x 00000000 fee00338 0000000000040050 00000010: DMAR IVRS 444d4152 00:0a.0 IRT[0001] Entry".split(" "),
  ..."Address: Data: reg_base_addr vtd_ir_irte_get DeviceId iommu0 cap ecap"
    .split(" ")
    .map((word) => `${word} `),
];

test("no text makes it fail", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...fragments), { maxLength: 40 }), (parts) => {
      const { lines, values } = recognise(parts.join(""));
      expect(lines).toBeGreaterThanOrEqual(0);
      for (const { line, kind, value } of values) {
        expect(line).toBeGreaterThanOrEqual(1);
        expect(() => decodeKind(kind, value.split(" "))).not.toThrow();
      }
    }),
    { numRuns: 60 },
  );
  expect(recognise("")).toMatchObject({ lines: 0, values: [], tables: [], host: null, trace: false });
});
