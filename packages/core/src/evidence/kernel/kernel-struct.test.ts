import { describe, expect, test } from "vitest";
import { InputError } from "../input-error.ts";
import { KernelStruct, readString, typeOf } from "./kernel-struct.ts";
import { UnreadableMemory } from "./memory.ts";
import { BtfWriter } from "./testing/btf-writer.ts";
import { SyntheticKernel } from "./testing/synthetic-kernel.ts";

const btf = new BtfWriter();
const long = btf.int("long", 8);
const int = btf.int("int", 4);
const short = btf.int("short", 2);
const byte = btf.int("char", 1);
const chip = btf.struct("irq_chip", 16, [
  ["name", btf.pointer(byte), 0],
  ["flags", long, 64],
]);
const level = btf.struct("level", 8, [["hwirq", long, 0]]);
btf.struct("irq_desc", 160, [
  ["irq", int, 0],
  ["depth", short, 32],
  ["flags", byte, 48],
  ["mode", int, 56, 3],
  ["wide", long, 59, 13],
  ["chip", btf.pointer(chip), 128],
  ["level", level, 192],
  ["levels", btf.array(level, 3), 256],
  ["words", btf.array(long, 2), 448],
  ["name", btf.array(byte, 8), 576],
  ["any", btf.pointer(0), 640],
  ["handler", btf.struct("", 8, [["dev_id", long, 0]]), 704],
  ["huge", btf.array(long, 1 << 20), 768],
  ["tail", btf.array(level, 0), 1280],
]);
btf.struct("page", 16_384, [["last", long, 131_000]]);

const at = 0xffff_8880_0000_1000n;

function made(): { kernel: SyntheticKernel; desc: KernelStruct } {
  const kernel = new SyntheticKernel(btf.finish());
  kernel.set("irq_desc", at, "irq", 0xffff_fffen);
  kernel.set("irq_desc", at, "depth", 0x1234);
  kernel.set("irq_desc", at, "flags", 0x80);
  kernel.set("irq_desc", at, "mode", 5);
  kernel.set("irq_desc", at, "wide", 0x1abc);
  kernel.set("irq_desc", at, "chip", at + 0x100n);
  kernel.set("irq_chip", at + 0x100n, "name", at + 0xffen);
  kernel.set("irq_chip", at + 0x100n, "flags", (1n << 64n) - 2n);
  kernel.memory.text(at + 0xffen, "IR-PCI-MSI");
  for (let i = 0; i < 3; i++) kernel.memory.put(at + 32n + BigInt(8 * i), 100 + i);
  kernel.memory.put(at + 56n, 7);
  kernel.memory.put(at + 64n, 8);
  kernel.memory.text(at + 72n, "nvme0q1");
  kernel.set("irq_desc", at, "handler.dev_id", 99n);
  kernel.memory.put(at + 160n, 42);
  return { kernel, desc: new KernelStruct(kernel, "irq_desc", at) };
}

test("members are read by name, as wide as they are asked for", () => {
  const { desc } = made();
  expect(desc.u32("irq")).toBe(0xffff_fffe);
  expect(desc.s32("irq")).toBe(-2);
  expect(desc.u16("depth")).toBe(0x1234);
  expect(desc.u16("irq")).toBe(0xfffe);
  expect(desc.u8("flags")).toBe(0x80);
  expect(desc.number("mode")).toBe(5);
  expect(desc.number("wide")).toBe(0x1abc);
  expect(desc.flag("mode")).toBe(true);
  expect(desc.pointer("any")).toBe(0n);
  expect(desc.flag("any")).toBe(false);
  expect(desc.u64("handler.dev_id")).toBe(99n);
  expect(desc.string("name")).toBe("nvme0q1");
  expect(desc.bytes("name")).toHaveLength(8);
  expect(desc.quads("words")).toEqual([7n, 8n]);
  expect(desc.quads("words", 1)).toEqual([7n]);
  expect(desc.addressOf("level")).toBe(at + 24n);
});

test("structures are followed, entered and listed", () => {
  const { desc } = made();
  expect(desc.follow("chip")?.string("name")).toBe("IR-PCI-MSI");
  expect(desc.follow("chip")?.s64("flags")).toBe(-2n);
  expect(desc.follow("any", "irq_chip")).toBeUndefined();
  expect(desc.follow("any")).toBeUndefined();
  expect(desc.struct("level").u64("hwirq")).toBe(0n);
  expect(desc.structs("levels").map((level) => level.u64("hwirq"))).toEqual([100n, 101n, 102n]);
  expect(desc.structs("tail", 1)[0]?.u64("hwirq")).toBe(42n);
});

test("of names by which releases call a member the first that there is counts", () => {
  const { desc } = made();
  expect(desc.u32("number", "irq", "depth")).toBe(0xffff_fffe);
  expect(desc.follow(["controller", "chip"])?.type.name).toBe("irq_chip");
  expect(desc.has("number", "irq")).toBe(true);
  expect(desc.has("number")).toBe(false);
});

test("a structure is read once, a large one member by member", () => {
  const { kernel, desc } = made();
  expect(desc.u16("depth")).toBe(0x1234);
  kernel.set("irq_desc", at, "depth", 1);
  expect(desc.u16("depth")).toBe(0x1234);
  kernel.memory.put(at + 16_375n, 77);
  expect(new KernelStruct(kernel, "page", at).u64("last")).toBe(77n);
});

describe("what does not fit is said in one line", () => {
  const { kernel, desc } = made();
  test.each([
    ["a type", () => typeOf(kernel, "none"), "memory: expected struct none in the BTF of kernel 6.1.0"],
    ["a module's type", () => typeOf(kernel, "none", "kvm"), "or of its module kvm"],
    ["a member", () => desc.u32("a", "b"), "struct irq_desc of kernel 6.1.0: expected a member a or b"],
    [
      "more bytes than it has",
      () => desc.u64("irq"),
      "irq_desc.irq at 0xffff888000001000: expected 8 bytes, it has 4",
    ],
    ["bytes of a bit field", () => desc.u8("mode"), "expected 1 bytes, it has less than one"],
    ["a number past 2^53", () => desc.follow("chip")!.number("flags"), "expected a number below 2^53"],
    ["a structure without a name", () => desc.struct("handler"), "expected a structure with a name"],
    ["a structure that is a pointer", () => desc.struct("chip"), "expected a structure, it is a pointer"],
    [
      "more elements than are believed",
      () => desc.quads("huge"),
      "expected at most 65536 elements, found 1048576",
    ],
    ["more structures than are believed", () => desc.structs("levels", 65_537), "expected at most 65536"],
  ] as [string, () => unknown, string][])("%s", (_, read, message) => {
    expect(read).toThrow(InputError);
    expect(read).toThrow(message);
  });

  test("memory that is not there", () => {
    expect(() => new KernelStruct(kernel, "irq_desc", 0x10n).u32("irq")).toThrow(UnreadableMemory);
  });
});

test("text may end at the end of what is there, and is cut where it does not end", () => {
  const { kernel } = made();
  kernel.memory.write(0x5000n, new Uint8Array(4096).fill(0x41));
  expect(() => readString(kernel, 0x5ff0n)).toThrow(UnreadableMemory);
  expect(readString(kernel, 0x5000n, 100)).toHaveLength(100);
  kernel.memory.put(0x5fffn, 0, 1);
  expect(readString(kernel, 0x5ff0n)).toBe("A".repeat(15));
});
