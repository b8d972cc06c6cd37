import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explainText, kindNames } from "@intremap/core";
import { expect, test } from "vitest";
import { type CopyForm, copyOf } from "../src/views/bits/copies.ts";
import { readSubject } from "../src/parts/subject.ts";

const gccMissing = !existsSync("/usr/bin/gcc");

function copied(form: CopyForm, kind: string, value?: string): string | null {
  const subject = readSubject({ kind, value }, {});
  return copyOf(form, subject, { names: "spec", context: {}, index: 12 });
}

const values: Readonly<Record<string, string>> = {
  irte: "0000000000040018 000002000022000d",
  "irte posted": "0001234500040018 f345678000518001",
  "amd-irte": "1100000000000031 0000002200000141",
  "amd-irte short": "00310141",
  dte: "0123456789abcdef 20000001373b8013 0000000000000038 6000000114d7b603",
  pid: "1 2 3 4 0000010000f20001 6 7 8",
  msi: "fee0033800000000 12344021",
  "ioapic-rte": "0100000000000931",
  iec: "0000000500000014 0000000000000099",
  frcd: "8000002600000018 0005000000000000",
  cap: "00d2008c222f0686",
};

/** Linux's structures, as far as their members are named. */
const structures = `#include <stdint.h>
#include <stdio.h>
typedef uint64_t u64; typedef uint32_t u32;
struct irte { u64 low, high; };
struct irte_ga { union { u64 val; } lo; union { u64 val; } hi; };
struct dev_table_entry { u64 data[4]; };
struct pi_desc { u64 pir64[4]; u64 control; u32 rsvd[6]; };
struct msi_msg { u32 address_lo, address_hi, data; };
struct IO_APIC_route_entry { u32 w1, w2; };
struct qi_desc { u64 qw0, qw1, qw2, qw3; };
static void show(const void *value, unsigned long size) {
	for (unsigned long i = 0; i < size; i++) printf("%02x", ((const unsigned char *)value)[i]);
	puts("");
}
`;

/** What a value's words are in memory, the lowest byte first. */
function bytesOf(kind: string, value: string): string {
  const { words, parts, text } = readSubject({ kind, value }, {});
  const widths = kind === "msi" ? [64, 32] : [kind === "iec" ? text.length * 4 : parts[0]!.layout.width];
  return words
    .map((word, i) => {
      const digits = word.toString(16).padStart(widths[i]! / 4, "0");
      return digits.match(/../g)!.reverse().join("");
    })
    .join("");
}

test.skipIf(gccMissing)("a C initializer holds the value's bytes", { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "intremap-c-"));
  try {
    const blocks = Object.entries(values).map(([name, value]) => {
      const text = copied("c", name.split(" ")[0]!, value)!;
      const variable = /^(?:struct |union )?\w+ (\w+)(?:\[\])? = /m.exec(text)![1]!;
      // The tag that Intel's driver has too.
      const union = text.includes("union irte") ? "union irte { u32 val; };" : "";
      return `{ ${union}\n${text}\nshow(&${variable}, sizeof ${variable}); }`;
    });
    writeFileSync(join(folder, "a.c"), `${structures}int main(void) {\n${blocks.join("\n")}\nreturn 0; }\n`);
    execFileSync("/usr/bin/gcc", ["-Wall", "-Werror", "-o", join(folder, "a"), join(folder, "a.c")]);
    const printed = execFileSync(join(folder, "a"), { encoding: "utf8" }).trim().split("\n");
    const expected = Object.entries(values).map(([name, value]) => bytesOf(name.split(" ")[0]!, value));
    for (const [i, bytes] of expected.entries()) {
      expect(printed[i]!.slice(0, bytes.length)).toBe(bytes);
      expect(printed[i]!.slice(bytes.length)).toMatch(/^0*$/);
    }
    expect(printed.length).toBe(expected.length);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each([
  ["irte", values["irte"]!, "Entry 12 delivers from 00:03.0 vector 0x22"],
  ["irte", values["irte posted"]!, "Entry 12 posts from 00:03.0 vector 0x51"],
  ["amd-irte", "0000000000000031 0000002200000141", "Entry 12 delivers vector 0x31"],
  ["amd-irte", "00310141", "Entry 12 delivers vector 0x31"],
  ["dte", "0 20000001373b8013 38 6000000114d7b603", "interrupts are remapped by 512 entries"],
  ["msi", "fee00338 0000", "index 25"],
])("a row of %s %s is read back", (kind, value, what) => {
  const { understood, findings, remarks } = explainText(copied("debugfs", kind, value)!);
  expect(understood).toBe(1);
  expect(findings.filter(({ rule }) => rule === "linux.debugfs.row-disagrees")).toEqual([]);
  expect(remarks[0]!.what).toContain(what);
});

test("the hex of every kind is taken by that kind again, and means the same", () => {
  for (const kind of kindNames()) {
    const first = readSubject({ kind }, {});
    const second = readSubject(
      { kind, value: copyOf("hex", first, { names: "spec", context: {}, index: 0 })! },
      {},
    );
    expect([kind, second.words, second.text]).toEqual([kind, first.words, first.text]);
  }
});
