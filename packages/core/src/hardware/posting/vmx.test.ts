import { assert, integer, property, uniqueArray } from "fast-check";
import { describe, expect, test } from "vitest";
import { eventKinds } from "../event.ts";
import { ApicFabric } from "../lapic/fabric.ts";
import { LocalApic } from "../lapic/local-apic.ts";
import { Memory } from "../memory.ts";
import { PostedDescriptor } from "./descriptor.ts";
import { group } from "./vector-page.ts";
import { type VmxControls, type VmxSettings, entryViolations, postingControls } from "./vmx-settings.ts";
import { VirtualApic, noExit } from "./vmx.ts";

const page = 0x5000;
const descriptor = 0x6040;
const table = 0x7000;
const notification = 0xf2;

function guest(overrides: Partial<VmxSettings> = {}, controls: VmxControls = {}) {
  const memory = new Memory();
  const fabric = new ApicFabric([0, 1, 2, 3], { mode: "x2apic", softwareEnabled: true });
  const physical = new LocalApic(fabric, 0);
  const seen: number[][] = [];
  const vmx = new VirtualApic(
    memory,
    {
      controls: { ...postingControls, ipiVirtualization: true, ...controls },
      virtualApic: page,
      descriptor,
      notificationVector: notification,
      pidPointerTable: table,
      lastPidPointerIndex: 7,
      ...overrides,
    },
    { fabric, vcpu: 5, observer: { record: (...line) => seen.push(line) } },
  );
  return { memory, fabric, physical, vmx, seen, pid: vmx.descriptor };
}

describe("virtual-interrupt delivery", () => {
  test.each([
    // VTPR, SVI, VPPR
    [0x00, 0x00, 0x00],
    [0x3f, 0x00, 0x3f],
    [0x3f, 0x30, 0x3f],
    [0x3f, 0x4b, 0x40],
    [0x50, 0x4b, 0x50],
    [0xff, 0xff, 0xff],
    [0x00, 0xff, 0xf0],
  ])("VTPR %i and SVI %i give VPPR %i on entry", (vtpr, svi, vppr) => {
    const { vmx } = guest();
    vmx.page.write(0x80, vtpr);
    vmx.setStatus(0, svi);
    vmx.enter();
    expect([vmx.vppr, vmx.page.read(0xa0)]).toEqual([vppr, vppr]);
  });

  test("RVI is recognised when its class is above that of VPPR, and only then", () => {
    const byte = integer({ min: 0, max: 255 });
    assert(
      property(byte, byte, byte, (rvi, svi, vtpr) => {
        const { vmx } = guest();
        vmx.page.write(0x80, vtpr);
        vmx.setStatus(rvi, svi);
        vmx.enter();
        expect(vmx.recognised).toBe(rvi >> 4 > Math.max(svi >> 4, vtpr >> 4));
      }),
    );
  });

  test("interrupt-window exiting holds everything back", () => {
    const { vmx } = guest();
    vmx.interruptWindowExiting = true;
    vmx.virtualizeSelfIpi(0x41);
    expect([vmx.recognised, vmx.deliver()]).toEqual([false, -1]);
    vmx.interruptWindowExiting = false;
    vmx.enter();
    expect(vmx.deliver()).toBe(0x41);
  });

  test("delivery moves RVI from VIRR to VISR, makes it SVI and its class VPPR, and finds the next RVI", () => {
    const { vmx, seen } = guest();
    vmx.virtualizeSelfIpi(0x41);
    vmx.virtualizeSelfIpi(0x63);
    expect(vmx.deliver()).toBe(0x63);
    expect([vmx.rvi, vmx.svi, vmx.vppr, vmx.recognised]).toEqual([0x41, 0x63, 0x60, false]);
    expect([vmx.page.has(group.irr, 0x63), vmx.page.has(group.isr, 0x63)]).toEqual([false, true]);
    expect([vmx.deliver(), seen]).toEqual([-1, [[eventKinds.virtual, 5, 0x63, 0, 0, 0, 0]]]);
  });

  test("vectors come out highest first, and none twice", () => {
    assert(
      property(uniqueArray(integer({ min: 16, max: 255 }), { maxLength: 12 }), (vectors) => {
        const { vmx } = guest();
        for (const vector of vectors) vmx.virtualizeSelfIpi(vector);
        const taken = [];
        for (let vector = vmx.deliver(); vector >= 0; vector = vmx.deliver()) {
          taken.push(vector);
          expect(vmx.virtualizeEoi()).toBe(noExit);
        }
        expect(taken).toEqual([...vectors].sort((a, b) => b - a));
        expect([vmx.rvi, vmx.svi, vmx.vppr]).toEqual([0, 0, 0]);
      }),
    );
  });
});

