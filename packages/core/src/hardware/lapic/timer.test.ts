import { assert, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { ApicFabric } from "./fabric.ts";
import { LocalApic } from "./local-apic.ts";

const oneShot = 0x000ee;
const periodic = 0x200ee;
const deadline = 0x400ee;
const byOne = 0xb;
const reg = { lvt: 0x320, initial: 0x380, current: 0x390, divide: 0x3e0 } as const;

function timer(entry: number, divide = byOne): LocalApic {
  const apic = new LocalApic(new ApicFabric([0], { softwareEnabled: true }), 0);
  apic.write(reg.lvt, entry);
  apic.write(reg.divide, divide);
  return apic;
}

describe("the APIC timer", () => {
  test("counts down once in one-shot mode and stays at zero", () => {
    const apic = timer(oneShot);
    apic.write(reg.initial, 1000);
    expect([apic.advance(999), apic.read(reg.current), apic.pending()]).toEqual([0, 1, -1]);
    expect([apic.advance(1), apic.read(reg.current), apic.acknowledge()]).toEqual([1, 0, 0xee]);
    expect([apic.advance(5000), apic.pending(), apic.read(reg.initial)]).toEqual([0, -1, 1000]);
  });

  test("starts over in periodic mode, and one interrupt stands for all that were missed", () => {
    const apic = timer(periodic);
    apic.write(reg.initial, 100);
    expect([apic.advance(250), apic.read(reg.current)]).toEqual([2, 50]);
    expect([apic.advance(50), apic.read(reg.current)]).toEqual([1, 100]);
    expect([apic.acknowledge(), apic.eoi(), apic.acknowledge()]).toEqual([0xee, 0xee, -1]);
  });

  test("reaches zero in periodic mode as often as the ticks hold its period, however they are cut", () => {
    const steps = integer({ min: 0, max: 5000 });
    assert(
      property(
        integer({ min: 1, max: 300 }),
        steps,
        steps,
        integer({ min: 0, max: 7 }),
        (initial, a, b, divide) => {
          const configuration = (divide & 3) | ((divide & 4) << 1);
          const apic = timer(periodic, configuration);
          apic.write(reg.initial, initial);
          const divisor = 1 << ((divide + 1) & 7);
          const total = apic.advance(a) + apic.advance(b);
          const counts = Math.floor((a + b) / divisor);
          expect(total).toBe(Math.floor(counts / initial));
          expect(apic.read(reg.current)).toBe(initial - (counts % initial));
        },
      ),
    );
  });

  test("holds counts of 32 bits and takes many ticks at once", () => {
    const apic = timer(periodic);
    apic.write(reg.initial, -1);
    expect(apic.advance(2 ** 52)).toBe(Math.floor(2 ** 52 / 0xffffffff));
  });

  test("goes on counting when it changes between one-shot and periodic", () => {
    const apic = timer(oneShot);
    apic.write(reg.initial, 1000);
    apic.advance(600);
    apic.write(reg.lvt, periodic);
    expect(apic.read(reg.current)).toBe(400);
    expect([apic.advance(400), apic.read(reg.current)]).toEqual([1, 1000]);
    apic.write(reg.lvt, oneShot);
    expect([apic.advance(1000), apic.read(reg.current)]).toEqual([1, 0]);
    apic.write(reg.lvt, periodic);
    expect([apic.advance(1000), apic.read(reg.current)]).toEqual([0, 0]);
  });

  test("stops on an initial count of zero", () => {
    const apic = timer(periodic);
    apic.write(reg.initial, 100);
    apic.write(reg.initial, 0);
    expect(apic.advance(1000)).toBe(0);
  });

  test("counts on behind a mask but delivers nothing", () => {
    const apic = timer(periodic | 0x10000);
    apic.write(reg.initial, 10);
    expect([apic.advance(10), apic.pending()]).toEqual([1, -1]);
  });

  test("fires once when the deadline is reached, and clears it", () => {
    const apic = timer(deadline);
    apic.writeMsr(0x6e0, 0x1_0000_0005n);
    expect(apic.readMsr(0x6e0)).toBe(0x1_0000_0005n);
    expect([apic.reachTsc(0x1_0000_0004n), apic.pending()]).toEqual([false, -1]);
    expect([apic.reachTsc(0x1_0000_0005n), apic.acknowledge(), apic.readMsr(0x6e0)]).toEqual([
      true,
      0xee,
      0n,
    ]);
    expect(apic.reachTsc(0x2_0000_0000n)).toBe(false);
  });

  test("ignores the initial count in TSC-deadline mode, and the deadline in the others", () => {
    const apic = timer(deadline);
    apic.write(reg.initial, 100);
    expect([apic.read(reg.initial), apic.advance(1000)]).toEqual([0, 0]);
    apic.write(reg.lvt, oneShot);
    apic.writeMsr(0x6e0, 5n);
    expect(apic.readMsr(0x6e0)).toBe(0n);
  });

  test("is disarmed by a change to or from TSC-deadline mode", () => {
    const apic = timer(oneShot);
    apic.write(reg.initial, 100);
    apic.write(reg.lvt, deadline);
    expect([apic.read(reg.current), apic.advance(100)]).toEqual([0, 0]);
    apic.writeMsr(0x6e0, 5n);
    apic.write(reg.lvt, periodic);
    expect([apic.readMsr(0x6e0), apic.reachTsc(10n)]).toEqual([0n, false]);
  });
});
