import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesSource } from "../byte-source.ts";
import { InputError } from "../input-error.ts";
import { openCoreKernel, openLiveKernel } from "./open-kernel.ts";
import { BtfWriter } from "./testing/btf-writer.ts";
import { type ElfPart, elfOf } from "./testing/elf-writer.ts";
import { latin1 } from "./testing/sparse-memory.ts";
import { SyntheticCore, type SyntheticCoreOptions } from "./testing/synthetic-core.ts";

const writer = new BtfWriter();
writer.struct("list_head", 16, [["next", writer.int("long", 8), 0]]);
const btf = writer.finish();

const image = 0xffff_ffff_9000_0000n;
const symbols = {
  dmar_drhd_units: image + 0x4000n,
  [`a_rust_symbol_${"x".repeat(200)}`]: image + 0x4008n,
};

function core(options: SyntheticCoreOptions = {}): SyntheticCore {
  return new SyntheticCore({ btf, symbols, ...options });
}

describe("a kernel is opened out of its dump alone", () => {
  test.each([
    ["as 6.1 writes its symbols", {}],
    ["as kernels without per-CPU symbols at 0 do", { encoding: "relative" }],
    ["as 7.0 does", { encoding: "place", release: "7.0.1" }],
    ["with the note in RAM", { inRam: true }],
    ["with five levels of page tables", { levels: 5 }],
    ["with encrypted memory", { encryption: 1n << 47n }],
    ["where the image was not moved", { imageVirtual: image, imagePhysical: 0x1000_0000n }],
  ] satisfies [string, SyntheticCoreOptions][])("%s", (_, options) => {
    const { memory, directMap } = core(options);
    const kernel = openCoreKernel(memory);
    expect(kernel.release).toBe((options as SyntheticCoreOptions).release ?? "6.1.0-test");
    for (const [name, address] of Object.entries(symbols)) expect(kernel.symbols.address(name)).toBe(address);
    expect(kernel.symbols.address("none")).toBeUndefined();
    expect(kernel.types.type("list_head")?.size).toBe(16);
    expect(kernel.types.enumerator("none")).toBeUndefined();
    expect(kernel.virtual(0x1234n)).toBe(directMap + 0x1234n);
    expect(kernel.physical(directMap + 0x1234n)).toBe(0x1234n);
    expect(kernel.physical(image + 0x20_1234n)).toBe(
      ((options as SyntheticCoreOptions).imagePhysical ?? 0x100_0000n) + 0x20_1234n,
    );
    expect(kernel.physical(0n)).toBeUndefined();
    expect(kernel.memory.read(image + 0x2000n + 130n, 3)).toEqual(latin1(kernel.release.slice(0, 3)));
  });
});

test("per-CPU symbols are where they are", () => {
  expect(openCoreKernel(core().memory).symbols.address("cpu_number")).toBe(0x1_5000n);
});

test("the note of a guest that the machine ran is passed over", () => {
  const machine = core({ inRam: true });
  const guest = latin1(
    "OSRELEASE=5.15.0\nSYMBOL(init_top_pgt)=ffffffff82610000\nSYMBOL(init_uts_ns)=ffffffff82411000\nNUMBER(phys_base)=0\n",
  );
  machine.note(0x3000n, guest);
  machine.note(0x4000n, latin1("OSRELEASE=%s\n"));
  const told: [bigint, bigint][] = [];
  const kernel = openCoreKernel(machine.memory, { progress: (done, total) => told.push([done, total]) });
  expect(kernel.release).toBe("6.1.0-test");
  expect(told.length).toBeGreaterThan(0);
  expect(told.every(([done, total]) => done <= total)).toBe(true);
});