describe("EOI virtualization", () => {
  test("ends the highest in service, finds the one below, and evaluates", () => {
    const { vmx } = guest();
    vmx.virtualizeSelfIpi(0x41);
    vmx.deliver();
    vmx.virtualizeSelfIpi(0x63);
    vmx.deliver();
    vmx.virtualizeSelfIpi(0x52);
    expect([vmx.svi, vmx.recognised]).toEqual([0x63, false]);
    expect(vmx.write(0xb0, 0x1234)).toBe(noExit);
    expect([vmx.svi, vmx.vppr, vmx.recognised, vmx.page.read(0xb0)]).toEqual([0x41, 0x40, true, 0]);
    expect(vmx.page.has(group.isr, 0x63)).toBe(false);
  });

  test.each([0x10, 0x3f, 0x41, 0x80, 0xff])(
    "exits for vector %i of the bitmap with no evaluation",
    (vector) => {
      const { vmx } = guest({ eoiExitBitmap: 1n << BigInt(vector) });
      vmx.virtualizeSelfIpi(vector);
      vmx.deliver();
      vmx.page.set(group.irr, 0x20);
      vmx.setStatus(0x20, vmx.svi);
      expect([vmx.write(0xb0, 0), vmx.qualification]).toEqual([45, vector]);
      expect([vmx.svi, vmx.vppr, vmx.recognised]).toEqual([0, 0, false]);
      vmx.virtualizeSelfIpi(vector ^ 1 || 0x11);
      expect(vmx.recognised).toBe(true);
    },
  );
});

describe("TPR virtualization", () => {
  test("holds back and lets go", () => {
    const { vmx } = guest();
    expect(vmx.write(0x80, 0x40)).toBe(noExit);
    vmx.virtualizeSelfIpi(0x41);
    expect([vmx.recognised, vmx.vppr]).toEqual([false, 0x40]);
    expect([vmx.write(0x80, 0x30), vmx.recognised]).toEqual([noExit, true]);
  });

  test.each([
    [0x30, 4, 43],
    [0x40, 4, noExit],
    [0x4f, 5, 43],
    [0x00, 0, noExit],
  ])("without virtual delivery VTPR %i under threshold %i ends in %i", (vtpr, tprThreshold, exit) => {
    const { vmx } = guest({ tprThreshold, controls: { tprShadow: true } });
    expect(vmx.write(0x80, vtpr)).toBe(exit);
    const plain = guest({ controls: {} });
    expect(plain.vmx.write(0x80, 0)).toBe(noExit);
  });
});

