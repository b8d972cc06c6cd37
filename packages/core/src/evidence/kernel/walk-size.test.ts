import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { HostDraft } from "../host/draft.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct, readQuad } from "./kernel-struct.ts";
import { RecordedKernel } from "./testing/recorded-kernel.ts";
import { walkKernel } from "./walk.ts";

/** A kernel of `evidence/fixtures`. */
function recorded(name: string): RecordedKernel {
  const bytes = readFileSync(new URL(`../fixtures/kernel-${name}.br`, import.meta.url));
  return new RecordedKernel(brotliDecompressSync(bytes));
}

const count = 4096;
const processors = 128;
const space = 0xffff_c900_5000_0000n;

/** A real kernel whose interrupt of an NVMe queue is there 4,096 times, with structures and an entry of its own each, on 128 processors. */
function large(): RecordedKernel {
  const kernel = recorded("6.12-intel");
  const draft = new HostDraft("kernel");
  walkKernel(kernel, draft);
  const queue = draft.finish().interrupts.find(({ actions }) => actions?.value[0] === "nvme0q1")!;
  const address = BigInt(`0x${/0x([0-9a-f]+)/.exec(queue.actions!.origin.place!)![1]!}`);
  let next = space;
  const copy = (type: string, from: bigint): bigint => {
    const { size } = kernel.members.get(type)!;
    const to = next;
    next += BigInt((size + 63) & ~63);
    kernel.memory.write(to, kernel.memory.read(from, size));
    return to;
  };
  const put = (type: string, at: bigint, path: string, value: bigint | number, size = 8): void =>
    kernel.memory.put(kernel.at(type, at, path), value, size);
  const unit = new KernelStruct(
    kernel,
    "dmar_drhd_unit",
    readQuad(kernel, kernel.places.get("dmar_drhd_units")!),
  ).follow("iommu")!;
  const table = unit.follow("ir_table")!.pointer("base");
  const entry = kernel.memory.read(table + BigInt(queue.entry!.value.index * 16), 16);
  const { size } = kernel.members.get("irq_desc")!;
  const array = 0xffff_c900_4000_0000n;
  const descriptor = new KernelStruct(kernel, "irq_desc", address);
  const first = descriptor.struct("irq_common_data").pointer("msi_desc");
  const [, remapped, vector] = levelsOf(descriptor);
  for (let irq = 0; irq < count; irq++) {
    const at = array + BigInt(irq * size);
    kernel.memory.write(at, kernel.memory.read(address, size));
    const message = copy("msi_desc", first);
    put("msi_desc", message, "irq", irq, 4);
    put("msi_desc", message, "msi_index", irq, 2);
    put("irq_common_data", kernel.at("irq_desc", at, "irq_common_data"), "msi_desc", message);
    put(
      "irq_desc",
      at,
      "action",
      copy("irqaction", readQuad(kernel, kernel.at("irq_desc", address, "action"))),
    );
    const middle = copy("irq_data", remapped!.address);
    const inner = copy("irq_data", vector!.address);
    put("irq_data", kernel.at("irq_desc", at, "irq_data"), "parent_data", middle);
    put("irq_data", middle, "parent_data", inner);
    const data = copy("intel_ir_data", remapped!.pointer("chip_data"));
    put("intel_ir_data", data, "irq_2_iommu.irte_index", irq, 2);
    put("intel_ir_data", data, "irq_2_iommu.sub_handle", 0, 2);
    put("irq_data", middle, "chip_data", data);
    put("irq_data", inner, "chip_data", copy("apic_chip_data", vector!.pointer("chip_data")));
    kernel.memory.write(table + BigInt(irq * 16), entry);
  }
  const { places } = kernel;
  kernel.memory.put(places.get("nr_cpu_ids")!, processors, 4);
  const offset = readQuad(kernel, places.get("__per_cpu_offset")!);
  places.set("__per_cpu_offset", 0xffff_c900_3000_0000n);
  for (let cpu = 0; cpu < processors; cpu++)
    kernel.memory.put(0xffff_c900_3000_0000n + BigInt(cpu * 8), offset);
  for (const mask of ["__cpu_present_mask", "__cpu_online_mask"]) {
    for (let at = 0; at < processors; at += 64)
      kernel.memory.put(places.get(mask)! + BigInt(at / 8), 2n ** 64n - 1n);
  }
  places.delete("sparse_irqs");
  places.set("irq_desc", array);
  places.set("total_nr_irqs", next);
  kernel.memory.put(next, count, 4);
  return kernel;
}

function levelsOf(descriptor: KernelStruct): KernelStruct[] {
  const levels: KernelStruct[] = [];
  for (let data: KernelStruct | undefined = descriptor.struct("irq_data"); data !== undefined;) {
    levels.push(data);
    data = data.follow("parent_data");
  }
  return levels;
}

test("a host of 4,096 interrupts and entries is read page by page, and each page once", () => {
  const kernel = large();
  let reads = 0;
  const pages = new Set<bigint>();
  const counting: Kernel = {
    release: kernel.release,
    memory: {
      name: "memory",
      read(address, length) {
        reads++;
        for (let page = address >> 12n; page <= (address + BigInt(length) - 1n) >> 12n; page++)
          pages.add(page);
        return kernel.memory.read(address, length);
      },
    },
    ram: kernel.ram,
    symbols: kernel.symbols,
    types: kernel.types,
    physical: (address) => kernel.physical(address),
    virtual: (address) => kernel.virtual(address),
  };
  const draft = new HostDraft("kernel");
  const start = performance.now();
  walkKernel(counting, draft);
  const took = performance.now() - start;
  const host = draft.finish();
  const [unit] = host.units;
  expect(unit?.vendor === "intel" && unit.table?.value.entries.size).toBe(count);
  expect(host.interrupts.length).toBe(count);
  expect(new Set(host.interrupts.map(({ entry }) => entry?.value.index)).size).toBe(count);
  // On a machine that does nothing else: 300 ms.
  expect(took).toBeLessThan(2000);
  // Tables are read whole, beyond the pages of structures.
  expect(reads).toBeLessThanOrEqual(pages.size + 10);
});
