import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { capabilityIds, configOffset } from "../../spec/pci/config-header.ts";
import { Memory } from "../memory.ts";
import { RecordingFabric } from "../recording-fabric.ts";
import { PciFunction, type PciFunctionOptions } from "./function.ts";
import { RootComplex } from "./root-complex.ts";
import { Signal } from "./signal.ts";

const busMaster = 4;
const memorySpace = 2;

function setup(options: Partial<PciFunctionOptions> = {}) {
  const fabric = new RecordingFabric();
  const memory = new Memory();
  const root = new RootComplex({ memory, fabric });
  const fn = new PciFunction({ requester: 0x18, root, vendor: 0x1af4, device: 0x1042, ...options });
  fn.writeConfig(configOffset.commandStatus, 2, busMaster);
  const sent = () => fabric.messages.splice(0).map(({ address, data }) => [Number(address), data]);
  return { fn, memory, sent };
}

/** The ids of the capabilities, in the order of their list. */
function list(options: Partial<PciFunctionOptions>): number[] {
  const { fn } = setup({ bars: [{ index: 0, size: 4096 }], ...options });
  const found: number[] = [];
  const listed = (fn.readConfig(configOffset.commandStatus, 4) >>> 20) & 1;
  let at = listed === 1 ? fn.readConfig(configOffset.capabilities, 1) : 0;
  for (; at !== 0; at = fn.readConfig(at + 1, 1)) found.push(fn.readConfig(at, 1));
  return found;
}

describe("the header", () => {
  test("says who the function is and cannot be overwritten", () => {
    const { fn } = setup({ classCode: 0x010802, revision: 2, interruptPin: 1, configSize: 256 });
    fn.writeConfig(0, 4, 0);
    fn.writeConfig(8, 4, 0);
    expect(fn.readConfig(0, 4)).toBe(0x10421af4);
    expect(fn.readConfig(8, 4)).toBe(0x01080202);
    expect(fn.readConfig(configOffset.interruptPin, 1)).toBe(1);
    expect(() => fn.readConfig(256, 4)).toThrow(RangeError);
  });

  test("links the capabilities that the function has", () => {
    const msix = { vectors: 4, table: { bar: 0, offset: 0 }, pba: { bar: 0, offset: 2048 } };
    expect(list({})).toEqual([]);
    expect(list({ msi: {} })).toEqual([capabilityIds.msi]);
    expect(list({ msix })).toEqual([capabilityIds.msix]);
    expect(list({ msi: { masking: true }, msix })).toEqual([capabilityIds.msi, capabilityIds.msix]);
  });
});