describe("what the guest writes to its page", () => {
  test.each([
    [0x40041, noExit, true, "self, fixed, edge"],
    [0x44041, noExit, true, "self, level bit set"],
    [0x40841, noExit, true, "self, destination mode not looked at"],
    [0x4000f, 56, false, "vector below 16"],
    [0x40441, 56, false, "NMI"],
    [0x48041, 56, false, "level-triggered"],
    [0x41041, 56, false, "delivery status"],
    [0x42041, 56, false, "reserved bit 13"],
    [0x140041, 56, false, "reserved bit 20"],
    [0x80041, 56, false, "all including self"],
    [0xc0041, 56, false, "all excluding self"],
    [0x00841, 56, false, "logical"],
  ])("ICR %i ends in %i, recognised %s: %s", (low, exit, recognised) => {
    const { vmx } = guest();
    expect([vmx.write(0x300, low), vmx.recognised, vmx.page.read(0x300)]).toEqual([exit, recognised, low]);
    if (exit === 56) expect(vmx.qualification).toBe(0x300);
  });

  test("a self-IPI raises RVI only if it is higher", () => {
    const { vmx } = guest();
    vmx.write(0x300, 0x40061);
    vmx.write(0x300, 0x40041);
    expect([vmx.rvi, vmx.page.has(group.irr, 0x41)]).toEqual([0x61, true]);
  });

  test.each([
    [true, 0x41, noExit],
    [true, 0x0f, 56],
    [true, 0x141, 56],
    [false, 0x41, 56],
  ])("SELF IPI with x2APIC mode %s and %i ends in %i", (x2apic, value, exit) => {
    const { vmx } = guest({}, { x2apic });
    expect([vmx.write(0x3f0, value), vmx.recognised]).toEqual([exit, exit === noExit]);
  });

  test.each([
    [0xd0, {}],
    [0xf0, {}],
    [0x380, {}],
    [0xb0, { controls: { tprShadow: true } }],
    [0x300, { controls: { tprShadow: true } }],
  ])("offset %i exits", (offset, overrides) => {
    const { vmx } = guest(overrides);
    expect([vmx.write(offset, 0x40041), vmx.qualification]).toEqual([56, offset]);
  });
});

describe("IPI virtualization", () => {
  const target = 0x8000;

  function withTarget(
    index: number,
    entry: bigint,
    overrides: Partial<VmxSettings> = {},
    controls: VmxControls = {},
  ) {
    const machine = guest(overrides, controls);
    machine.memory.write64(table + 8 * index, entry);
    return {
      ...machine,
      target: new PostedDescriptor(machine.memory, target),
      other: new LocalApic(machine.fabric, 2),
    };
  }

  test("posts to the descriptor and notifies its processor", () => {
    const { vmx, target: pid, other } = withTarget(3, BigInt(target) | 1n);
    pid.setNotification(0, notification, 2);
    vmx.page.write(0x310, 3 << 24);
    expect(vmx.write(0x300, 0x4041)).toBe(noExit);
    expect([pid.read(), other.pending()]).toEqual([
      { pir: 1n << 0x41n, on: 1, sn: 0, nv: notification, ndst: 2 },
      notification,
    ]);
  });

  test.each([
    [1, 0],
    [0, 1],
    [1, 1],
  ] as const)("only records with ON %i and SN %i", (on, sn) => {
    const { vmx, target: pid, other } = withTarget(3, BigInt(target) | 1n);
    pid.setNotification(sn, notification, 2);
    if (on === 1) pid.testAndSetOn();
    vmx.page.write(0x310, 3 << 24);
    expect(vmx.write(0x300, 0x41)).toBe(noExit);
    expect([pid.read().pir, pid.on, other.pending()]).toEqual([1n << 0x41n, on, -1]);
  });

  test("finds the processor in bits 15:8 of NDST while the host is in xAPIC mode", () => {
    const { vmx, target: pid, other } = withTarget(3, BigInt(target) | 1n, { hostX2apic: false });
    pid.setNotification(0, notification, 0x200);
    vmx.page.write(0x310, 3 << 24);
    vmx.write(0x300, 0x41);
    expect(other.pending()).toBe(notification);
  });

  test("takes a destination of 32 bits from the doubleword behind the command in x2APIC mode", () => {
    const { vmx, target: pid } = withTarget(
      0x120,
      BigInt(target) | 1n,
      { lastPidPointerIndex: 0x1ff },
      { x2apic: true },
    );
    vmx.page.write(0x304, 0x120);
    expect([vmx.write(0x300, 0x41), pid.pending]).toEqual([noExit, true]);
    vmx.page.write(0x304, -1);
    expect(vmx.write(0x300, 0x41)).toBe(56);
  });

  test("needs no fabric", () => {
    const memory = new Memory();
    memory.write64(table, BigInt(target) | 1n);
    const controls = { ...postingControls, ipiVirtualization: true };
    const vmx = new VirtualApic(memory, { controls, virtualApic: page, pidPointerTable: table });
    expect([vmx.write(0x300, 0x41), new PostedDescriptor(memory, target).on]).toEqual([noExit, 1]);
    vmx.virtualizeSelfIpi(0x41);
    expect(vmx.deliver()).toBe(0x41);
  });

  test.each([
    [8, BigInt(target) | 1n, {}, "beyond the last index"],
    [3, BigInt(target), {}, "not valid"],
    [3, 0n, {}, "empty"],
    [3, BigInt(target) | 3n, {}, "reserved bit"],
    [3, (1n << 46n) | 1n, { physicalAddressBits: 46 }, "beyond the address width"],
    [3, (1n << 63n) | 1n, {}, "beyond 52 bits"],
  ])("exits for index %i with pointer %i and %o: %s", (...[index, entry, overrides]) => {
    const { vmx } = withTarget(index, entry, overrides);
    vmx.page.write(0x310, index << 24);
    expect([vmx.write(0x300, 0x41), vmx.qualification]).toEqual([56, 0x300]);
  });

  test("exits where it is off, and without settings reaches index 0 only", () => {
    const { vmx } = withTarget(3, BigInt(target) | 1n, {}, { ipiVirtualization: false });
    expect(vmx.write(0x300, 0x41)).toBe(56);
  });
});

