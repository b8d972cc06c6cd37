import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../input-error.ts";
import { Btf } from "./btf.ts";
import { btfKind as kind } from "./btf-type.ts";
import { BtfWriter } from "./testing/btf-writer.ts";

/** A kernel's types in little: every kind, and every form of a member. */
function kernel(): BtfWriter {
  const btf = new BtfWriter();
  const long = btf.int("long unsigned int", 8);
  const int = btf.int("int", 4);
  const byte = btf.int("unsigned char", 1);
  const three = btf.int("unsigned char:3", 1, 3, 2);
  btf.type(kind.forward, "far");
  const far = btf.pointer(5);
  const list = btf.struct("list_head", 16, [["next", 8, 0]]);
  btf.pointer(list);
  const counter = btf.struct("", 4, [["counter", int, 0]]);
  const atomic = btf.typedef("atomic_t", counter);
  const constant = btf.type(kind.const, "", btf.type(kind.volatile, "", atomic));
  const inner = btf.struct("", 8, [
    ["low", int, 0],
    ["high", int, 32],
  ]);
  const union = btf.struct("", 8, [["whole", long, 0], ["", inner, 0]], true, true); // prettier-ignore
  const named = btf.struct("", 32, [
    ["lock", long, 0],
    ["items", list, 64],
  ]);
  btf.enum("colour", { RED: 1, BLUE: 0xffff_ffff }, true);
  const wide = btf.enum64("wide", { FAR: 0x1_0000_0001n, NEGATIVE: -2n }, true);
  btf.type(kind.prototype, "", 0, 1, [0, 0, 0, 0, 0, 0, 0, 0]);
  btf.type(kind.function, "work", 17);
  btf.type(kind.variable, "thing", int, 0, [0, 0, 0, 0]);
  btf.type(kind.section, ".data", 0, 1, new Array(12).fill(0));
  btf.type(kind.float, "double", 8);
  btf.type(kind.declarationTag, "tag", int, 0, [0, 0, 0, 0]);
  const tagged = btf.type(kind.typeTag, "rcu", int);
  const matrix = btf.array(btf.array(int, 3), 2);
  const flexible = btf.array(byte, 0);
  btf.struct("device", 200, [
    ["usage", constant, 0],
    ["flags", int, 32, 5],
    ["mode", int, 37, 3],
    ["", union, 64],
    ["irqfds", named, 128],
    ["far", far, 384],
    ["grid", matrix, 448],
    ["links", btf.array(btf.pointer(list), 4), 640],
    ["wide", wide, 896],
    ["seen", btf.type(kind.restrict, "", btf.pointer(tagged)), 960],
    ["tail", flexible, 1600],
  ]);
  btf.struct("older", 2, [["bits", three, 8], ["rest", byte, 0]], false); // prettier-ignore
  return btf;
}

const bytes = kernel().finish();

describe("a structure's members", () => {
  const device = new Btf(bytes).type("device");

  test.each([
    ["flags", { bitOffset: 32, bitWidth: 5, size: 4, type: null, count: 1, pointer: false }],
    ["mode", { bitOffset: 37, bitWidth: 3, size: 4 }],
    ["usage", { bitOffset: 0, bitWidth: 0, size: 4, type: "atomic_t" }],
    ["usage.counter", { bitOffset: 0, size: 4, type: null }],
    ["whole", { bitOffset: 64, size: 8 }],
    ["high", { bitOffset: 96, size: 4 }],
    ["irqfds", { bitOffset: 128, size: 32, type: null }],
    ["irqfds.items", { bitOffset: 192, size: 16, type: "list_head" }],
    ["irqfds.items.next", { bitOffset: 192, size: 8, type: "list_head", pointer: true }],
    ["far", { size: 8, type: "far", pointer: true }],
    ["grid", { size: 24, count: 6, type: null }],
    ["links", { size: 32, count: 4, type: "list_head", pointer: true }],
    ["wide", { size: 8, type: null }],
    ["seen", { size: 8, pointer: true, type: null }],
    ["tail", { bitOffset: 1600, size: 0, count: 0 }],
  ])("%s is found where it lies", (name, expected) => {
    expect(device?.member(name)).toMatchObject(expected);
  });

  test("names that are not there, or lead into no structure, are no members", () => {
    for (const name of [
      "",
      "none",
      "flags.x",
      "irqfds.none",
      "far.x",
      "usage.counter.x",
      "constructor",
      ".",
    ]) {
      expect(device?.member(name), name).toBeUndefined();
    }
  });

  test("a bit field in the older form has its width and place in the integer", () => {
    expect(new Btf(bytes).type("older")?.member("bits")).toMatchObject({
      bitOffset: 10,
      bitWidth: 3,
      size: 1,
    });
    expect(new Btf(bytes).type("older")?.member("rest")).toMatchObject({ bitOffset: 0, bitWidth: 0 });
  });
});

test("structures are found by their names and by those of typedefs, other things are not", () => {
  const btf = new Btf(bytes);
  expect(btf.type("device")).toMatchObject({ name: "device", size: 200 });
  expect(btf.type("atomic_t")).toMatchObject({ name: "atomic_t", size: 4 });
  for (const name of ["", "int", "far", "colour", "work", "thing", "devic", "device "]) {
    expect(btf.type(name), name).toBeUndefined();
  }
});