describe("a BAR", () => {
  test.each([
    { kind: "memory32", size: 4096, sized: [0xfffff000, 0] },
    { kind: "memory32", size: 16, prefetchable: true, sized: [0xfffffff8, 0] },
    { kind: "memory64", size: 4096, sized: [0xfffff004, 0xffffffff] },
    { kind: "memory64", size: 2 ** 33, sized: [0x4, 0xfffffffe] },
    { kind: "io", size: 32, sized: [0xffffffe1, 0] },
  ] as const)("of kind $kind tells its size $size after ones were written to it", ({ sized, ...bar }) => {
    const { fn } = setup({ bars: [{ index: 2, ...bar }] });
    fn.writeConfig(0x18, 4, -1);
    fn.writeConfig(0x1c, 4, -1);
    expect([fn.readConfig(0x18, 4), fn.readConfig(0x1c, 4)]).toEqual(sized);
  });

  test("answers its addresses while Memory Space Enable is 1", () => {
    const { fn } = setup({
      bars: [
        { index: 0, size: 4096 },
        { index: 1, size: 32, kind: "io" },
        { index: 4, size: 8192, kind: "memory64" },
      ],
    });
    fn.writeConfig(0x10, 4, 0xfe200000);
    fn.writeConfig(0x14, 4, 0xfe300000);
    fn.writeConfig(0x20, 4, 0xc0000000);
    fn.writeConfig(0x24, 4, 0x38);
    expect(fn.decode(0xfe200010)).toBeUndefined();
    fn.writeConfig(configOffset.commandStatus, 2, memorySpace);
    expect(fn.decode(0xfe200010)).toEqual({ bar: 0, offset: 0x10 });
    expect(fn.decode(0x38c0001fff)).toEqual({ bar: 4, offset: 0x1fff });
    expect(fn.decode(0x38c0002000)).toBeUndefined();
    expect(fn.decode(0xfe300000)).toBeUndefined();
    expect(fn.bars[1]!.base).toBe(0xfe300000);
  });

  test("hands accesses to what lies behind it", () => {
    const writes: number[][] = [];
    const { fn } = setup({
      bars: [
        {
          index: 0,
          size: 64,
          read: (offset, width) => -offset - width,
          write: (...args) => writes.push(args),
        },
        { index: 1, size: 64 },
      ],
    });
    expect(fn.readBar(0, 8, 2)).toBe(0xfffffff6);
    fn.writeBar(0, 12, 4, 7);
    expect(writes).toEqual([[12, 4, 7]]);
    fn.writeBar(1, 0, 4, 7);
    expect(fn.readBar(1, 0, 4)).toBe(0);
  });

  test.each([
    [1, 0, 4, "none of that index"],
    [0, 62, 4, "aligned"],
    [0, 64, 4, "aligned access below 64"],
    [0, -4, 4, "aligned"],
  ] as const)("refuses an access to BAR %d at %d of %d bytes: %s", (bar, offset, width, message) => {
    const { fn } = setup({ bars: [{ index: 0, size: 64 }] });
    expect(() => fn.readBar(bar, offset, width)).toThrow(message);
    expect(() => fn.writeBar(bar, offset, width, 0)).toThrow(RangeError);
  });

  test.each([
    { index: 6, size: 4096 },
    { index: 5, size: 4096, kind: "memory64" },
    { index: 0, size: 4095 },
    { index: 0, size: 8 },
    { index: 0, size: 512, kind: "io" },
    { index: 0, size: 2 ** 32 },
  ] as const)("cannot be %o", (bar) => {
    expect(() => setup({ bars: [bar] })).toThrow(/^BAR \d/);
  });
});

