import { assert, integer, property, uniqueArray } from "fast-check";
import { describe, expect, test } from "vitest";
import { ApicFabric, type FabricOptions } from "./fabric.ts";
import { GeneralProtection } from "./general-protection.ts";
import { LocalApic, type LocalApicOptions } from "./local-apic.ts";
import { processorPriority } from "./state.ts";

const reg = {
  id: 0x20,
  version: 0x30,
  tpr: 0x80,
  ppr: 0xa0,
  eoi: 0xb0,
  rrd: 0xc0,
  ldr: 0xd0,
  dfr: 0xe0,
  svr: 0xf0,
  isr: 0x100,
  esr: 0x280,
  cmci: 0x2f0,
  icr: 0x300,
  icrHigh: 0x310,
  timer: 0x320,
  thermal: 0x330,
  performance: 0x340,
  lint0: 0x350,
  lint1: 0x360,
  error: 0x370,
  divide: 0x3e0,
} as const;
const xapic = 0xfee00800n;
const x2apic = 0xfee00c00n;
const off = 0xfee00000n;

function machine(
  options: FabricOptions = {},
  own: LocalApicOptions = {},
  ids: readonly number[] = [0, 1, 2, 3],
) {
  const fabric = new ApicFabric(ids, { softwareEnabled: true, ...options });
  const apics = ids.map((_, slot) => new LocalApic(fabric, slot, own));
  return {
    fabric,
    apics,
    apic: apics[0]!,
    pending: () => apics.filter((one) => one.pending() >= 0).map(({ id }) => id),
  };
}

function errorsOf(apic: LocalApic): number {
  apic.write(reg.esr, 0);
  return apic.read(reg.esr);
}

function faultOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(GeneralProtection);
    return (error as GeneralProtection).rule;
  }
}

describe("priority", () => {
  test.each([
    [0x00, -1, 0x00],
    [0x35, -1, 0x35],
    [0x35, 0x31, 0x35],
    [0x35, 0x41, 0x40],
    [0x35, 0x4f, 0x40],
    [0x45, 0x31, 0x45],
    [0xff, 0xef, 0xff],
  ])("PPR of TPR %i with %i in service is %i", (tpr, inService, ppr) => {
    expect(processorPriority(tpr, inService)).toBe(ppr);
    const { fabric, apic } = machine();
    if (inService >= 0) {
      fabric.deliver(0, 0, 0, 0, inService, 0);
      apic.acknowledge();
    }
    apic.write(reg.tpr, tpr);
    expect([apic.priority(), apic.read(reg.ppr)]).toEqual([ppr, ppr]);
  });

  test("an interrupt is dispensed when its class is above that of PPR, and only then", () => {
    assert(
      property(integer({ min: 16, max: 255 }), integer({ min: 0, max: 255 }), (vector, tpr) => {
        const { fabric, apic } = machine();
        fabric.deliver(0, 0, 0, 0, vector, 0);
        apic.write(reg.tpr, tpr);
        expect(apic.pending()).toBe(vector >> 4 > tpr >> 4 ? vector : -1);
      }),
    );
  });

  test("vectors come out highest first, each nested in those of lower class", () => {
    assert(
      property(uniqueArray(integer({ min: 16, max: 255 }), { minLength: 1, maxLength: 20 }), (vectors) => {
        const { fabric, apic } = machine();
        for (const vector of vectors) fabric.deliver(0, 0, 0, 0, vector, 0);
        for (const vector of [...vectors].sort((a, b) => b - a)) {
          expect([apic.acknowledge(), apic.read(reg.ppr), apic.eoi()]).toEqual([
            vector,
            vector & 0xf0,
            vector,
          ]);
        }
        expect([apic.acknowledge(), apic.eoi()]).toEqual([-1, -1]);
      }),
    );
  });

  test("what comes to be masked before acknowledgement yields the spurious vector and no ISR bit", () => {
    const { fabric, apic } = machine();
    apic.write(reg.svr, 0x1ef);
    fabric.deliver(0, 0, 0, 0, 0x41, 0);
    apic.write(reg.tpr, 0x40);
    expect([apic.acknowledge(), apic.eoi()]).toEqual([0xef, -1]);
    apic.write(reg.tpr, 0);
    expect(apic.acknowledge()).toBe(0x41);
  });

  test("service shows in ISR", () => {
    const { fabric, apic } = machine();
    fabric.deliver(0, 0, 0, 0, 0x41, 0);
    apic.acknowledge();
    expect(apic.read(reg.isr + 0x20)).toBe(2);
  });
});

