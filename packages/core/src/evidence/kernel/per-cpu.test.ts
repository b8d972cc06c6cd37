import { expect, test } from "vitest";
import { KernelStruct } from "./kernel-struct.ts";
import { bitsOf, perCpu, processorsIn, processorsOf } from "./per-cpu.ts";
import { BtfWriter } from "./testing/btf-writer.ts";
import { SyntheticKernel } from "./testing/synthetic-kernel.ts";

const btf = new BtfWriter();
const long = btf.int("long", 8);
const mask = btf.struct("cpumask", 16, [["bits", btf.array(long, 2), 0]]);
btf.struct("common", 24, [
  ["affinity", btf.pointer(mask), 0],
  ["inline", mask, 64],
]);

function kernel(): SyntheticKernel {
  const made = new SyntheticKernel(btf.finish());
  made.places.set("nr_cpu_ids", 0x1000n);
  made.places.set("__cpu_online_mask", 0x1010n);
  made.places.set("__per_cpu_offset", 0x1100n);
  made.memory.put(0x1000n, 6);
  made.memory.put(0x1010n, 0xffff_ffff_ffff_fff5n);
  made.memory.put(0x1108n, 0xffff_8880_0780_0000n);
  return made;
}

test("a processor's copy lies at its offset, wherever the symbol is counted from", () => {
  expect(perCpu(kernel(), 1, 0x1_5000n)).toBe(0xffff_8880_0781_5000n);
  // Since 6.15 per-CPU symbols are addresses of the image.
  const made = kernel();
  made.memory.put(0x1108n, 0xffff_8880_0780_0000n - 0xffff_ffff_8200_0000n);
  expect(perCpu(made, 1, 0xffff_ffff_8201_5000n)).toBe(0xffff_8880_0781_5000n);
});

test("a mask has the processors that there can be, behind a pointer or not", () => {
  const made = kernel();
  expect(processorsOf(made, "online")).toEqual([0, 2, 4, 5]);
  made.set("common", 0x2000n, "affinity", 0x3000n);
  made.memory.put(0x3000n, 0b11_0010);
  made.memory.put(0x2008n, 0b1001);
  const common = new KernelStruct(made, "common", 0x2000n);
  expect(processorsIn(common, "affinity")).toEqual([1, 4, 5]);
  expect(processorsIn(common, "mask", "inline")).toEqual([0, 3]);
  made.set("common", 0x4000n, "affinity", 0n);
  expect(processorsIn(new KernelStruct(made, "common", 0x4000n), "affinity")).toEqual([]);
});

test("without a count masks are as long as their type", () => {
  const made = kernel();
  made.places.delete("nr_cpu_ids");
  expect(processorsOf(made, "online")).toHaveLength(62);
});

test("what is not there, or past what a kernel can have, is said in one line", () => {
  const made = kernel();
  expect(() => processorsOf(made, "possible")).toThrow(
    "expected the symbol __cpu_possible_mask in kernel 6.1.0",
  );
  for (const cpu of [-1, 8192, Number.NaN])
    expect(() => perCpu(made, cpu, 0n)).toThrow("expected a processor below 8192");
  made.memory.put(0x1000n, 0x10_0000);
  expect(() => processorsOf(made, "online")).toThrow("nr_cpu_ids: expected 1 to 8192, found 1048576");
});

test("bits are counted from the lowest of the first byte", () => {
  expect(bitsOf(Uint8Array.of(0x81, 0, 0x10))).toEqual([0, 7, 20]);
});