describe("MSI", () => {
  const control = 0x42;
  const shapes = [
    { wide: false, masking: false, data: 0x48, mask: 0 },
    { wide: true, masking: false, data: 0x4c, mask: 0 },
    { wide: false, masking: true, data: 0x48, mask: 0x4c },
    { wide: true, masking: true, data: 0x4c, mask: 0x50 },
  ] as const;

  function program(fn: PciFunction, data: number, mme = 0): void {
    fn.writeConfig(0x44, 4, 0xfee0100f);
    fn.writeConfig(data, 2, 0x4127);
    fn.writeConfig(control, 2, 1 | (mme << 4));
  }

  test.each(shapes)("sends its message: 64-bit $wide, masking $masking", ({ wide, masking, data }) => {
    const { fn, sent } = setup({ msi: { wide, masking } });
    expect(fn.signal(0)).toBe(Signal.disabled);
    program(fn, data);
    expect(fn.signal(0)).toBe(Signal.sent);
    expect(sent()).toEqual([[0xfee0100c, 0x4127]]);
    expect(fn.signal(1)).toBe(Signal.unallocated);
  });

  test("with a 64-bit address writes to memory above 4 GiB, where it is no interrupt", () => {
    const { fn, memory, sent } = setup({ msi: {} });
    program(fn, 0x4c);
    fn.writeConfig(0x48, 4, 2);
    fn.signal(0);
    expect(sent()).toEqual([]);
    expect(memory.read32(0x2_fee0100c)).toBe(0x4127);
  });

  test("writes the vector into as many low data bits as are allocated", () => {
    for (let log = 0; log <= 5; log++) {
      const { fn, sent } = setup({ msi: { vectors: 32 } });
      program(fn, 0x4c, log);
      for (let vector = 0; vector < 1 << log; vector++) expect(fn.signal(vector)).toBe(Signal.sent);
      expect(fn.signal(1 << log)).toBe(Signal.unallocated);
      const base = 0x4127 & ~((1 << log) - 1);
      expect(sent().map(([, data]) => data)).toEqual(
        Array.from({ length: 1 << log }, (_, vector) => base | vector),
      );
    }
  });

  test("allocates no more than the function asked for", () => {
    const { fn } = setup({ msi: { vectors: 4 } });
    program(fn, 0x4c, 7);
    expect(fn.msi!.allocated).toBe(4);
  });

  test("sends nothing while Bus Master Enable is 0", () => {
    const { fn, sent } = setup({ msi: {} });
    program(fn, 0x4c);
    fn.writeConfig(configOffset.commandStatus, 2, 0);
    expect(fn.signal(0)).toBe(Signal.lost);
    fn.writeConfig(configOffset.commandStatus, 2, busMaster);
    expect(sent()).toEqual([]);
    fn.withdraw(0);
  });

  test("keeps what is masked pending, through disabling and bus mastering off, until all allow it", () => {
    const { fn, sent } = setup({ msi: { vectors: 2, masking: true } });
    program(fn, 0x4c, 1);
    fn.writeConfig(0x50, 4, 3);
    expect(fn.signal(1)).toBe(Signal.pending);
    expect(fn.signal(1)).toBe(Signal.pending);
    expect(fn.readConfig(0x54, 4)).toBe(2);
    fn.writeConfig(configOffset.commandStatus, 2, 0);
    fn.writeConfig(0x50, 4, 0);
    fn.writeConfig(control, 2, 0);
    fn.writeConfig(configOffset.commandStatus, 2, busMaster);
    expect(sent()).toEqual([]);
    fn.writeConfig(control, 2, 0x11);
    expect(sent()).toEqual([[0xfee0100c, 0x4127]]);
    expect(fn.readConfig(0x54, 4)).toBe(0);
  });

  test("forgets a pending interrupt whose cause is gone", () => {
    const { fn, sent } = setup({ msi: { masking: true } });
    program(fn, 0x4c);
    fn.writeConfig(0x50, 4, 1);
    fn.signal(0);
    fn.withdraw(0);
    fn.writeConfig(0x50, 4, 0);
    expect(sent()).toEqual([]);
  });
});

describe("INTx", () => {
  test("follows the function unless disabled, or MSI is enabled", () => {
    const heard: boolean[] = [];
    const { fn } = setup({ msi: {}, interruptPin: 1, intx: (asserted) => heard.push(asserted) });
    const status = () => (fn.readConfig(configOffset.commandStatus, 4) >>> 19) & 1;
    fn.setIntx(true);
    fn.setIntx(true);
    expect(heard).toEqual([true]);
    fn.writeConfig(configOffset.commandStatus, 2, busMaster | 0x400);
    expect([heard.at(-1), status()]).toEqual([false, 1]);
    fn.writeConfig(configOffset.commandStatus, 2, busMaster);
    expect(heard.at(-1)).toBe(true);
    fn.writeConfig(0x42, 2, 1);
    expect(heard.at(-1)).toBe(false);
    fn.writeConfig(0x42, 2, 0);
    expect(heard).toEqual([true, false, true, false, true]);
    fn.setIntx(false);
    expect([heard.at(-1), status()]).toEqual([false, 0]);
  });

  test("may lead nowhere", () => {
    const { fn } = setup({ interruptPin: 1 });
    fn.setIntx(true);
    expect(fn.signal(0)).toBe(Signal.disabled);
    fn.withdraw(0);
  });
});

test("a function writes and reads memory only while Bus Master Enable is 1", () => {
  const { fn, memory } = setup();
  expect(fn.dmaWrite(0x1000, 0x12345678)).toEqual({ to: "memory" });
  expect(memory.read32(0x1000)).toBe(0x12345678);
  expect(fn.dmaRead(0x1000, 2)).toEqual(Uint8Array.of(0x78, 0x56));
  fn.writeConfig(configOffset.commandStatus, 2, 0);
  expect(fn.dmaWrite(0x1000, 0)).toBeUndefined();
  expect(fn.dmaRead(0x1000, 2)).toBeUndefined();
  expect(memory.read32(0x1000)).toBe(0x12345678);
});