describe("posted-interrupt processing", () => {
  test("clears ON, ends the notification, moves PIR to VIRR, raises RVI and delivers without an exit", () => {
    const { vmx, physical, fabric, pid } = guest();
    pid.setNotification(0, notification, 0);
    for (const vector of [0x31, 0x77, 0xe1]) pid.postFromSoftware(vector);
    fabric.deliver(0, 0, 0, 0, notification, 0);
    expect(vmx.externalInterrupt(physical)).toBe(noExit);
    expect(pid.read()).toEqual({ pir: 0n, on: 0, sn: 0, nv: notification, ndst: 0 });
    expect([physical.pending(), physical.eoi()]).toEqual([-1, -1]);
    expect([vmx.rvi, vmx.recognised, vmx.deliver()]).toEqual([0xe1, true, 0xe1]);
    expect([vmx.page.has(group.irr, 0x31), vmx.page.has(group.irr, 0x77)]).toEqual([true, true]);
  });

  test("leaves SN alone", () => {
    const { vmx, physical, fabric, pid } = guest();
    pid.setNotification(1, notification, 0);
    pid.testAndSetOn();
    fabric.deliver(0, 0, 0, 0, notification, 0);
    vmx.externalInterrupt(physical);
    expect([pid.on, pid.sn]).toEqual([0, 1]);
  });

  test.each([
    [0x61, 0x41, 0x61],
    [0x41, 0x61, 0x61],
    [0x41, -1, 0x41],
    [0, -1, 0],
  ])("RVI %i and highest posted %i give RVI %i", (rvi, posted, expected) => {
    const { vmx, physical, fabric, pid } = guest();
    if (rvi > 0) vmx.virtualizeSelfIpi(rvi);
    if (posted >= 0) pid.testAndSetPir(posted);
    fabric.deliver(0, 0, 0, 0, notification, 0);
    vmx.externalInterrupt(physical);
    expect(vmx.rvi).toBe(expected);
  });

  test("a posted vector that VPPR masks is recognised by nobody, so a halted guest sleeps on", () => {
    const { vmx, physical, fabric, pid } = guest();
    vmx.write(0x80, 0x80);
    pid.postFromSoftware(0x41);
    fabric.deliver(0, 0, 0, 0, notification, 0);
    expect([vmx.externalInterrupt(physical), vmx.recognised, vmx.rvi]).toEqual([noExit, false, 0x41]);
  });

  test.each([
    ["another vector", {}, 0xf1],
    ["the wakeup vector's neighbour", {}, 0xf3],
    ["processing off", { processPostedInterrupts: false }, notification],
  ])("%s exits as ever, acknowledged and in service, and touches no descriptor", (_, controls, vector) => {
    const { vmx, physical, fabric, pid } = guest({}, controls);
    pid.postFromSoftware(0x41);
    fabric.deliver(0, 0, 0, 0, vector, 0);
    expect(vmx.externalInterrupt(physical)).toBe(vector);
    expect([pid.on, pid.pending, physical.eoi()]).toEqual([1, true, vector]);
  });

  test("nothing pending is nothing", () => {
    const { vmx, physical } = guest();
    expect(vmx.externalInterrupt(physical)).toBe(noExit);
  });

  test("a notification vector that is not set is zero", () => {
    const vmx = new VirtualApic(new Memory(), { controls: postingControls, virtualApic: page });
    expect(vmx.externalInterrupt({ acknowledge: () => 0xf2, eoi: () => {} })).toBe(0xf2);
    expect(vmx.externalInterrupt({ acknowledge: () => 0, eoi: () => {} })).toBe(noExit);
  });

  test("a processor in guest mode takes its notification as it is accepted", () => {
    const { vmx, physical, fabric, pid } = guest();
    fabric.onAccept = (slot) => {
      if (slot === 0) vmx.externalInterrupt(physical);
    };
    pid.postFromSoftware(0x41);
    fabric.deliver(0, 0, 0, 0, notification, 0);
    expect([vmx.recognised, pid.on, physical.pending()]).toEqual([true, 0, -1]);
  });
});

