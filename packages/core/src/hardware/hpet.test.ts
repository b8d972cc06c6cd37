import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode } from "../spec/codec.ts";
import {
  hpetCapabilities,
  hpetOffset,
  hpetTimerConfiguration,
  hpetTimerOffset,
} from "../spec/hpet/registers.ts";
import { Hpet } from "./hpet.ts";
import { Memory } from "./memory.ts";
import { RootComplex } from "./pci/root-complex.ts";
import { RecordingFabric } from "./recording-fabric.ts";

function machine(timers?: number) {
  const memory = new Memory();
  const fabric = new RecordingFabric();
  const root = new RootComplex({ memory, fabric });
  const hpet = new Hpet({ root, requester: 0xf0f8, ...(timers !== undefined && { timers }) });
  return { memory, fabric, hpet };
}

function at(timer: number, register: "configuration" | "comparator" | "route"): number {
  return hpetTimerOffset.first + timer * hpetTimerOffset.stride + hpetTimerOffset[register];
}

const message = Number(encode(hpetTimerConfiguration, { int: 1, fsb: 1 }));

/** Has a timer send 41h to APIC 0 when the counter comes to a value. */
function arm(hpet: Hpet, timer: number, comparator: number): void {
  hpet.write(at(timer, "route"), 0x41);
  hpet.write(at(timer, "route") + 4, 0xfee0_0000);
  hpet.write(at(timer, "comparator"), comparator);
  hpet.write(at(timer, "configuration"), message);
  hpet.write(hpetOffset.configuration, 1);
}

describe("the HPET", () => {
  test("says how many timers it has and how fast it counts", () => {
    const { hpet } = machine(5);
    const low = BigInt(hpet.read(hpetOffset.capabilities));
    const high = BigInt(hpet.read(hpetOffset.capabilities + 4));
    expect(decode(hpetCapabilities, (high << 32n) | low)).toMatchObject({ last: 4, period: 69_841_279 });
  });

  test.each([0, 33, 1.5])("refuses to have %s timers", (timers) => {
    expect(() => machine(timers)).toThrow(`HPET: ${timers} timers, expected 1 to 32`);
  });

  test("sends a timer's message when the counter comes to its comparator, once", () => {
    const { hpet, fabric } = machine();
    arm(hpet, 1, 100);
    hpet.advance(99);
    expect(fabric.messages).toEqual([]);
    hpet.advance(1);
    hpet.advance(1000);
    expect(fabric.messages).toEqual([{ address: 0xfee0_0000n, data: 0x41 }]);
  });

  test("fires across the end of its 32 bits", () => {
    const { hpet, fabric } = machine();
    arm(hpet, 0, 5);
    hpet.write(hpetOffset.counter, 0xffff_fff0);
    hpet.advance(0x20);
    expect(fabric.messages).toHaveLength(1);
    expect(hpet.read(hpetOffset.counter)).toBe(0x10);
  });

  test("stands still while it is not enabled", () => {
    const { hpet, fabric } = machine();
    arm(hpet, 0, 10);
    hpet.write(hpetOffset.configuration, 0);
    hpet.advance(20);
    expect(hpet.read(hpetOffset.counter)).toBe(0);
    expect(hpet.read(hpetOffset.configuration)).toBe(0);
    expect(fabric.messages).toEqual([]);
  });

  test.each([
    ["its interrupt off", { fsb: 1 }],
    ["messages off", { int: 1 }],
  ])("sends nothing from a timer with %s", (_, fields) => {
    const { hpet, fabric } = machine();
    arm(hpet, 0, 10);
    hpet.write(at(0, "configuration"), Number(encode(hpetTimerConfiguration, fields)));
    hpet.advance(20);
    expect(fabric.messages).toEqual([]);
  });

  test("writes to memory where its address is no interrupt's", () => {
    const { hpet, memory } = machine();
    arm(hpet, 0, 10);
    hpet.write(at(0, "route") + 4, 0x2000);
    hpet.advance(10);
    expect(memory.read32(0x2000)).toBe(0x41);
  });

  test("loses everything with its power", () => {
    const { hpet, fabric } = machine();
    arm(hpet, 0, 10);
    hpet.reset();
    expect(hpet.read(hpetOffset.configuration)).toBe(0);
    expect(hpet.read(at(0, "route") + 4)).toBe(0);
    hpet.write(hpetOffset.configuration, 1);
    hpet.advance(20);
    expect(fabric.messages).toEqual([]);
  });

  test("has nothing between and behind its registers", () => {
    const { hpet } = machine();
    for (const offset of [0x08, 0x30, at(0, "comparator") + 4, at(3, "configuration")]) {
      hpet.write(offset, 0xffff_ffff);
      expect(hpet.read(offset)).toBe(0);
    }
  });

  test("keeps what a timer can do, whatever is written", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (value) => {
        const { hpet } = machine();
        hpet.write(at(2, "configuration"), value);
        const read = decode(hpetTimerConfiguration, BigInt(hpet.read(at(2, "configuration"))));
        expect(read).toMatchObject({ fsbcap: 1, percap: 0, sizecap: 0, periodic: 0, valset: 0 });
      }),
    );
  });
});
