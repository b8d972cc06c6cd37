import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { bytesSource } from "../byte-source.ts";
import { elfPhysicalMemory, readElfCore } from "./elf-core.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct } from "./kernel-struct.ts";
import { listOf } from "./lists.ts";
import { openCoreKernel } from "./open-kernel.ts";
import { processorsOf } from "./per-cpu.ts";
import { xarrayOf } from "./trees.ts";

// The pages of intel61-hold's dump that tools/trim-core.ts left in, and what was captured beside the dump.
const captures = fileURLToPath(new URL("../../../../../captures/", import.meta.url));

function run(command: string, args: string[], input?: Uint8Array): Uint8Array {
  return execFileSync(command, args, { maxBuffer: 2 ** 28, ...(input === undefined ? {} : { input }) });
}

function captured(name: string): Uint8Array {
  return run("tar", ["-xJOf", `${captures}intel61-hold.tar.xz`, `intel61-hold/${name}`]);
}

let kernel: Kernel;
beforeAll(() => {
  const bytes = run("xz", ["-dc", `${captures}intel61-hold.core.xz`]);
  kernel = openCoreKernel(elfPhysicalMemory(readElfCore(bytesSource(bytes, "intel61-hold.core"))));
});

test("the kernel of a dump without a note of VMCOREINFO is found", () => {
  expect(kernel.release).toBe("6.1.0-56-amd64");
  expect(processorsOf(kernel, "online")).toEqual([0, 1, 2, 3]);
});

test("its symbols are where the guest said", () => {
  const said = Buffer.from(captured("kallsyms-bases")).toString("latin1").trim().split("\n");
  expect(said.length).toBeGreaterThan(2);
  for (const line of said) {
    const [address, , name] = line.split(" ") as [string, string, string];
    expect(kernel.symbols.address(name), name).toBe(BigInt(`0x${address}`));
  }
});

describe("its structures are laid out as another reader of the same kernel's BTF said", () => {
  test.each([
    ["dmar_drhd_unit", 56, { list: 0, reg_base_addr: 24, segment: 44, include_all: 46.125, iommu: 48 }],
    [
      "intel_iommu",
      392,
      {
        reg: 0,
        reg_phys: 8,
        cap: 24,
        ecap: 32,
        gcmd: 48,
        seq_id: 56,
        segment: 76,
        ir_table: 296,
        iommu: 320,
      },
    ],
    ["ir_table", 16, { base: 0, bitmap: 8 }],
    ["amd_iommu", 1240, { list: 0, mmio_phys: 40, cap: 64, iommu: 176 }],
  ] as [string, number, Record<string, number>][])("%s", (name, size, offsets) => {
    const type = kernel.types.type(name)!;
    expect(type.size).toBe(size);
    for (const [member, offset] of Object.entries(offsets)) {
      expect(type.member(member)?.bitOffset, member).toBe(offset * 8);
    }
  });
});

test("its remapping table has the bytes that QEMU's monitor saved", () => {
  const head = kernel.symbols.address("dmar_drhd_units")!;
  const units = [...listOf(kernel, head, "dmar_drhd_unit", "list")];
  expect(units.map((unit) => unit.u64("reg_base_addr"))).toEqual([0xfed9_0000n]);
  const base = units[0]!.follow("iommu")!.follow("ir_table")!.pointer("base");
  const saved = run("xz", ["-dc"], captured("pmemsave-irt.bin.xz"));
  expect(saved.length).toBe(1 << 20);
  expect(Buffer.compare(kernel.memory.read(base, saved.length), saved)).toBe(0);
  expect(kernel.virtual(kernel.physical(base)!)).toBe(base);
});

test("its interrupts have the handlers of /proc/interrupts", () => {
  const rows = Buffer.from(captured("interrupts"))
    .toString("latin1")
    .split("\n")
    .filter((row) => /^ *\d+:/.test(row));
  const found: string[] = [];
  for (const [irq, address] of xarrayOf(kernel, kernel.symbols.address("irq_desc_tree")!)) {
    const descriptor = new KernelStruct(kernel, "irq_desc", address);
    expect(descriptor.u32("irq_data.irq")).toBe(irq);
    const names: string[] = [];
    for (let action = descriptor.follow("action"); action !== undefined; action = action.follow("next")) {
      names.push(action.string("name"));
    }
    if (names.length > 0) found.push(`${irq}: ${names.join(", ")}`);
  }
  expect(found).toEqual(rows.map((row) => row.trim().replace(/^(\d+:)(?:\s+\d+){4}\s+\S+\s+\S+\s+/, "$1 ")));
});