describe("end of interrupt", () => {
  test.each([
    ["edge", 0, 0x1ff, {}, []],
    ["level", 1, 0x1ff, {}, [0x41]],
    ["level, suppressed", 1, 0x11ff, {}, []],
    ["level, suppression unsupported", 1, 0x11ff, { eoiSuppression: false }, [0x41]],
  ] as const)("of a %s interrupt", (_, level, svr, own, expected) => {
    const broadcast: number[] = [];
    const { fabric, apic } = machine({}, { ...own, onEoiBroadcast: (vector) => broadcast.push(vector) });
    apic.write(reg.svr, svr);
    fabric.deliver(0, 0, 0, 0, 0x41, level);
    apic.acknowledge();
    apic.write(reg.eoi, 0);
    expect(broadcast).toEqual(expected);
  });

  test("needs no listener", () => {
    const { fabric, apic } = machine();
    fabric.deliver(0, 0, 0, 0, 0x41, 1);
    apic.acknowledge();
    expect(apic.eoi()).toBe(0x41);
  });
});

describe("interprocessor interrupts", () => {
  test.each([
    // low, high, who gets it
    [0x04041, 2 << 24, [2], "physical"],
    [0x04041, 0xff << 24, [0, 1, 2, 3], "physical broadcast"],
    [0x04841, 0x0a << 24, [1, 3], "logical"],
    [0x44041, 0, [0], "self"],
    [0x84041, 0, [0, 1, 2, 3], "all including self"],
    [0xc4041, 0, [1, 2, 3], "all excluding self"],
    [0x0c041, 2 << 24, [2], "the trigger mode is not looked at"],
    [0x04141, 2 << 24, [2], "lowest priority with one target"],
    [0xc4141, 0, [1], "lowest priority among all others"],
    [0x04341, 2 << 24, [], "reserved mode 3"],
    [0x04741, 2 << 24, [], "reserved mode 7"],
  ])("ICR %i, %i reaches %o: %s", (low, high, expected) => {
    const { apics, apic, pending } = machine();
    for (const one of apics) one.write(reg.ldr, (1 << one.slot) << 24);
    apic.write(reg.icrHigh, high);
    apic.write(reg.icr, low);
    expect(pending()).toEqual(expected);
    expect([apic.read(reg.icr), apic.read(reg.icrHigh)]).toEqual([low, high]);
    for (const one of apics) expect(one.read(0x180 + 0x20)).toBe(0);
  });

  test("in x2APIC mode are one write with a destination of 32 bits", () => {
    const { apics, apic } = machine({ mode: "x2apic" }, {}, [0, 0x20, 0x12345]);
    apic.writeMsr(0x830, 0x12345_0000_4041n);
    apic.writeMsr(0x830, 0x2_0001_0000_4842n);
    apic.writeMsr(0x830, 0xffff_ffff_0000_4043n);
    expect(apics.map((one) => one.acknowledge())).toEqual([0x43, 0x43, 0x43]);
    expect(apics.map((one) => [one.eoi(), one.acknowledge()][1])).toEqual([-1, 0x42, 0x41]);
    expect(apic.readMsr(0x830)).toBe(0xffff_ffff_0000_4043n);
  });

  test("INIT, start-up, NMI and SMI reach the target", () => {
    const { apics, apic } = machine();
    apic.write(reg.icrHigh, 1 << 24);
    for (const low of [0x4500, 0x4699, 0x4400, 0x4200]) apic.write(reg.icr, low);
    const [, target] = apics;
    expect([target!.acceptStartup(), target!.acceptNmi(), target!.acceptSmi(), target!.acceptInit()]).toEqual(
      [0x99, true, true, true],
    );
  });

  test("an INIT level de-assert reaches nobody", () => {
    const { apics, apic } = machine();
    apic.write(reg.icr, 0x88500);
    expect(apics.map((one) => one.acceptInit())).toEqual([false, false, false, false]);
  });

  test.each([0, 5, 15])("with vector %i are not sent and show in ESR bit 5", (vector) => {
    const { apics, apic } = machine();
    apic.write(reg.icr, 0x84000 | vector);
    expect(apics.map(errorsOf)).toEqual([0x20, 0, 0, 0]);
  });

  test("with vectors below 16 are sent where the model is told so", () => {
    const { apics, apic } = machine({ acceptIllegalVectors: true });
    apic.write(reg.icr, 0x84005);
    expect(apics.map((one) => one.read(0x200))).toEqual([0x20, 0x20, 0x20, 0x20]);
  });

  test("self-IPI is an MSR of its own", () => {
    const { apics, apic } = machine({ mode: "x2apic" });
    apic.writeMsr(0x83f, 0xf1n);
    apic.writeMsr(0x83f, 0x01n);
    expect(apics.map((one) => one.pending())).toEqual([0xf1, -1, -1, -1]);
    apic.writeMsr(0x828, 0n);
    expect(apic.readMsr(0x828)).toBe(0x20n);
  });
});