describe("VM entry", () => {
  const settings: VmxSettings = {
    controls: { ...postingControls, ipiVirtualization: true },
    virtualApic: page,
    descriptor,
    notificationVector: notification,
    pidPointerTable: table,
    lastPidPointerIndex: 7,
    physicalAddressBits: 46,
  };

  test.each<[Partial<VmxSettings>, VmxControls, string[]]>([
    [{}, {}, []],
    [
      {},
      { processPostedInterrupts: false, virtualInterruptDelivery: false, externalInterruptExiting: false },
      [],
    ],
    [{}, { virtualInterruptDelivery: false }, ["vmx.entry.posted-interrupts"]],
    [{}, { externalInterruptExiting: false }, ["vmx.entry.virtual-delivery", "vmx.entry.posted-interrupts"]],
    [{}, { acknowledgeOnExit: false }, ["vmx.entry.acknowledge"]],
    [{}, { tprShadow: false }, ["vmx.entry.virtual-delivery"]],
    [{ notificationVector: 0x1f2 }, {}, ["vmx.entry.notification-vector"]],
    [{ notificationVector: 0x1f2 }, { processPostedInterrupts: false }, []],
    [{ descriptor: 0x6020 }, {}, ["vmx.entry.descriptor-address"]],
    [{ descriptor: 2 ** 46 }, {}, ["vmx.entry.descriptor-address"]],
    [{ virtualApic: 0x5800 }, {}, ["vmx.entry.virtual-apic-address"]],
    [{ virtualApic: 2 ** 46 }, {}, ["vmx.entry.virtual-apic-address"]],
    [{ pidPointerTable: 0x7004 }, {}, ["vmx.entry.pid-pointer-table"]],
    [{ pidPointerTable: 2 ** 46 - 56 }, {}, ["vmx.entry.pid-pointer-table"]],
    [{ pidPointerTable: 2 ** 46 - 64 }, {}, []],
    [{ pidPointerTable: 0x7004 }, { ipiVirtualization: false }, []],
  ])("with %o and %o breaks %o", (overrides, controls, rules) => {
    expect(
      entryViolations({ ...settings, ...overrides, controls: { ...settings.controls, ...controls } }),
    ).toEqual(rules);
  });

  test("what is left out is zero or off", () => {
    expect(
      entryViolations({ controls: { ...postingControls, ipiVirtualization: true }, virtualApic: 0 }),
    ).toEqual([]);
  });

  test("a virtual APIC is not made where it fails", () => {
    expect(() => guest({ notificationVector: 0x1f2 })).toThrow(
      /^VM entry fails: .*\(vmx\.entry\.notification-vector\)$/,
    );
  });
});
