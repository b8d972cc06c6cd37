import { assert, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { eventKinds, type Observer } from "../event.ts";
import { ApicFabric, type FabricOptions } from "./fabric.ts";
import { LocalApic } from "./local-apic.ts";
import { arbitrationPriority, strideShift } from "./state.ts";

const four = [0, 1, 2, 3];

function machine(options: FabricOptions = {}, ids: readonly number[] = four) {
  const fabric = new ApicFabric(ids, { softwareEnabled: true, ...options });
  const apics = ids.map((_, slot) => new LocalApic(fabric, slot));
  if (options.mode !== "x2apic") for (const apic of apics) apic.write(0xd0, (1 << (apic.slot & 7)) << 24);
  return {
    fabric,
    apics,
    holders: (vector: number) => apics.filter((apic) => holds(apic, vector)).map(({ id }) => id),
  };
}

function holds(apic: LocalApic, vector: number): boolean {
  const at = vector >> 5;
  const word = apic.x2apic ? Number(apic.readMsr(0x820 + at)) : apic.read(0x200 + 16 * at);
  return ((word >>> (vector & 31)) & 1) === 1;
}

function levelOf(apic: LocalApic, vector: number): number {
  return (apic.read(0x180 + 16 * (vector >> 5)) >>> (vector & 31)) & 1;
}

class Log implements Observer {
  readonly lines: number[][] = [];
  record(...line: [number, number, number, number, number, number, number]): void {
    this.lines.push(line);
  }
}

describe("delivery of one interrupt", () => {
  test("sets the IRR bit of the one that is addressed and of nobody else", () => {
    assert(
      property(integer({ min: 16, max: 255 }), integer({ min: 0, max: 3 }), (vector, id) => {
        const { fabric, holders } = machine();
        expect(fabric.deliver(id, 0, 0, 0, vector, 0)).toBe(1);
        for (let other = 16; other < 256; other++)
          expect(holders(other)).toEqual(other === vector ? [id] : []);
      }),
      { numRuns: 40 },
    );
  });

  test.each([
    ["fast", {}],
    ["watched", { observer: new Log() }],
  ])("writes the trigger mode to TMR each time (%s)", (_, options) => {
    const { fabric, apics } = machine(options);
    fabric.deliver(1, 0, 0, 0, 0x51, 1);
    fabric.deliver(1, 0, 0, 0, 0x52, 0);
    expect([levelOf(apics[1]!, 0x51), levelOf(apics[1]!, 0x52)]).toEqual([1, 0]);
    fabric.deliver(1, 0, 0, 0, 0x51, 0);
    expect(levelOf(apics[1]!, 0x51)).toBe(0);
  });

  test("merges a second interrupt with the vector that is pending", () => {
    const { fabric, apics } = machine();
    expect(fabric.deliver(1, 0, 0, 0, 0x51, 0) + fabric.deliver(1, 0, 0, 0, 0x51, 0)).toBe(2);
    expect([apics[1]!.acknowledge(), apics[1]!.acknowledge()]).toEqual([0x51, -1]);
  });

  test("keeps one instance in service and one pending", () => {
    const { fabric, apics } = machine();
    const [apic] = apics;
    fabric.deliver(0, 0, 0, 0, 0x51, 0);
    expect(apic!.acknowledge()).toBe(0x51);
    fabric.deliver(0, 0, 0, 0, 0x51, 0);
    fabric.deliver(0, 0, 0, 0, 0x51, 0);
    expect(apic!.pending()).toBe(-1);
    apic!.eoi();
    expect(apic!.acknowledge()).toBe(0x51);
    apic!.eoi();
    expect(apic!.acknowledge()).toBe(-1);
  });

  test.each([
    [4, 0, "no APIC has the id"],
    [4095, 0, "no APIC has the id, the last of the near ones"],
    [70000, 0, "no APIC has the far id"],
    [0x10, 1, "no APIC has the logical id"],
  ])("is lost at %i with DM=%i: %s", (destination, logical) => {
    const { fabric } = machine();
    expect(fabric.deliver(destination, logical, 0, 0, 0x51, 0)).toBe(0);
  });

  test("reaches far ids", () => {
    const ids = [0, 4095, 4096, 0xfffffffe];
    const { fabric, holders } = machine({ mode: "x2apic" }, ids);
    for (const id of ids) expect(fabric.deliver(id | 0, 0, 0, 0, 0x51, 0)).toBe(1);
    expect(holders(0x51)).toEqual(ids);
    expect(ids.map((id) => fabric.slotOf(id))).toEqual([0, 1, 2, 3]);
    expect(fabric.slotOf(17)).toBe(-1);
  });

  test("reaches the members of a cluster, near and far", () => {
    const ids = [0x20, 0x23, 0x24, 0x1230_0, 0x1230_5];
    const { fabric, holders } = machine({ mode: "x2apic" }, ids);
    expect(fabric.deliver(0x2_0009, 1, 0, 0, 0x51, 0)).toBe(2);
    expect(holders(0x51)).toEqual([0x20, 0x23]);
    expect(fabric.deliver(0x2_0009, 1, 0, 0, 0x51, 1)).toBe(2);
    expect(fabric.deliver(0x1230_0021, 1, 0, 0, 0x52, 0)).toBe(2);
    expect(holders(0x52)).toEqual([0x12300, 0x12305]);
    expect(fabric.deliver(0x2_8000, 1, 0, 0, 0x53, 0)).toBe(0);
  });

  test("follows a logical id that changes after it has been used", () => {
    const { fabric, apics, holders } = machine();
    expect(fabric.deliver(0x04, 1, 0, 0, 0x51, 0)).toBe(1);
    apics[2]!.write(0xd0, 0x40 << 24);
    expect(fabric.deliver(0x04, 1, 0, 0, 0x52, 0)).toBe(0);
    expect(fabric.deliver(0x40, 1, 0, 0, 0x53, 0)).toBe(1);
    apics[2]!.write(0xe0, 0x0fffffff);
    expect(fabric.deliver(0x60, 1, 0, 0, 0x54, 0)).toBe(0);
    expect([holders(0x51), holders(0x52), holders(0x53)]).toEqual([[2], [], [2]]);
  });

  test("takes vector 256 for the illegal vector 0, and leaves every register alone", () => {
    for (const logical of [0, 1]) {
      const { fabric, apics } = machine({ mode: "x2apic" });
      expect(fabric.deliver(1, logical, 0, 0, 256, 1)).toBe(0);
      expect(apics.map((apic) => [apic.readMsr(0x818), apic.readMsr(0x820)])).toEqual(
        four.map(() => [0n, 0n]),
      );
    }
  });

  test("takes a vector's low 8 bits", () => {
    const { fabric, holders } = machine();
    expect(fabric.deliver(2, 0, 0, 0, 0x151, 0)).toBe(1);
    expect(holders(0x51)).toEqual([2]);
  });
});

describe("what an APIC accepts", () => {
  test("a vector below 16 is refused and shows in ESR bit 6", () => {
    for (let vector = 0; vector < 16; vector++) {
      const { fabric, apics } = machine();
      expect(fabric.deliver(0, 0, 0, 0, vector, 0)).toBe(0);
      apics[0]!.write(0x280, 0);
      expect(apics[0]!.read(0x280)).toBe(0x40);
    }
  });

  test("vectors 16 to 31 are accepted", () => {
    const { fabric } = machine();
    for (let vector = 16; vector < 32; vector++) expect(fabric.deliver(0, 0, 0, 0, vector, 0)).toBe(1);
  });

  test("a vector below 16 is accepted where the model is told so", () => {
    const { fabric, apics, holders } = machine({ acceptIllegalVectors: true });
    expect(fabric.deliver(0, 0, 0, 0, 5, 0)).toBe(1);
    expect(holders(5)).toEqual([0]);
    apics[0]!.write(0x280, 0);
    expect(apics[0]!.read(0x280)).toBe(0);
  });

  test("a software-disabled APIC refuses fixed and lowest priority, and takes NMI, SMI, INIT, start-up", () => {
    const { fabric, apics } = machine({ softwareEnabled: false });
    expect(fabric.deliver(1, 0, 0, 0, 0x51, 0)).toBe(0);
    expect(fabric.deliver(1, 0, 0, 1, 0x51, 0)).toBe(0);
    expect([2, 4, 5, 6].map((mode) => fabric.deliver(1, 0, 0, mode, 0x51, 0))).toEqual([1, 1, 1, 1]);
    expect([apics[1]!.acceptSmi(), apics[1]!.acceptNmi(), apics[1]!.acceptStartup()]).toEqual([
      true,
      true,
      0x51,
    ]);
  });

  test("a software-disabled APIC latches IRR where the model is told so", () => {
    const { fabric, holders } = machine({ softwareEnabled: false, acceptWhileDisabled: true });
    expect(fabric.deliver(1, 0, 0, 0, 0x51, 0)).toBe(1);
    expect(holders(0x51)).toEqual([1]);
  });

  test.each([
    [2, "acceptSmi"],
    [4, "acceptNmi"],
    [5, "acceptInit"],
    [7, "acceptExtInt"],
  ] as const)("delivery mode %i bypasses IRR and is taken once by %s", (mode, take) => {
    const { fabric, apics, holders } = machine();
    expect(fabric.deliver(2, 0, 0, mode, 0x51, 0)).toBe(1);
    expect(fabric.deliver(2, 0, 0, mode, 0x51, 0)).toBe(1);
    expect(holders(0x51)).toEqual([]);
    expect([apics[2]![take](), apics[2]![take](), apics[1]![take]()]).toEqual([true, false, false]);
  });

  test("a start-up message carries its vector", () => {
    const { fabric, apics } = machine();
    fabric.deliver(2, 0, 0, 6, 0x9a, 0);
    expect([apics[2]!.acceptStartup(), apics[2]!.acceptStartup()]).toEqual([0x9a, -1]);
  });

  test("delivery mode 3 is accepted by nobody", () => {
    expect(machine().fabric.deliver(0xff, 0, 0, 3, 0x51, 0)).toBe(0);
  });

  test("a globally disabled APIC takes nothing, from inside either", () => {
    const { fabric, apics } = machine();
    apics[1]!.writeMsr(0x1b, 0xfee00000n);
    expect(fabric.deliver(1, 0, 0, 4, 0, 0)).toBe(0);
    expect(fabric.accept(1 << strideShift, 4, 0, 0)).toBe(0);
    expect(fabric.deliver(0xff, 0, 0, 4, 0, 0)).toBe(3);
  });
});

describe("the choice of one among several", () => {
  test.each([
    ["lowest-priority", 0x51, 0],
    ["vector-hash", 0x51, 1],
    ["vector-hash", 0x52, 2],
    ["first", 0x51, 0],
  ] as const)("under %s vector %i goes to processor %i alone", (lowestPriority, vector, expected) => {
    for (const [mode, hint] of [
      [1, 0],
      [0, 1],
    ] as const) {
      const { fabric, holders } = machine({ lowestPriority });
      expect(fabric.deliver(0x0f, 1, hint, mode, vector, 0)).toBe(1);
      expect(holders(vector)).toEqual([expected]);
    }
  });

  test("what is pending makes the next interrupt go elsewhere under lowest-priority only", () => {
    const { fabric, holders } = machine();
    for (let i = 0; i < 3; i++) fabric.deliver(0x0f, 1, 0, 1, 0x51, 0);
    expect(holders(0x51)).toEqual([0, 1, 2]);
    const hashed = machine({ lowestPriority: "vector-hash" });
    for (let i = 0; i < 3; i++) hashed.fabric.deliver(0x0f, 1, 0, 1, 0x51, 0);
    expect(hashed.holders(0x51)).toEqual([1]);
  });

  test("the processor with the lowest arbitration priority wins, the lowest id among equals", () => {
    const { fabric, apics, holders } = machine({}, [7, 3, 5]);
    apics[1]!.write(0x80, 0x20);
    expect(fabric.deliver(0x07, 1, 0, 1, 0x51, 0)).toBe(1);
    expect(holders(0x51)).toEqual([5]);
  });

  test("a processor that refuses is passed over, and nobody is chosen where all refuse", () => {
    const { fabric, apics, holders } = machine({ lowestPriority: "first" });
    apics[0]!.write(0xf0, 0xff);
    expect(fabric.deliver(0x0f, 1, 0, 1, 0x51, 0)).toBe(1);
    expect(holders(0x51)).toEqual([1]);
    for (const apic of apics) apic.write(0xf0, 0xff);
    expect(fabric.deliver(0x0f, 1, 0, 1, 0x52, 0)).toBe(0);
    expect(fabric.deliver(0x0f, 1, 1, 4, 0, 0)).toBe(1);
  });

  test("without a hint a fixed interrupt goes to all that are addressed", () => {
    const { fabric, holders } = machine();
    expect(fabric.deliver(0x0d, 1, 0, 0, 0x51, 0)).toBe(3);
    expect(holders(0x51)).toEqual([0, 2, 3]);
  });

  test("the hint can be ignored, as QEMU does", () => {
    expect(machine({ ignoreRedirectionHint: true }).fabric.deliver(0x0f, 1, 1, 0, 0x51, 0)).toBe(4);
  });

  test("the hint with one physical target changes nothing, and with a broadcast picks one", () => {
    const { fabric } = machine();
    expect(fabric.deliver(2, 0, 1, 0, 0x51, 0)).toBe(1);
    expect(fabric.deliver(0xff, 0, 1, 0, 0x51, 0)).toBe(1);
  });

  test.each([
    [0x00, -1, -1, 0x00],
    [0x35, -1, -1, 0x35],
    [0x35, 0x41, -1, 0x40],
    [0x35, -1, 0x52, 0x50],
    [0x65, 0x41, 0x62, 0x65],
    [0x45, 0x41, -1, 0x40],
    [0x25, 0x41, 0x52, 0x50],
  ])("APR of TPR %i, in service %i, pending %i is %i", (tpr, inService, pending, apr) => {
    const { fabric, apics } = machine();
    const [apic] = apics;
    if (inService >= 0) {
      fabric.deliver(0, 0, 0, 0, inService, 0);
      apic!.acknowledge();
    }
    if (pending >= 0) fabric.deliver(0, 0, 0, 0, pending, 0);
    apic!.write(0x80, tpr);
    expect(arbitrationPriority(fabric.state, 0)).toBe(apr);
    expect(apic!.read(0x90)).toBe(apr);
  });
});

describe("a message in compatibility format", () => {
  test.each([
    // address low, address high, data, destination, vector
    [0xfee0_2000, 0, 0x0051, [2], "physical"],
    [0xfee0_5004, 0, 0x0051, [0, 2], "logical"],
    [0xfeef_f000, 0, 0x0051, [0, 1, 2, 3], "broadcast"],
    [0xfee0_2003, 0, 0x0051, [2], "address bits 1:0 are not looked at"],
    [0xfee0_2000, 0x100, 0x0051, [], "address bits 63:40 belong to the destination"],
    [0xfee0_2000, 0x001, 0x0051, [], "address bits 39:32 are no interrupt message"],
    [0xfed0_2000, 0, 0x0051, [], "another prefix"],
    [0xfee0_2000, 0, 0x0351, [], "delivery mode 3"],
    [0xfee0_2000, 0, 0x0651, [], "delivery mode 6"],
    [0xfee0_2000, 0, 0x8051, [2], "level-triggered without the assert bit"],
    [0xfee0_2000, 0, 0xc051, [2], "level-triggered"],
  ] as const)("%i, %i with data %i reaches %o: %s", (...[low, high, data, expected]) => {
    const { fabric, apics, holders } = machine();
    expect(fabric.message(low | 0, high, data)).toBe(expected.length);
    expect(holders(0x51)).toEqual(expected);
    expect(levelOf(apics[2]!, 0x51)).toBe(data & 0x8000 ? 1 : 0);
  });

  test("carries 32 bits of destination in its high address", () => {
    const { fabric, holders } = machine({ mode: "x2apic" }, [0, 0x1234_5678]);
    expect(fabric.message(0xfee7_8000 | 0, 0x1234_5600, 0x51)).toBe(1);
    expect(holders(0x51)).toEqual([0x1234_5678]);
  });

  test.each([
    [true, 0xfee3_4240, 0, [0x1234], "bits 11:5 are destination bits 14:8"],
    [false, 0xfee3_4240, 0, [0x34], "without the option they are not looked at"],
    [true, 0xfee3_4250, 0, [0x34], "with bit 4 set they belong to a handle"],
    [true, 0xfee3_4240, 0x100, [0x134], "with a high address they are not looked at"],
  ] as const)(
    "extended destination %s, %i, %i reaches %o: %s",
    (...[extendedDestination, low, high, expected]) => {
      const { fabric, holders } = machine({ mode: "x2apic", extendedDestination }, [0x34, 0x134, 0x1234]);
      expect(fabric.message(low | 0, high, 0x51)).toBe(1);
      expect(holders(0x51)).toEqual(expected);
    },
  );
});

describe("what can be seen from outside", () => {
  test("an observer is told who accepted, and what nobody did", () => {
    const observer = new Log();
    const { fabric } = machine({ observer });
    fabric.deliver(2, 0, 0, 0, 0x51, 1);
    fabric.deliver(9, 0, 0, 0, 0x52, 0);
    fabric.message(0xfee0_1000 | 0, 0, 0x0400);
    fabric.message(0xfee0_1000 | 0, 0, 0x0633);
    expect(observer.lines).toEqual([
      [eventKinds.accepted, 2, 0x51, 0, 1, 0, 0],
      [eventKinds.undelivered, 9, 0x52, 0, 0, 0, 0],
      [eventKinds.accepted, 1, 0, 4, 0, 0, 0],
      [eventKinds.undelivered, 1, 0x33, 6, 0, 0, 0],
    ]);
  });

  test("the hook sees every fixed interrupt while it is set, and only then", () => {
    const { fabric } = machine();
    const seen: number[][] = [];
    expect(fabric.onAccept).toBeNull();
    fabric.onAccept = (slot, vector) => seen.push([slot, vector]);
    fabric.deliver(2, 0, 0, 0, 0xf2, 0);
    fabric.deliver(2, 0, 0, 4, 0, 0);
    fabric.deliver(0x03, 1, 0, 0, 0x61, 0);
    fabric.onAccept = null;
    fabric.deliver(2, 0, 0, 0, 0xf2, 0);
    expect(seen).toEqual([
      [2, 0xf2],
      [0, 0x61],
      [1, 0x61],
    ]);
  });
});

test("a listener may send interrupts himself while others are still to be reached", () => {
  const { fabric, holders } = machine();
  fabric.onAccept = (slot, vector) => {
    if (slot === 0 && vector === 0x51) fabric.deliver(0x0a, 1, 0, 0, 0x61, 0);
  };
  expect(fabric.deliver(0x0d, 1, 0, 0, 0x51, 0)).toBe(3);
  expect([holders(0x51), holders(0x61)]).toEqual([
    [0, 2, 3],
    [1, 3],
  ]);
});

test.each([[[]], [[0, 0]], [[-1]], [[1.5]], [[0xffffffff]], [Array.from({ length: 65537 }, (_, id) => id)]])(
  "ids that are none are refused",
  (ids) => {
    expect(() => new ApicFabric(ids)).toThrow(/^APIC id/);
  },
);