test("enumerators have their values, of 32 bits and of 64", () => {
  const btf = new Btf(bytes);
  expect(["RED", "BLUE", "FAR", "NEGATIVE", "none"].map((name) => btf.enumerator(name))).toEqual([
    1,
    -1,
    2 ** 32 + 1,
    -2,
    undefined,
  ]);
});

describe("a module's types beside its kernel's", () => {
  const base = new Btf(bytes);
  const split = new BtfWriter(base);
  const inner = split.struct("vcpu_own", 24, [
    ["first", 2, 0],
    ["where", 7, 64],
  ]);
  split.enum("more", { GREEN: 7 });
  split.typedef("own_t", inner);
  // A module may name its own type by a string of the kernel's.
  split.struct("", 4, []);
  const borrowed = split.finish();
  const device = bytesOf("device");
  borrowed.set([device & 0xff, device >> 8, 0, 0], 24 + lengthBefore(split, 4));
  const module = new Btf(borrowed, base);

  test("refer to them", () => {
    expect(module.type("vcpu_own")?.member("where")).toMatchObject({
      bitOffset: 64,
      size: 16,
      type: "list_head",
    });
    expect(module.type("own_t")?.size).toBe(24);
    expect(module.enumerator("GREEN")).toBe(7);
  });

  test("come before them, and the kernel's are found behind", () => {
    expect(module.type("device")?.size).toBe(4);
    expect(base.type("device")?.size).toBe(200);
    expect(module.type("atomic_t")?.size).toBe(4);
    expect(module.enumerator("RED")).toBe(1);
    expect(base.type("vcpu_own")).toBeUndefined();
  });
});

/** The offset of a string in the kernel's BTF. */
function bytesOf(text: string): number {
  const strings = Buffer.from(bytes).subarray(24 + Buffer.from(bytes).readUInt32LE(16));
  return strings.indexOf(`\0${text}\0`) + 1;
}

/** Bytes of the types before the nth of those above. */
function lengthBefore(_: BtfWriter, nth: number): number {
  return [12 + 24, 12 + 8, 12].slice(0, nth - 1).reduce((sum, size) => sum + size, 0);
}

describe("what cannot be BTF ends in one line", () => {
  test.each([
    ["nothing", new Uint8Array(0), /^BTF: offset 0x0: expected little-endian BTF/],
    [
      "another magic",
      Uint8Array.of(0xeb, 0x9f, 1, 0, ...new Array(20).fill(0)),
      /expected little-endian BTF/,
    ],
    [
      "cut off",
      bytes.subarray(0, bytes.length - 1),
      /^BTF: offset 0x8: expected types up to \d+ and strings/,
    ],
    ["an unknown kind", unknownKind(), /expected a whole type of kind 1 to 19, found kind 20/],
    ["a type cut off", typeCutOff(), /expected a whole type of kind 1 to 19, found kind 4, 12 bytes left/],
  ])("%s", (_, bytes, message) => {
    expect(() => new Btf(bytes)).toThrow(InputError);
    expect(() => new Btf(bytes)).toThrow(message);
  });

  test("a structure in itself, a typedef of itself and a type past the end", () => {
    const btf = new BtfWriter();
    btf.struct("self", 8, [["", 1, 0]]);
    btf.struct("loop", 8, [["next", 3, 0]]);
    btf.typedef("round", 3);
    btf.struct("past", 8, [["next", 99, 0]]);
    btf.array(5, 2);
    btf.struct("arrays", 8, [["next", 5, 0]]);
    const read = new Btf(btf.finish());
    expect(() => read.type("self")?.member("x")).toThrow(/nested 32 deep/);
    expect(() => read.type("loop")?.member("next")).toThrow(/expected typedefs to end/);
    expect(() => read.type("round")).toThrow(/expected typedefs to end/);
    expect(() => read.type("past")?.member("next")).toThrow(/expected types up to 6, one refers to 99/);
    expect(() => read.type("arrays")?.member("next")).toThrow(/an array of few dimensions/);
  });

  test("structures that unfold without end", () => {
    const btf = new BtfWriter();
    for (let i = 1; i <= 30; i++) {
      btf.struct(`s${i}`, 8, i === 1 ? [] : new Array(100).fill(["", i - 1, 0]));
    }
    expect(() => new Btf(btf.finish()).type("s30")?.member("x")).toThrow(/expected at most 65536 members/);
  });

  test("whatever bytes are changed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
        fc.nat(bytes.length),
        (changes, end) => {
          const changed = bytes.slice();
          for (const [at, value] of changes) changed[at] = value;
          try {
            const btf = new Btf(end % 4 === 0 ? changed.subarray(0, end) : changed);
            for (const name of ["device", "older", "atomic_t", "list_head"]) {
              for (const member of ["irqfds.items", "usage.counter", "bits", "next"])
                btf.type(name)?.member(member);
            }
            btf.enumerator("RED");
          } catch (error) {
            expect(error).toBeInstanceOf(InputError);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

function unknownKind(): Uint8Array {
  const btf = new BtfWriter();
  btf.type(20, "new");
  return btf.finish();
}

function typeCutOff(): Uint8Array {
  const btf = new BtfWriter();
  btf.type(kind.struct, "cut", 8, 1);
  return btf.finish();
}