/** A function with MSI-X: entry n holds the message with handle n and data n. */
function withVectors(vectors: number) {
  const pba = 8 * Math.ceil((vectors * 16) / 8);
  const machine = setup({
    bars: [{ index: 0, size: 65536, read: () => 0x5a, write: () => {} }],
    msi: {},
    msix: { vectors, table: { bar: 0, offset: 0 }, pba: { bar: 0, offset: pba } },
  });
  const control = (value: number) => machine.fn.writeConfig(0x52, 2, value);
  const mask = (vector: number, value: number) => machine.fn.writeBar(0, vector * 16 + 12, 4, value);
  for (let vector = 0; vector < vectors; vector++) {
    machine.fn.writeBar(0, vector * 16, 4, 0xfee00018 | (vector << 5));
    machine.fn.writeBar(0, vector * 16 + 8, 4, vector);
  }
  return { ...machine, control, mask, pba };
}

describe("MSI-X", () => {
  const enable = 0x8000;
  const functionMask = 0x4000;

  test("starts with every vector masked, and says so", () => {
    const { fn } = withVectors(3);
    expect(fn.readConfig(0x52, 2)).toBe(2);
    for (let vector = 0; vector < 3; vector++) expect(fn.readBar(0, vector * 16 + 12, 4)).toBe(1);
    expect(fn.readBar(0, 16, 4)).toBe(0xfee00038);
  });

  test("sends each vector's own message", () => {
    const { fn, sent, control, mask } = withVectors(2);
    expect(fn.signal(1)).toBe(Signal.disabled);
    control(enable);
    mask(1, 0);
    expect(fn.signal(1)).toBe(Signal.sent);
    expect(fn.signal(2)).toBe(Signal.unallocated);
    expect(sent()).toEqual([[0xfee00038, 1]]);
  });

  test("is used where MSI is enabled as well", () => {
    const { fn, sent, control, mask } = withVectors(1);
    fn.writeConfig(0x42, 2, 1);
    control(enable);
    mask(0, 0);
    fn.signal(0);
    expect(sent()).toEqual([[0xfee00018, 0]]);
  });

  test("sends nothing while Bus Master Enable is 0, and what is pending once it is 1", () => {
    const { fn, sent, control, mask } = withVectors(2);
    control(enable);
    mask(0, 0);
    fn.signal(1);
    fn.writeConfig(configOffset.commandStatus, 2, 0);
    expect(fn.signal(0)).toBe(Signal.lost);
    mask(1, 0);
    expect(sent()).toEqual([]);
    fn.writeConfig(configOffset.commandStatus, 2, busMaster);
    expect(sent()).toEqual([[0xfee00038, 1]]);
  });

  test("delivers a pending vector through the address that it has when it is unmasked", () => {
    const { fn, sent, control, mask } = withVectors(1);
    control(enable);
    fn.signal(0);
    fn.writeBar(0, 0, 4, 0xfee00058);
    mask(0, 0);
    expect(sent()).toEqual([[0xfee00058, 0]]);
  });

  test("forgets a pending interrupt whose cause is gone", () => {
    const { fn, sent, control, mask } = withVectors(1);
    control(enable);
    fn.signal(0);
    expect(fn.msix!.isPending(0)).toBe(true);
    fn.withdraw(0);
    fn.withdraw(0);
    mask(0, 0);
    expect(sent()).toEqual([]);
  });

  test("is off, empty and masked after a reset, like everything else of the function", () => {
    const { fn, sent, control, mask } = withVectors(2);
    control(enable);
    mask(0, 0);
    fn.signal(1);
    fn.setIntx(true);
    fn.reset();
    expect(fn.readConfig(0x52, 2)).toBe(1);
    expect([0, 8, 12, 28].map((offset) => fn.readBar(0, offset, 4))).toEqual([0, 0, 1, 1]);
    expect([fn.msix!.isPending(1), fn.canMaster]).toEqual([false, false]);
    expect(fn.readConfig(configOffset.commandStatus + 2, 2) & 8).toBe(0);
    control(enable);
    fn.writeConfig(configOffset.commandStatus, 2, busMaster);
    mask(1, 0);
    expect(sent()).toEqual([]);
  });

  test("has a Pending Bit Array that cannot be written, and takes whole dwords only", () => {
    const { fn, control, pba } = withVectors(70);
    control(enable);
    fn.signal(1);
    fn.signal(65);
    fn.writeBar(0, pba, 4, 0);
    fn.writeBar(0, pba + 8, 4, -1);
    expect([0, 4, 8, 12].map((offset) => fn.readBar(0, pba + offset, 4))).toEqual([2, 0, 2, 0]);
    expect(fn.readBar(0, pba, 1)).toBe(0);
    fn.writeBar(0, 12, 1, 0);
    expect(fn.readBar(0, 12, 4)).toBe(1);
    expect(fn.readBar(0, 12, 2)).toBe(0);
    expect(fn.readBar(0, pba + 16, 4)).toBe(0x5a);
    fn.writeBar(0, pba + 16, 4, 1);
  });

  test("sends a masked vector never, and exactly once when it is unmasked, in any order of events", () => {
    type Event =
      | { readonly what: "signal" | "mask" | "unmask"; readonly vector: number }
      | { readonly what: "all" | "none" };
    const vector = fc.constantFrom(0, 1, 31, 32, 39);
    const event: fc.Arbitrary<Event> = fc.oneof(
      fc.record({ what: fc.constantFrom("signal" as const, "mask" as const, "unmask" as const), vector }),
      fc.record({ what: fc.constantFrom("all" as const, "none" as const) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const { fn, sent, control, mask } = withVectors(40);
        control(enable);
        const masked = new Set(Array.from({ length: 40 }, (_, vector) => vector));
        const pending = new Set<number>();
        let all = false;
        for (const event of events) {
          const expected: number[] = [];
          if (event.what === "signal") {
            const held = all || masked.has(event.vector);
            if (held) pending.add(event.vector);
            else expected.push(event.vector);
            expect(fn.signal(event.vector)).toBe(held ? Signal.pending : Signal.sent);
          } else if (event.what === "mask" || event.what === "unmask") {
            if (event.what === "mask") masked.add(event.vector);
            else masked.delete(event.vector);
            if (!all && !masked.has(event.vector) && pending.delete(event.vector))
              expected.push(event.vector);
            mask(event.vector, event.what === "mask" ? 1 : 0);
          } else {
            all = event.what === "all";
            const free = [...pending]
              .filter((vector) => !all && !masked.has(vector))
              .toSorted((a, b) => a - b);
            for (const vector of free) pending.delete(vector);
            expected.push(...free);
            control(all ? enable | functionMask : enable);
          }
          expect(sent().map(([, data]) => data)).toEqual(expected);
          for (let vector = 0; vector < 40; vector++)
            expect(fn.msix!.isPending(vector)).toBe(pending.has(vector));
        }
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    { vectors: 0, table: { bar: 0, offset: 0 }, pba: { bar: 0, offset: 2048 } },
    { vectors: 2049, table: { bar: 0, offset: 0 }, pba: { bar: 0, offset: 40000 } },
    { vectors: 2, table: { bar: 0, offset: 4 }, pba: { bar: 0, offset: 2048 } },
    { vectors: 2, table: { bar: 1, offset: 0 }, pba: { bar: 0, offset: 2048 } },
    { vectors: 2, table: { bar: 0, offset: 4080 }, pba: { bar: 0, offset: 2048 } },
    { vectors: 2, table: { bar: 0, offset: 0 }, pba: { bar: 0, offset: 24 } },
  ])("cannot have $vectors vectors in BAR $table.bar at $table.offset beside $pba.offset", (msix) => {
    expect(() => setup({ bars: [{ index: 0, size: 4096 }], msix })).toThrow(RangeError);
  });
});
