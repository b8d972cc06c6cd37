import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Outcome } from "../delivery.ts";
import { eventKinds } from "../event.ts";
import { Memory } from "../memory.ts";
import { RootComplex } from "./root-complex.ts";

function setup(options: { readonly unit?: boolean } = {}) {
  const memory = new Memory();
  const seen: (string | number)[][] = [];
  const unit = (name: string, outcome: Outcome) => ({
    interrupt: (address: number, data: number, requester: number) => {
      seen.push([name, address >>> 0, data, requester]);
      return outcome;
    },
    malformed: (address: number, requester: number) => {
      seen.push([`${name} malformed`, address >>> 0, requester]);
      return Outcome.blocked;
    },
  });
  const fabric = {
    fixed: () => 0,
    deliver: () => 0,
    message: (low: number, high: number, data: number) => seen.push(["fabric", low >>> 0, high, data]),
  };
  const observer = {
    record: (kind: number, a: number, b: number, c: number, d: number, e: number) => {
      seen.push([kind, a, b >>> 0, c >>> 0, d, e]);
    },
  };
  const root = new RootComplex({
    memory,
    fabric,
    observer,
    ...(options.unit === true ? { unit: unit("unit", Outcome.remapped) } : {}),
  });
  return { memory, root, seen, unit };
}

describe("an aligned 4-byte write without PASID to FEEx_xxxxh", () => {
  test("goes to the remapping unit as an interrupt request", () => {
    const { root, seen } = setup({ unit: true });
    expect(root.write(0x18, 0xfee00338, 5)).toEqual({ to: "interrupt", outcome: Outcome.remapped });
    expect(root.write(0x18, 0xfeefffff - 3, Uint8Array.of(1, 2, 3, 0x84))).toMatchObject({ to: "interrupt" });
    expect(root.writeDword(0x20, 0xfee0001c | 0, 0, -1)).toMatchObject({ to: "interrupt" });
    expect(seen).toEqual([
      ["unit", 0xfee00338, 5, 0x18],
      ["unit", 0xfeeffffc, 0x84030201 | 0, 0x18],
      ["unit", 0xfee0001c, -1, 0x20],
    ]);
  });

  test("goes straight to the fabric where there is no unit", () => {
    const { root, seen } = setup();
    expect(root.writeDword(0x18, 0xfee01004 | 0, 0, 0x31)).toEqual({
      to: "interrupt",
      outcome: Outcome.passed,
    });
    expect(seen).toEqual([["fabric", 0xfee01004, 0, 0x31]]);
  });

  test("goes to the unit of its own requester", () => {
    const { root, seen, unit } = setup({ unit: true });
    root.attach(0x18, unit("other", Outcome.posted));
    expect(root.writeDword(0x18, 0xfee00000 | 0, 0, 1)).toEqual({ to: "interrupt", outcome: Outcome.posted });
    root.writeDword(0x19, 0xfee00000 | 0, 0, 2);
    expect(seen.map(([name]) => name)).toEqual(["other", "unit"]);
  });

  test("is an interrupt even from a requester that DMA translation confines", () => {
    const { root } = setup({ unit: true });
    root.confine(0x18, []);
    expect(root.write(0x18, 0xfee00000, 1)).toMatchObject({ to: "interrupt" });
  });
});

describe("any other access to that range", () => {
  const cases = [
    { what: "two bytes", address: 0xfee00000, payload: Uint8Array.of(1, 2) },
    { what: "eight bytes", address: 0xfee00000, payload: new Uint8Array(8) },
    { what: "no bytes", address: 0xfee00000, payload: new Uint8Array(0) },
    { what: "an unaligned dword", address: 0xfee00002, payload: 7 },
  ];
  test.each(cases)("is malformed: a write of $what", ({ address, payload }) => {
    const { root, seen } = setup({ unit: true });
    expect(root.write(0x18, address, payload)).toEqual({ to: "nowhere", rule: "pci.dma.interrupt-range" });
    expect(seen[0]).toEqual(["unit malformed", address, 0x18]);
    expect(seen[1]![0]).toBe(eventKinds.dmaRefused);
  });

  test("is malformed: an unaligned dword of a message", () => {
    const { root, seen } = setup({ unit: true });
    const refused = { to: "nowhere", rule: "pci.dma.interrupt-range" };
    expect(root.writeDword(0x18, 0xfee00002 | 0, 0, 7)).toEqual(refused);
    expect(seen[0]).toEqual(["unit malformed", 0xfee00002, 0x18]);
  });

  test("is malformed: a read, unless it asks for nothing", () => {
    const { root, seen } = setup({ unit: true });
    expect(root.read(0x18, 0xfee00000, 4)).toBe("pci.dma.interrupt-range");
    expect(seen).toEqual([
      ["unit malformed", 0xfee00000, 0x18],
      [eventKinds.dmaRefused, 0x18, 0xfee00000, 0, 4, 0],
    ]);
    expect(root.read(0x18, 0xfee00000, 0)).toEqual(new Uint8Array(0));
    expect(seen).toHaveLength(2);
  });

  test("with a PASID is refused by its translation, and no interrupt fault", () => {
    const { root, seen } = setup({ unit: true });
    expect(root.write(0x18, 0xfee00000, 1, { pasid: 0 })).toEqual({
      to: "nowhere",
      rule: "pci.dma.pasid-interrupt-range",
    });
    expect(seen).toEqual([[eventKinds.dmaRefused, 0x18, 0xfee00000, 0, 4, 1]]);
  });

  test("is refused where there is no unit, too", () => {
    const { root } = setup();
    expect(root.write(0x18, 0xfee00001, Uint8Array.of(1))).toMatchObject({ rule: "pci.dma.interrupt-range" });
  });

  test("through a 64-bit address is no interrupt: 1_FEE0_0000h is memory", () => {
    const { root, memory } = setup({ unit: true });
    expect(root.writeDword(0x18, 0xfee00000 | 0, 1, 9)).toEqual({ to: "memory" });
    expect(memory.read32(0x1_fee00000)).toBe(9);
  });
});

