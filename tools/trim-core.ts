// Writes a core with the pages of a dump that a look at its interrupts reads, and no others: small enough for the
// repository, and a core that everything that reads cores can read.
//
//   tsx --conditions=intremap-src tools/trim-core.ts vmcore.elf captures/NAME.core
//   xz -9e captures/NAME.core
//
// Write it anew when a walk reads more than it did.
import { writeFileSync } from "node:fs";
import {
  HostDraft,
  type PhysicalMemory,
  elfPhysicalMemory,
  openCoreKernel,
  readElfCore,
  walkKernel,
  walkKernelLog,
  walkKvm,
} from "@intremap/core";
import { FileBytes } from "../packages/cli/src/sources/file-bytes.ts";
import { type ElfPart, elfOf } from "../packages/core/src/evidence/kernel/testing/elf-writer.ts";

const pageBits = 12n;
/** A search for VMCOREINFO reads as much at once; where it finds it, it reads again. */
const searched = 1 << 22;

const [dump, out] = process.argv.slice(2);
if (dump === undefined || out === undefined) throw new Error("usage: trim-core.ts DUMP OUT");
const whole = elfPhysicalMemory(readElfCore(new FileBytes(dump)));
const pages = new Set<bigint>();
const watched: PhysicalMemory = {
  ...whole,
  read: (address, length) => {
    const last = (address + BigInt(length) - 1n) >> pageBits;
    if (length !== searched) for (let page = address >> pageBits; page <= last; page++) pages.add(page);
    return whole.read(address, length);
  },
};
const kernel = openCoreKernel(watched);
const draft = new HostDraft(dump);
walkKernel(kernel, draft);
walkKvm(kernel, draft);
walkKernelLog(kernel, draft);
for (const { what, why } of draft.missing) process.stderr.write(`missing: ${what}: ${why}\n`);
const parts = [...pages]
  .sort((a, b) => (a < b ? -1 : 1))
  .flatMap((page): ElfPart[] => {
    const physical = page << pageBits;
    const there = whole.ranges.some(({ start, end }) => start <= physical && physical + 4096n <= end);
    return there ? [{ physical, bytes: whole.read(physical, 4096) }] : [];
  });
writeFileSync(out, elfOf(parts));
process.stderr.write(`${parts.length} pages\n`);
