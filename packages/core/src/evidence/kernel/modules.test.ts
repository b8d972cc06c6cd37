import { describe, expect, test } from "vitest";
import { InputError } from "../input-error.ts";
import { Btf } from "./btf.ts";
import { Modules } from "./modules.ts";
import { BtfWriter } from "./testing/btf-writer.ts";
import { SyntheticKernel } from "./testing/synthetic-kernel.ts";

const writer = new BtfWriter();
const int = writer.int("int", 4);
const pointer = writer.pointer(0);
const link = writer.struct("list_head", 16, [["next", pointer, 0]]);
const kept = writer.struct("mod_kallsyms", 24, [
  ["symtab", pointer, 0],
  ["num_symtab", int, 64],
  ["strtab", pointer, 128],
]);
writer.struct("module", 128, [
  ["list", link, 64],
  ["name", writer.array(writer.int("char", 1), 56), 192],
  ["kallsyms", writer.pointer(kept), 640],
  ["btf_data_size", int, 704],
  ["btf_data", pointer, 768],
]);
const types = writer.struct("btf", 16, [["data", pointer, 0], ["data_size", int, 64]]); // prettier-ignore
writer.struct("btf_module", 32, [
  ["list", link, 0],
  ["module", pointer, 128],
  ["btf", writer.pointer(types), 192],
]);
const bytes = writer.finish();
const base = new Btf(bytes);
const own = new BtfWriter(base);
own.struct("vcpu_vmx", 24, [["list", link, 64]]);
const ownBytes = own.finish();

const head = 0x1000n;
const [kvm, intel] = [0x2000n, 0x3000n];

function kernel(): SyntheticKernel {
  const made = new SyntheticKernel(bytes);
  made.places.set("modules", head);
  made.memory.put(head, kvm + 8n);
  for (const [module, name, next] of [
    [kvm, "kvm", intel + 8n],
    [intel, "kvm_intel", head],
  ] as const) {
    // prettier-ignore
    made.memory.write(module, new Uint8Array(128));
    made.memory.put(module + 8n, next);
    made.memory.text(module + 24n, name);
  }
  // Symbols: an undefined one, one of the module, one at the end of the names.
  made.set("module", intel, "kallsyms", 0x4000n);
  made.set("mod_kallsyms", 0x4000n, "symtab", 0x5000n);
  made.set("mod_kallsyms", 0x4000n, "num_symtab", 3);
  made.set("mod_kallsyms", 0x4000n, "strtab", 0x5ff0n);
  const names = ["\0", "own\0", "end"];
  for (const [i, [name, section, value]] of [
    [1, 0, 0n],
    [1, 4, 0xffff_ffff_c000_0010n],
    [5, 7, 0x99n],
  ].entries()) {
    // prettier-ignore
    const at = 0x5000n + BigInt(24 * i);
    made.memory.put(at, name!, 4);
    made.memory.put(at + 6n, section!, 2);
    made.memory.put(at + 8n, value!);
  }
  made.memory.text(0x5ff0n, names.join(""));
  return made;
}

test("modules are listed by their names", () => {
  expect([...new Modules(kernel()).all.keys()]).toEqual(["kvm", "kvm_intel"]);
  expect(new Modules(new SyntheticKernel(bytes)).all.size).toBe(0);
});

test("a module's symbols are those that are defined in it", () => {
  const modules = new Modules(kernel());
  expect(modules.address("own", "kvm_intel")).toBe(0xffff_ffff_c000_0010n);
  expect(modules.address("end", "kvm_intel")).toBe(0x99n);
  expect(modules.address("none", "kvm_intel")).toBeUndefined();
  expect(modules.address("own", "kvm")).toBeUndefined();
  expect(modules.address("own", "none")).toBeUndefined();
});

describe("a module's types are found", () => {
  const where = 0x8000n;

  test("where the kernel registered them", () => {
    const made = kernel();
    made.memory.write(where, ownBytes);
    made.places.set("btf_modules", 0x6000n);
    made.memory.put(0x6000n, 0x6100n);
    made.memory.put(0x6100n, 0x6000n);
    made.set("btf_module", 0x6100n, "module", intel);
    made.set("btf_module", 0x6100n, "btf", 0x6200n);
    made.set("btf", 0x6200n, "data", where);
    made.set("btf", 0x6200n, "data_size", ownBytes.length);
    const modules = new Modules(made);
    expect(modules.btf("kvm_intel", base)?.type("vcpu_vmx")?.member("list")).toMatchObject({
      type: "list_head",
    });
    expect(modules.btf("kvm", base)).toBeUndefined();
    expect(modules.btf("none", base)).toBeUndefined();
  });

  test("where the module has them", () => {
    const made = kernel();
    made.memory.write(where, ownBytes);
    made.set("module", intel, "btf_data", where);
    made.set("module", intel, "btf_data_size", ownBytes.length);
    expect(new Modules(made).btf("kvm_intel", base)?.type("vcpu_vmx")?.size).toBe(24);
    made.set("module", intel, "btf_data_size", 0x7fff_ffff);
    expect(() => new Modules(made).btf("kvm_intel", base)).toThrow(
      /expected at most \d+ bytes of BTF, found 2147483647/,
    );
  });
});

test("lying lengths and broken lists end in one line", () => {
  const many = kernel();
  many.set("mod_kallsyms", 0x4000n, "num_symtab", 0x4000_0000);
  expect(() => new Modules(many).address("own", "kvm_intel")).toThrow(
    /module kvm_intel: expected at most 262144 symbols/,
  );
  const far = kernel();
  far.memory.put(0x5000n, 0x7000_0000, 4);
  expect(() => new Modules(far).address("own", "kvm_intel")).toThrow(
    /names of symbols within 16777216 bytes/,
  );
  const circle = kernel();
  circle.memory.put(intel + 8n, kvm + 8n);
  expect(() => new Modules(circle).all).toThrow(InputError);
});