describe("DMA", () => {
  test("without confinement reaches any memory, a remapping table included", () => {
    const { root, memory, seen } = setup({ unit: true });
    const table = 0x1200000;
    memory.write64(table, 0x1000030000dn);
    expect(root.write(0x18, table, 0)).toEqual({ to: "memory" });
    expect(memory.read32(table)).toBe(0);
    expect(seen).toEqual([[eventKinds.dma, 0x18, table, 0, 4, 1]]);
  });

  test("writes what it was given, and reads it back", () => {
    const bytes = fc.uint8Array({ maxLength: 9000 });
    const address = fc.integer({ min: 0, max: 0x10000 }).map((low) => 0x7_0000_0000 + low);
    fc.assert(
      fc.property(address, bytes, (address, bytes) => {
        const { root } = setup();
        expect(root.write(1, address, bytes)).toEqual({ to: "memory" });
        expect(root.read(1, address, bytes.length)).toEqual(bytes);
      }),
      { numRuns: 20 },
    );
  });

  test("of a confined requester stays within its ranges", () => {
    const { root, memory, seen } = setup();
    root.confine(0x18, [
      { from: 0x1000, to: 0x2000 },
      { from: 0x8000, to: 0x8004 },
    ]);
    expect(root.write(0x18, 0x1ffc, 1)).toEqual({ to: "memory" });
    expect(root.write(0x18, 0x8000, 1)).toEqual({ to: "memory" });
    expect(root.write(0x18, 0x8002, 1)).toEqual({ to: "nowhere", rule: "pci.dma.confined" });
    expect(root.write(0x18, 0xffc, 1)).toEqual({ to: "nowhere", rule: "pci.dma.confined" });
    expect(root.read(0x18, 0x2000, 4)).toBe("pci.dma.confined");
    expect(root.read(0x18, 0x1000, 4)).toBeInstanceOf(Uint8Array);
    expect(memory.read32(0xffc)).toBe(0);
    expect(seen.filter(([kind]) => kind === eventKinds.dmaRefused)).toEqual([
      [eventKinds.dmaRefused, 0x18, 0x8002, 0, 4, 1],
      [eventKinds.dmaRefused, 0x18, 0xffc, 0, 4, 1],
      [eventKinds.dmaRefused, 0x18, 0x2000, 0, 4, 0],
    ]);
    expect(root.write(0x19, 0xffc, 1)).toEqual({ to: "memory" });
    expect([0x18, 0x19].map((requester) => root.confines(requester))).toEqual([true, false]);
    root.release(0x18);
    expect(root.confines(0x18)).toBe(false);
    expect(root.write(0x18, 0xffc, 1)).toEqual({ to: "memory" });
  });

  test("across a page boundary is refused page by page", () => {
    const { root, memory } = setup();
    root.confine(0x18, [{ from: 0x2000, to: 0x3000 }]);
    const refused = { to: "nowhere", rule: "pci.dma.confined" };
    expect(root.write(0x18, 0x1ffe, Uint8Array.of(1, 2, 3, 4))).toEqual(refused);
    expect(memory.readBytes(0x1ffe, 4)).toEqual(Uint8Array.of(0, 0, 3, 4));
    expect(root.read(0x18, 0x2ffe, 4)).toBe("pci.dma.confined");
  });

  test("beyond the physical address space is refused", () => {
    const { root } = setup();
    expect(root.write(1, 2 ** 52, 1)).toEqual({ to: "nowhere", rule: "pci.dma.address-width" });
    expect(root.writeDword(1, 0, -1, 1)).toEqual({ to: "nowhere", rule: "pci.dma.address-width" });
    expect(root.read(1, 2 ** 52 - 2, 2)).toEqual(new Uint8Array(2));
  });

  test.each([
    { from: 5, to: 4 },
    { from: -1, to: 4 },
    { from: 0, to: 2 ** 53 },
    { from: Number.NaN, to: 4 },
  ])("cannot be confined to the range from $from to $to", (range) => {
    expect(() => setup().root.confine(1, [range])).toThrow(RangeError);
  });
});
