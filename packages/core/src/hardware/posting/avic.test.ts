import { describe, expect, test } from "vitest";
import { avicIncompleteIpi as incomplete } from "../../spec/apic/avic.ts";
import { Memory } from "../memory.ts";
import { Avic, AvicProcessor, type AvicSettings, ipiComplete } from "./avic.ts";
import { group } from "./vector-page.ts";

const physicalTable = 0x10000;
const logicalTable = 0x11000;
const running = 1n << 62n;
const valid = 1n << 63n;

function backing(id: number): number {
  return 0x100000 + 0x1000 * id;
}

/** Guests 0 to 3 and 0x20; 2 does not run. Guest n runs on host APIC n + 8. */
function guest(overrides: Partial<AvicSettings> = {}) {
  const memory = new Memory();
  const doorbells: number[] = [];
  const ids = [0, 1, 2, 3, 0x20];
  for (const id of ids) {
    const entry = valid | BigInt(backing(id)) | BigInt(id + 8) | (id === 2 ? 0n : running);
    memory.write64(physicalTable + 8 * id, entry);
    memory.write32(backing(id) + 0xe0, -1);
  }
  // Flat: bit n is guest n; cluster 2: its four members are guests 0 to 3.
  for (let bit = 0; bit < 4; bit++) {
    memory.write32(logicalTable + 4 * bit, 0x80000000 | bit);
    memory.write32(logicalTable + 4 * (8 + bit), 0x80000000 | bit);
  }
  const avic = new Avic(memory, {
    mode: "xavic",
    physicalTable,
    logicalTable,
    doorbell: (host) => doorbells.push(host),
    ...overrides,
  });
  return { memory, avic, doorbells, holders: () => ids.filter((id) => avic.page(id).has(group.irr, 0x41)) };
}

describe("an IPI under xAVIC", () => {
  test.each([
    // low, high, code, holders, doorbells, what
    [0x00041, 1 << 24, ipiComplete, [1], [9], "a running target gets the doorbell"],
    [0x04041, 1 << 24, ipiComplete, [1], [9], "the level bit is not looked at"],
    [0x00041, 2 << 24, incomplete.targetNotRunning, [2], [], "a target that does not run holds the bit"],
    [0x40041, 9 << 24, ipiComplete, [0], [], "self needs no doorbell"],
    [0x00041, 0, ipiComplete, [0], [], "nor does its own id"],
    [0x80041, 0, incomplete.targetNotRunning, [0, 1, 2, 3, 0x20], [9, 11, 40], "all including self"],
    [0xc0041, 0, incomplete.targetNotRunning, [1, 2, 3, 0x20], [9, 11, 40], "all excluding self"],
    [0x00041, 0xff << 24, incomplete.targetNotRunning, [0, 1, 2, 3, 0x20], [9, 11, 40], "physical broadcast"],
    [0x00041, 4 << 24, incomplete.invalidTarget, [], [], "no valid entry"],
    [0x00841, 0x0a << 24, ipiComplete, [1, 3], [9, 11], "flat logical"],
    [
      0x00841,
      0x12 << 24,
      incomplete.invalidTarget,
      [],
      [],
      "a bit without a logical entry fails the whole IPI",
    ],
    [0x00841, 0xff << 24, incomplete.invalidTarget, [], [], "a flat FFh is eight bits like others"],
    [0x00841, 0, ipiComplete, [], [], "no bit, no target"],
    [0x00141, 1 << 24, incomplete.invalidInterruptType, [], [], "lowest priority"],
    [0x00441, 1 << 24, incomplete.invalidInterruptType, [], [], "NMI"],
    [0x08041, 1 << 24, incomplete.invalidInterruptType, [], [], "level-triggered"],
    [0x0000f, 1 << 24, incomplete.invalidVector, [], [], "vector below 16"],
    [0x0040f, 1 << 24, incomplete.invalidInterruptType, [], [], "the type comes before the vector"],
  ])("ICR %i, %i ends in %i, held by %o, doorbells %o: %s", (low, high, code, held, rung) => {
    const { avic, doorbells, holders } = guest();
    expect([avic.ipi(0, low, high), holders(), doorbells]).toEqual([code, held, rung]);
  });

  test.each([
    [0x2a, ipiComplete, [1, 3]],
    [0x1a, incomplete.invalidTarget, []],
    [0xff, incomplete.targetNotRunning, [0, 1, 2, 3, 0x20]],
  ])("in the cluster model destination %i ends in %i, held by %o", (destination, code, held) => {
    const { memory, avic, holders } = guest();
    memory.write32(backing(0) + 0xe0, 0x0fffffff);
    expect([avic.ipi(0, 0x841, destination << 24), holders()]).toEqual([code, held]);
  });

  test("names the entry at which it failed", () => {
    const { avic } = guest();
    avic.ipi(0, 0x41, 9 << 24);
    expect(avic.failedIndex).toBe(9);
    avic.ipi(0, 0x841, 0x12 << 24);
    expect(avic.failedIndex).toBe(4);
    avic.ipi(0, 0x80041, 0);
    expect(avic.failedIndex).toBe(2);
  });

  test("fails on a backing page beyond the address width", () => {
    const { memory, avic, holders } = guest({ physicalAddressBits: 40 });
    memory.write64(physicalTable + 8, valid | running | (1n << 40n));
    expect([avic.ipi(0, 0x841, 0x0a << 24), avic.failedIndex]).toEqual([incomplete.invalidBackingPage, 1]);
    memory.write64(physicalTable + 8, valid | running | BigInt(backing(1)));
    expect(holders()).toEqual([]);
  });

  test("reaches no further than the maximum index", () => {
    const { avic, holders } = guest({ maximumIndex: 2 });
    expect(avic.ipi(0, 0x41, 3 << 24)).toBe(incomplete.invalidTarget);
    expect([avic.ipi(0, 0xc0041, 0), holders()]).toEqual([incomplete.targetNotRunning, [1, 2]]);
  });
});