describe("local sources", () => {
  test.each([
    ["timer", reg.timer],
    ["cmci", reg.cmci],
    ["thermal", reg.thermal],
    ["performance", reg.performance],
    ["lint0", reg.lint0],
    ["lint1", reg.lint1],
    ["error", reg.error],
  ] as const)("%s delivers its vector unless masked", (name, offset) => {
    const { apic } = machine();
    expect(apic.local(name)).toBe(false);
    apic.write(offset, 0x41);
    expect([apic.local(name), apic.acknowledge()]).toEqual([true, 0x41]);
  });

  test.each([
    [0x200, "acceptSmi"],
    [0x400, "acceptNmi"],
    [0x500, "acceptInit"],
    [0x700, "acceptExtInt"],
  ] as const)("LINT1 programmed with %i is taken by %s", (entry, take) => {
    const { apic } = machine();
    apic.write(reg.lint1, entry);
    expect([apic.local("lint1"), apic[take]()]).toEqual([true, true]);
  });

  test.each([0x141, 0x341, 0x641])(
    "LINT0 programmed with the reserved mode of %i delivers nothing",
    (entry) => {
      const { apic } = machine();
      apic.write(reg.lint0, entry);
      expect([apic.local("lint0"), apic.pending()]).toEqual([false, -1]);
    },
  );

  test("a level-triggered pin holds its remote IRR until the EOI", () => {
    const broadcast: number[] = [];
    const { apic } = machine({}, { onEoiBroadcast: (vector) => broadcast.push(vector) });
    apic.write(reg.lint0, 0x8041);
    expect([apic.local("lint0"), apic.read(reg.lint0)]).toEqual([true, 0xc041]);
    expect(apic.local("lint0")).toBe(false);
    apic.write(reg.lint0, 0x8041);
    expect(apic.read(reg.lint0)).toBe(0xc041);
    apic.acknowledge();
    apic.eoi();
    expect([apic.read(reg.lint0), apic.local("lint0"), broadcast]).toEqual([0x8041, true, [0x41]]);
  });

  test("delivering the performance-counter interrupt masks it", () => {
    const { apic } = machine();
    apic.write(reg.performance, 0x400);
    expect([apic.local("performance"), apic.read(reg.performance), apic.local("performance")]).toEqual([
      true,
      0x10400,
      false,
    ]);
  });

  test("an entry with a vector below 16 delivers nothing and shows in ESR bit 6", () => {
    const { apic } = machine();
    apic.write(reg.thermal, 0x0a);
    expect([apic.local("thermal"), errorsOf(apic)]).toEqual([false, 0x40]);
  });

  test("are all masked by a software disable, and cannot be unmasked until it ends", () => {
    const { apic } = machine();
    apic.write(reg.lint0, 0x700);
    apic.write(reg.svr, 0xff);
    expect(apic.read(reg.lint0)).toBe(0x10700);
    apic.write(reg.lint0, 0x700);
    apic.write(reg.timer, 0x41);
    expect([apic.read(reg.lint0), apic.read(reg.timer)]).toEqual([0x10700, 0x10041]);
    apic.write(reg.svr, 0x1ff);
    expect(apic.read(reg.lint0)).toBe(0x10700);
    apic.write(reg.lint0, 0x700);
    expect(apic.read(reg.lint0)).toBe(0x700);
  });
});

describe("errors", () => {
  test("are latched by a write and not before", () => {
    const { fabric, apic } = machine();
    fabric.deliver(0, 0, 0, 0, 3, 0);
    expect(apic.read(reg.esr)).toBe(0);
    expect([errorsOf(apic), apic.read(reg.esr), errorsOf(apic)]).toEqual([0x40, 0x40, 0]);
  });

  test("raise the error interrupt", () => {
    const { apic } = machine();
    apic.write(reg.error, 0xfe);
    apic.write(reg.icr, 0x44003);
    expect(apic.pending()).toBe(0xfe);
  });

  test("with an error vector that is illegal itself do not raise another", () => {
    const { apic } = machine();
    apic.write(reg.error, 0x03);
    apic.write(reg.icr, 0x44003);
    expect([apic.pending(), errorsOf(apic)]).toEqual([-1, 0x20]);
  });

  test.each([0x00, 0x40, 0x24, 0x290, 0x3f0, 0xff0])(
    "come of an access to offset %i, where no register is",
    (offset) => {
      const { apic } = machine();
      expect(apic.read(offset)).toBe(0);
      expect(errorsOf(apic)).toBe(0x80);
      apic.write(offset, -1);
      expect(errorsOf(apic)).toBe(0x80);
    },
  );
});