describe("what is not there is said in one line", () => {
  test.each([
    [
      { without: ["SYMBOL(kallsyms_names)"] },
      /VMCOREINFO of kernel 6\.1\.0-test: expected SYMBOL\(kallsyms_names\), by which a kernel of 6\.0/,
    ],
    [
      { without: ["NUMBER(phys_base)"] },
      /expected SYMBOL\(init_top_pgt\), SYMBOL\(init_uts_ns\) and NUMBER\(phys_base\)/,
    ],
    [{ without: ["OSRELEASE"] }, /expected OSRELEASE to be a kernel's release, found undefined/],
    [{ symbols: { __stop_BTF: image } }, /expected BTF of at most \d+ bytes/],
    [{ symbols: { _stext: image + 8n }, encoding: "none" }, /no known encoding/],
  ] as [SyntheticCoreOptions, RegExp][])("%o", (options, message) => {
    const made = core(options);
    if (message.source.includes("encoding")) made.put(image + 0x22_8000n, new Uint8Array(8));
    const open = (): unknown => openCoreKernel(made.memory).types.type("list_head");
    expect(open).toThrow(InputError);
    expect(open).toThrow(message);
  });

  test("a note whose kernel is elsewhere", () => {
    const { memory } = core();
    memory.text(0x100_0000n + 0x2000n + 130n, "6.1.0-other");
    expect(() => openCoreKernel(memory)).toThrow(
      /expected its release in init_uts_ns, found "6\.1\.0-other"/,
    );
  });

  test("memory without a kernel", () => {
    const { memory } = core();
    delete memory.vmcoreinfo;
    expect(() => openCoreKernel(memory)).toThrow(/^memory: expected a VMCOREINFO note of a Linux kernel/);
  });
});

function unread(): never {
  throw new Error("read");
}

describe("the kernel that runs", () => {
  const made = core();
  const part = (virtual: bigint, physical: bigint, length: number): ElfPart => ({
    virtual,
    physical,
    bytes: made.memory.read(physical, length),
  });
  const parts = [
    ...made.memory.ranges
      .filter(({ start }) => start < 0x100_0000n)
      .map(({ start, end }) => part(made.directMap + start, start, Number(end - start))),
    ...made.memory.ranges
      .filter(({ start }) => start >= 0x100_0000n)
      .map(({ start, end }) => part(image + start - 0x100_0000n, start, Number(end - start))),
  ];
  const kcore = (withNote: boolean): Uint8Array =>
    elfOf(parts, withNote ? [{ name: "VMCOREINFO", data: made.memory.vmcoreinfo! }] : []);
  const text = Object.entries({
    ...symbols,
    init_top_pgt: image + 0x1000n,
    page_offset_base: image + 0x3000n,
    __start_BTF: image + 0x10_0000n,
    __stop_BTF: image + 0x10_0000n + BigInt(btf.length),
  })
    .map(([name, address]) => `${address.toString(16)} d ${name}\n`)
    .join("");

  test("is opened by what /proc/kcore says, and nothing else is read", () => {
    const kernel = openLiveKernel({
      kcore: bytesSource(kcore(true)),
      kallsyms: unread,
      btf: () => btf,
      moduleBtf: unread,
    });
    expect(kernel.release).toBe("6.1.0-test");
    expect(kernel.symbols.address("dmar_drhd_units")).toBe(symbols.dmar_drhd_units);
    expect(kernel.types.type("list_head")?.size).toBe(16);
    expect(kernel.physical(image + 0x3000n)).toBe(0x100_3000n);
    expect(kernel.virtual(5n)).toBe(made.directMap + 5n);
  });

  test("is opened by the text of /proc/kallsyms before 6.0", () => {
    const kernel = openLiveKernel({
      kcore: bytesSource(kcore(false)),
      kallsyms: () => latin1(`${text}ffffffffc0000000 t own\t[kvm_intel]\n`),
      btf: () => undefined,
      moduleBtf: () => undefined,
      release: "5.15.0",
    });
    expect(kernel.release).toBe("5.15.0");
    expect(kernel.symbols.address("dmar_drhd_units")).toBe(symbols.dmar_drhd_units);
    expect(kernel.symbols.address("own", "kvm_intel")).toBe(0xffff_ffff_c000_0000n);
    expect(kernel.types.type("list_head")?.size).toBe(16);
    expect(kernel.physical(image)).toBeUndefined();
  });

  test("without a right to its symbols says so", () => {
    const sources = { kcore: bytesSource(kcore(false)), btf: () => btf, moduleBtf: () => undefined };
    expect(() => openLiveKernel({ ...sources, kallsyms: () => undefined })).toThrow(
      /expected \/proc\/kallsyms beside it/,
    );
    const hidden = latin1(text.replaceAll(/^\w+/gm, "0".repeat(16)));
    expect(() => openLiveKernel({ ...sources, kallsyms: () => hidden })).toThrow(
      /found none but zeros: reading them needs root/,
    );
  });
});

test("whatever words of a dump are changed, its kernel is opened or one line says why not", () => {
  const { memory } = core({ inRam: true });
  const places = memory.ranges.flatMap(({ start, end }) =>
    Array.from({ length: Number((end - start) / 0x1000n) }, (_, i) => start + BigInt(i) * 0x1000n),
  );
  const word = fc.tuple(
    fc.constantFrom(...places),
    // Most pages are used from their beginning.
    fc.oneof(fc.nat(63), fc.nat(511)),
    fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.constantFrom(0n, image, (1n << 64n) - 1n)),
  );
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), (words) => {
      const before = words.map(([page, at]) => memory.read(page + BigInt(at * 8), 8));
      for (const [page, at, value] of words) memory.put(page + BigInt(at * 8), value);
      try {
        const kernel = openCoreKernel(memory);
        kernel.symbols.address("dmar_drhd_units");
        kernel.types.type("list_head")?.member("next");
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
      } finally {
        for (const [i, [page, at]] of [...words.entries()].toReversed())
          memory.write(page + BigInt(at * 8), before[i]!);
      }
    }),
    { numRuns: 300 },
  );
  expect(openCoreKernel(memory).release).toBe("6.1.0-test");
});