describe("an IPI under x2AVIC", () => {
  test.each([
    [0x00041, 0x20, ipiComplete, [0x20]],
    [0x00041, 0xff, incomplete.invalidTarget, []],
    [0x00041, 0x200, incomplete.invalidTarget, []],
    [0x00041, -1, incomplete.targetNotRunning, [0, 1, 2, 3, 0x20]],
    [0x00841, 0x2_0001, ipiComplete, [0x20]],
    [0x00841, 0x0_000a, ipiComplete, [1, 3]],
    [0x00841, 0x0_0012, incomplete.invalidTarget, []],
    [0x00841, -1, incomplete.targetNotRunning, [0, 1, 2, 3, 0x20]],
  ])("ICR %i with destination %i ends in %i, held by %o", (low, destination, code, held) => {
    const { avic, holders } = guest({ mode: "x2avic" });
    expect([avic.ipi(0, low, destination), holders()]).toEqual([code, held]);
  });

  test("needs nobody to hear the doorbell, nor a logical table", () => {
    const memory = new Memory();
    memory.write64(physicalTable, valid | running | BigInt(backing(0)));
    const avic = new Avic(memory, { mode: "x2avicExtended", physicalTable });
    expect([avic.ipi(1, 0x41, 0), avic.page(0).has(group.irr, 0x41)]).toEqual([ipiComplete, true]);
    const logical = new Avic(memory, { mode: "xavic", physicalTable });
    memory.write32(backing(0) + 0xe0, -1);
    expect(logical.ipi(0, 0x841, 1 << 24)).toBe(incomplete.invalidTarget);
  });
});

test.each([
  ["xavic", 0xfe],
  ["x2avic", 0x1ff],
  ["x2avicExtended", 0xfff],
] as const)("%s has a highest index of %i", (mode, highest) => {
  const memory = new Memory();
  expect(new Avic(memory, { mode, physicalTable, maximumIndex: highest })).toBeInstanceOf(Avic);
  expect(() => new Avic(memory, { mode, physicalTable, maximumIndex: highest + 1 })).toThrow(
    /maximum index .* beyond/,
  );
});

test.each([[{ physicalTable: 0x10008 }], [{ physicalTable, logicalTable: 0x11004 }]])(
  "tables at %o are refused",
  (tables) => {
    expect(() => new Avic(new Memory(), { mode: "xavic", ...tables })).toThrow(/4-KByte/);
  },
);

function processor() {
  const { memory, avic } = guest();
  const page = avic.page(1);
  return { memory, avic, page, cpu: new AvicProcessor(page) };
}

describe("a processor with AVIC", () => {
  test("finds on a doorbell what was posted, and takes it", () => {
    const { avic, cpu, page } = processor();
    cpu.enter();
    avic.ipi(0, 0x41, 1 << 24);
    expect([cpu.recognised, cpu.doorbell(), cpu.recognised]).toEqual([false, true, true]);
    expect([cpu.deliver(), page.has(group.irr, 0x41), page.has(group.isr, 0x41), cpu.deliver()]).toEqual([
      0x41,
      false,
      true,
      -1,
    ]);
  });

  test("loses a doorbell outside the guest, and finds the interrupt on entry", () => {
    const { cpu, page } = processor();
    page.set(group.irr, 0x41);
    expect([cpu.doorbell(), cpu.recognised]).toEqual([false, false]);
    cpu.enter();
    expect([cpu.inGuest, cpu.deliver()]).toEqual([true, 0x41]);
  });

  test.each([
    [0x00, -1, 0x41, true],
    [0x3f, -1, 0x41, true],
    [0x40, -1, 0x41, false],
    [0x00, 0x4f, 0x41, false],
    [0x00, 0x31, 0x41, true],
    [0x00, -1, -1, false],
  ])("with TPR %i and %i in service, %i is recognised: %s", (tpr, inService, pending, recognised) => {
    const { cpu, page } = processor();
    page.write(0x80, tpr);
    if (inService >= 0) page.set(group.isr, inService);
    if (pending >= 0) page.set(group.irr, pending);
    expect(cpu.evaluate()).toBe(recognised);
  });

  test("ends an edge-triggered interrupt by itself and leaves a level-triggered one to the hypervisor", () => {
    const { cpu, page } = processor();
    for (const vector of [0x41, 0x52]) page.set(group.isr, vector);
    page.set(group.tmr, 0x41);
    page.set(group.irr, 0x48);
    expect([cpu.eoi(), cpu.priority(), cpu.recognised]).toEqual([-1, 0x40, false]);
    expect([cpu.eoi(), page.has(group.isr, 0x41)]).toEqual([0x41, true]);
    page.clear(group.isr, 0x41);
    expect(cpu.eoi()).toBe(-1);
  });
});