describe("the xAPIC page", () => {
  test("shows the version with seven LVT entries and EOI suppression", () => {
    expect(machine().apic.read(reg.version)).toBe(0x1060014);
    expect(machine({}, { version: 0x15, eoiSuppression: false }).apic.read(reg.version)).toBe(0x60015);
  });

  test.each([
    [reg.tpr, -1, 0xff],
    [reg.ldr, -1, 0xff000000],
    [reg.dfr, 0x0fffffff, 0x0fffffff],
    [reg.dfr, 0, 0x0fffffff],
    [reg.svr, -1, 0x13ff],
    [reg.divide, -1, 0xb],
    [reg.icrHigh, -1, 0xff000000],
    [reg.timer, -1, 0x700ff],
    [reg.thermal, -1, 0x107ff],
    [reg.lint0, -1, 0x1a7ff],
    [reg.error, -1, 0x100ff],
    [reg.id, -1, 0x01000000],
    [reg.version, 0, 0x1060014],
    [reg.eoi, -1, 0],
    [reg.rrd, -1, 0],
    [reg.ppr, -1, 0],
  ])("offset %i written with %i reads %i", (offset, value, expected) => {
    const apic = machine().apics[1]!;
    apic.write(offset, value);
    expect(apic.read(offset) >>> 0).toBe(expected);
  });

  test("reads as ones and ignores writes while the APIC is off or in x2APIC mode", () => {
    const { apic } = machine();
    apic.writeMsr(0x1b, x2apic);
    apic.write(reg.tpr, 0x50);
    expect([apic.read(reg.version), apic.read(reg.tpr), apic.readMsr(0x808)]).toEqual([-1, -1, 0n]);
    apic.writeMsr(0x1b, off);
    expect([apic.read(reg.version), apic.read(reg.tpr)]).toEqual([-1, -1]);
    apic.writeMsr(0x1b, xapic);
    expect(apic.read(reg.version)).toBe(0x1060014);
  });
});

