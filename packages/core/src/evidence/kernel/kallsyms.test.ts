import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../input-error.ts";
import { KallsymsText, readKallsyms } from "./kallsyms.ts";
import { type KallsymsEncoding, SyntheticCore } from "./testing/synthetic-core.ts";
import { latin1 } from "./testing/sparse-memory.ts";
import { Vmcoreinfo } from "./vmcoreinfo.ts";

const image = 0xffff_ffff_9000_0000n;

/** Symbols of a synthetic kernel, by its memory in physical order: its image is written from `image` on. */
function read(core: SyntheticCore): ReturnType<typeof readKallsyms> {
  const start = 0x100_0000n - image;
  const memory = {
    name: "core",
    read: (address: bigint, length: number) => core.memory.read(address + start, length),
  };
  return readKallsyms(memory, new Vmcoreinfo(core.memory.vmcoreinfo!));
}

describe("the symbols that a kernel keeps of itself", () => {
  const names = fc.stringMatching(/^[A-Za-z0-9_.$]{1,150}$/);
  const addresses = fc.bigInt({ min: image, max: image + 0x3fff_ffffn });

  test.each(["absolute-percpu", "relative", "place"] satisfies KallsymsEncoding[])(
    "are all found, written %s",
    (encoding) => {
      fc.assert(
        fc.property(fc.dictionary(names, addresses, { maxKeys: 30, noNullPrototype: true }), (symbols) => {
          const known = { ...symbols };
          for (const taken of ["_stext", "__start_BTF", "__stop_BTF"]) delete known[taken];
          const table = read(new SyntheticCore({ encoding, symbols: known }));
          for (const [name, address] of Object.entries(known)) expect(table.address(name)).toBe(address);
          expect(table.address("_stext")).toBe(image);
          expect(table.address("")).toBeUndefined();
        }),
        { numRuns: 50 },
      );
    },
  );

  test.each([
    [
      "no symbols",
      0x20_8000n,
      [0, 0, 0, 0],
      /kallsyms_num_syms: expected between 1 and 4194304 symbols, found 0$/,
    ],
    ["too many", 0x20_8000n, [0, 0, 0, 1], /found 16777216$/],
    ["more than there are names", 0x20_8000n, [0xff, 0xff, 0, 0], /core|memory/],
    ["a name without characters", 0x20_0000n, [0], /expected symbol 0 to have between 1 and 4096 characters/],
    [
      "a token far away",
      0x21_8000n + 510n,
      [0xff, 0xff],
      /expected tokens within 8192 bytes, found one at 65535/,
    ],
    ["tokens without end", 0x21_0000n, new Array(16_000).fill(0x41), /expected token \d+ to end with a zero/],
  ])("%s: one line says so", (_, offset, bytes, message) => {
    const core = new SyntheticCore();
    core.put(image + offset, Uint8Array.from(bytes));
    expect(() => read(core)).toThrow(InputError);
    expect(() => read(core)).toThrow(message);
  });

  test("names that would take more memory than a kernel has symbols for end early", () => {
    const core = new SyntheticCore();
    // 65,793 names, each one token of 4,000 characters; the count lies amid them.
    core.put(image + 0x20_0000n, new Uint8Array(0x1_0000).fill(1));
    core.put(image + 0x20_8003n, Uint8Array.of(0));
    core.put(image + 0x21_0000n, Uint8Array.from([...new Array(4000).fill(0x41), 0]));
    core.put(image + 0x21_8000n, new Uint8Array(512));
    expect(() => read(core)).toThrow(/kallsyms_names: expected at most 67108864 characters$/);
  });
});

describe("the text of /proc/kallsyms", () => {
  const text = [
    "0000000000015000 A cpu_number",
    "ffffffff81000000 t same",
    "ffffffff81000010 T same",
    "ffffffff81000020 d modules",
    "ffffffffc0000000 t same\t[kvm]",
    "ffffffffc0000010 d own\t[kvm_intel]",
    "",
  ].join("\n");

  test("has symbols of the kernel and of each module; of two with one name the global one", () => {
    const table = new KallsymsText(latin1(text));
    expect(table.count).toBe(6);
    expect(table.address("same")).toBe(0xffff_ffff_8100_0010n);
    expect(table.address("same", "kvm")).toBe(0xffff_ffff_c000_0000n);
    expect(table.address("own", "kvm_intel")).toBe(0xffff_ffff_c000_0010n);
    expect(table.address("cpu_number")).toBe(0x1_5000n);
    for (const [name, module] of [["own"], ["own", "kvm"], ["modules", "kvm"], ["none"], ["sam"]] as const) {
      expect(table.address(name, module)).toBeUndefined();
    }
  });

  test("may end without a newline", () => {
    expect(new KallsymsText(latin1(text.trimEnd())).address("own", "kvm_intel")).toBe(0xffff_ffff_c000_0010n);
  });

  test.each([
    ["", /found none but zeros/],
    [
      text.replaceAll(/^\w+/gm, "0".repeat(16)),
      /needs root \(CAP_SYSLOG\) and kernel\.kptr_restrict below 2/,
    ],
    ["ffffffff81000000 T _stext\nnonsense\n", /^proc\/kallsyms: line 2: expected 16 hexadecimal digits/],
    ["\n\n", /^proc\/kallsyms: line 1: expected/],
  ])("%j is refused in one line", (text, message) => {
    expect(() => new KallsymsText(latin1(text))).toThrow(InputError);
    expect(() => new KallsymsText(latin1(text))).toThrow(message);
  });

  test("with a number that is none leaves that symbol out", () => {
    expect(new KallsymsText(latin1(`${"x".repeat(16)} T odd\n${text}`)).address("odd")).toBeUndefined();
  });

  test("of 100,000 symbols is read in no time that grows with their square", () => {
    const lines = Array.from(
      { length: 100_000 },
      (_, i) => `${(0xffff_ffff_8100_0000n + BigInt(i)).toString(16)} t symbol_${i}\n`,
    );
    const table = new KallsymsText(latin1(lines.join("")));
    expect(table.address("symbol_99999")).toBe(0xffff_ffff_8100_0000n + 99_999n);
  });
});