describe("the x2APIC MSRs", () => {
  test("show id and logical id whole", () => {
    const { apics } = machine({ mode: "x2apic" }, {}, [0, 0x12345]);
    expect([apics[1]!.readMsr(0x802), apics[1]!.readMsr(0x80d)]).toEqual([0x12345n, 0x12340020n]);
    expect([apics[1]!.id, apics[1]!.x2apic]).toEqual([0x12345, true]);
  });

  test("TPR, SVR, LVT and EOI work as in xAPIC mode", () => {
    const { fabric, apic } = machine({ mode: "x2apic" });
    apic.writeMsr(0x808, 0x35n);
    apic.writeMsr(0x80f, 0x1efn);
    apic.writeMsr(0x832, 0x41n);
    fabric.deliver(0, 0, 0, 0, 0x51, 0);
    expect([apic.acknowledge(), apic.readMsr(0x812), apic.readMsr(0x80a)]).toEqual([0x51, 0x20000n, 0x50n]);
    apic.writeMsr(0x80b, 0n);
    expect([apic.readMsr(0x812), apic.readMsr(0x80a), apic.readMsr(0x80f), apic.readMsr(0x832)]).toEqual([
      0n,
      0x35n,
      0x1efn,
      0x41n,
    ]);
  });

  test.each([
    [0x802, "read-only id"],
    [0x803, "read-only version"],
    [0x80a, "read-only PPR"],
    [0x80d, "read-only LDR"],
    [0x810, "read-only ISR"],
    [0x839, "read-only current count"],
    [0x809, "no APR"],
    [0x80c, "no RRD"],
    [0x80e, "no DFR"],
    [0x831, "no ICR high"],
    [0x8ff, "nothing there"],
  ])("a write of %i faults: %s", (msr) => {
    const { apic } = machine({ mode: "x2apic" });
    expect(faultOf(() => apic.writeMsr(msr, 0n))).toBe("apic.x2apic.access");
  });

  test.each([0x80b, 0x83f, 0x809, 0x80e, 0x831])("a read of %i faults", (msr) => {
    const { apic } = machine({ mode: "x2apic" });
    expect(faultOf(() => apic.readMsr(msr))).toBe("apic.x2apic.access");
  });

  test.each([
    [0x808, 0x100n],
    [0x808, 1n << 32n],
    [0x80b, 1n],
    [0x828, 1n],
    [0x80f, 0x400n],
    [0x830, 0x2000n],
    [0x830, 0x100000n],
    [0x832, 0x80000n],
    [0x83e, 0x4n],
    [0x83f, 0x100n],
  ])("a write of %i with %i faults and changes nothing", (msr, value) => {
    const { apic } = machine({ mode: "x2apic" });
    expect(faultOf(() => apic.writeMsr(msr, value))).toBe("apic.x2apic.reserved");
    expect(apic.readMsr(0x830)).toBe(0n);
  });

  test("are not there in xAPIC mode, and the fault says what it was", () => {
    const { apic } = machine();
    expect(() => apic.readMsr(0x808)).toThrow(/^MSR 0x808: .*#GP/);
    expect(faultOf(() => apic.writeMsr(0x808, 0n))).toBe("apic.x2apic.access");
  });
});

describe("IA32_APIC_BASE", () => {
  test.each([
    ["xAPIC", [], xapic, undefined],
    ["xAPIC", [], x2apic, undefined],
    ["xAPIC", [], off, undefined],
    ["xAPIC", [], 0xfee00400n, "apic.base.invalid-state"],
    ["x2APIC", [x2apic], x2apic, undefined],
    ["x2APIC", [x2apic], xapic, "apic.base.transition"],
    ["x2APIC", [x2apic], off, undefined],
    ["x2APIC", [x2apic], 0xfee00400n, "apic.base.invalid-state"],
    ["off", [off], off, undefined],
    ["off", [off], xapic, undefined],
    ["off", [off], x2apic, "apic.base.transition"],
    ["off", [off], 0xfee00400n, "apic.base.invalid-state"],
    ["xAPIC", [], xapic | 1n, "apic.base.reserved"],
    ["xAPIC", [], xapic | (1n << 46n), "apic.base.reserved"],
    ["xAPIC", [], 0xfed40900n, undefined],
  ] as const)("from %s after %o a write of %i ends in %s", (_, steps, value, rule) => {
    const { apic } = machine({}, { physicalAddressBits: 46 });
    for (const step of steps) apic.writeMsr(0x1b, step);
    const before = apic.readMsr(0x1b);
    expect(faultOf(() => apic.writeMsr(0x1b, value))).toBe(rule);
    expect(apic.readMsr(0x1b)).toBe(rule === undefined ? value : before);
  });

  test("marks the first processor as the bootstrap one", () => {
    const { apics } = machine();
    expect(apics.map((apic) => apic.readMsr(0x1b))).toEqual([0xfee00900n, xapic, xapic, xapic]);
  });

  test("keeps what is pending on the step to x2APIC mode, and loses it when the APIC goes off", () => {
    const { fabric, apic } = machine();
    fabric.deliver(0, 0, 0, 0, 0x41, 0);
    apic.writeMsr(0x1b, x2apic);
    expect(apic.pending()).toBe(0x41);
    apic.writeMsr(0x1b, off);
    apic.writeMsr(0x1b, xapic);
    expect([apic.pending(), apic.read(reg.svr), apic.read(reg.lint0), apic.id]).toEqual([
      -1, 0xff, 0x10000, 0,
    ]);
    expect(fabric.deliver(0, 0, 0, 0, 0x41, 0)).toBe(0);
  });

  test("changes what a destination means at once", () => {
    const { fabric, apic } = machine();
    expect(fabric.deliver(0xff, 0, 0, 0, 0x41, 0)).toBe(4);
    apic.writeMsr(0x1b, x2apic);
    expect([fabric.deliver(0xff, 0, 0, 0, 0x41, 0), fabric.deliver(-1, 0, 0, 0, 0x41, 0)]).toEqual([3, 1]);
  });
});

test("INIT resets the registers and keeps id and mode", () => {
  const { fabric, apics } = machine({ mode: "x2apic" });
  const target = apics[2]!;
  target.writeMsr(0x808, 0x20n);
  fabric.deliver(2, 0, 0, 5, 0, 0);
  expect(target.acceptInit()).toBe(true);
  expect([target.id, target.x2apic, target.readMsr(0x808), target.readMsr(0x80f)]).toEqual([
    2,
    true,
    0n,
    0xffn,
  ]);
  expect(fabric.deliver(2, 0, 0, 0, 0x41, 0)).toBe(0);
});

test.each([-1, 4, 0.5])("slot %i is not one of the fabric's four", (slot) => {
  expect(() => new LocalApic(machine().fabric, slot)).toThrow(/not one of the fabric's 4/);
});
