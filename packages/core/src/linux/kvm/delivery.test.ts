import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeliveryMode } from "../../hardware/delivery.ts";
import { ApicFabric } from "../../hardware/lapic/fabric.ts";
import { LocalApic } from "../../hardware/lapic/local-apic.ts";
import { apicRegisters } from "../../spec/apic/local-apic.ts";
import { encode } from "../../spec/codec.ts";
import { msiAddress, msiData } from "../../spec/msi/message.ts";
import { errno } from "../errno.ts";
import { host } from "../testbed.ts";
import { kvmArchSetIrqInatomic, kvmIrqDeliveryToApic, kvmSendUserspaceMsi } from "./delivery.ts";
import { postingTarget } from "./bypass.ts";
import { fakeVm } from "./testbed.ts";
import type { KvmMessage, LapicIrq } from "./lapic-irq.ts";

const { lowestPriority, nmi, smi, init, extInt } = DeliveryMode;

interface Fields {
  readonly destination: number;
  readonly vector?: number;
  readonly deliveryMode?: number;
  readonly logical?: boolean;
  readonly hint?: boolean;
}

/** A message as a guest writes it, in KVM's x2APIC format where the destination is wide. */
function message({ destination, vector = 0x41, deliveryMode = 0, logical = false, hint = false }: Fields) {
  const address = encode(msiAddress, {
    prefix: 0xfee,
    dst: destination & 0xff,
    dsthigh: destination >>> 8,
    dm: Number(logical),
    rh: Number(hint),
  });
  return {
    addressLow: Number(BigInt.asIntN(32, address)),
    addressHigh: Number(BigInt.asIntN(32, address >> 32n)),
    data: Number(encode(msiData, { v: vector, dlm: deliveryMode, level: 1 })),
  } satisfies KvmMessage;
}

const { k } = host();

const x2apicFormat = (vm: ReturnType<typeof fakeVm>["vm"]) => {
  vm.interrupts.x2apicFormat = true;
  vm.interrupts.broadcastQuirkDisabled = true;
};

describe("a message is posted to the one vCPU that it addresses", () => {
  test.each<[string, Fields, { vcpu?: number; refusal?: string }]>([
    ["physical", { destination: 2 }, { vcpu: 2 }],
    ["physical, without such a vCPU", { destination: 9 }, { refusal: "no-vcpu" }],
    ["physical, with the hint", { destination: 3, hint: true }, { vcpu: 3 }],
    ["physical broadcast", { destination: 0xff }, { refusal: "several-vcpus" }],
    ["wide broadcast", { destination: 0xffffffff }, { refusal: "several-vcpus" }],
    ["logical, fixed, of one", { destination: 0b0100, logical: true }, { vcpu: 2 }],
    ["logical, fixed, of two", { destination: 0b0110, logical: true }, { refusal: "several-vcpus" }],
    [
      "logical, fixed, of one that exists and one that does not",
      { destination: 0x11, logical: true },
      { vcpu: 0 },
    ],
    ["logical, hashed: 41h mod 2", { destination: 0b0110, logical: true, hint: true }, { vcpu: 2 }],
    [
      "logical, hashed: 40h mod 2",
      { destination: 0b0110, logical: true, hint: true, vector: 0x40 },
      { vcpu: 1 },
    ],
    [
      "logical, lowest priority: 41h mod 4",
      { destination: 0xf, logical: true, deliveryMode: lowestPriority },
      { vcpu: 1 },
    ],
    ["logical, of an absent cluster", { destination: 0x3_0001, logical: true }, { refusal: "no-vcpu" }],
    ["physical, lowest priority", { destination: 1, deliveryMode: lowestPriority }, { vcpu: 1 }],
    ["an NMI", { destination: 1, deliveryMode: nmi }, { refusal: "delivery-mode" }],
    ["an SMI", { destination: 1, deliveryMode: smi }, { refusal: "delivery-mode" }],
    ["an ExtINT", { destination: 1, deliveryMode: extInt }, { refusal: "delivery-mode" }],
  ])("%s", (_name, fields, expected) => {
    const { vm } = fakeVm();
    // 0xff and the absent cluster need destinations of 32 bits.
    vm.interrupts.x2apicFormat = true;
    const target = postingTarget(k, vm, { gsi: 1, ...message(fields) });
    expect({
      ...(target.vcpu && { vcpu: target.vcpu.id }),
      ...(target.refusal && { refusal: target.refusal }),
    }).toEqual(expected);
  });

  test.each([
    ["x2APIC, 3 clusters", true, { destination: 0x1_0002, logical: true }, 17],
    ["xAPIC, flat", false, { destination: 0b1000, logical: true }, 3],
    [
      "FFh, where it is eight processors of cluster 0",
      true,
      { destination: 0xff, logical: true, hint: true, vector: 0x42 },
      2,
    ],
  ] as const)("in other machines: %s", (_name, x2apic, fields, vcpu) => {
    const { vm } = fakeVm({ vcpus: x2apic ? 20 : 4, x2apic });
    if (x2apic) x2apicFormat(vm);
    expect(postingTarget(k, vm, { gsi: 1, ...message(fields) }).vcpu?.id).toBe(vcpu);
  });

  test("with one vCPU, a broadcast is for that one", () => {
    const { vm } = fakeVm({ vcpus: 1 });
    expect(postingTarget(k, vm, { gsi: 1, ...message({ destination: 0xff }) }).vcpu?.id).toBe(0);
  });

  test("without vector hashing it is the one that was given the fewest", () => {
    const plain = host({ commandLine: "kvm.vector_hashing=0" }).k;
    Object.assign(plain, { parameters: { ...plain.parameters, vectorHashing: false } });
    const { vm } = fakeVm();
    const all = message({ destination: 0xf, logical: true, deliveryMode: lowestPriority });
    const taken = [0, 1, 2, 3, 4].map(() => {
      const { vcpu } = postingTarget(plain, vm, { gsi: 1, ...all });
      kvmSendUserspaceMsi(plain, vm, all);
      return vcpu?.id;
    });
    expect(taken).toEqual([0, 1, 2, 3, 0]);
  });

  test("with an APIC that cannot be told from others by the map, all are asked", () => {
    const { vm } = fakeVm({ x2apic: false });
    vm.vcpus[1]!.lapic.write({ dfr: 0x0fffffff, ldr: 0x11000000 });
    expect(
      postingTarget(k, vm, { gsi: 1, ...message({ destination: 0b0100, logical: true }) }).vcpu?.id,
    ).toBe(2);
  });
});

/** What a fabric of such APICs does with the same interrupt. */
function inHardware(count: number, x2apic: boolean, quirk: boolean, irq: LapicIrq): number[] {
  const ids = Array.from({ length: count }, (_, i) => i);
  const fabric = new ApicFabric(ids, {
    ...(x2apic && { mode: "x2apic" as const }),
    softwareEnabled: true,
    narrowBroadcast: quirk,
    acceptIllegalVectors: true,
  });
  const apics = ids.map((id) => new LocalApic(fabric, id));
  if (!x2apic)
    for (const apic of apics) apic.write(apicRegisters.ldr.offset, apic.id < 8 ? 1 << (24 + apic.id) : 0);
  fabric.deliver(irq.destination | 0, Number(irq.logical), 0, irq.deliveryMode, irq.vector, 0);
  return ids.filter((id) => apics[id]!.requests(irq.vector));
}

test("fixed interrupts go where hardware would send them", () => {
  const irqs = fc.record({
    vector: fc.integer({ min: 0x20, max: 0xfe }),
    deliveryMode: fc.constant(0),
    destination: fc.oneof(
      fc.integer({ min: 0, max: 0xff }),
      fc.integer({ min: 0, max: 0x30000 }),
      fc.constant(0xffffffff),
    ),
    logical: fc.boolean(),
    redirectionHint: fc.constant(false),
    level: fc.constant(false),
  });
  fc.assert(
    fc.property(
      irqs,
      fc.integer({ min: 1, max: 40 }),
      fc.boolean(),
      fc.boolean(),
      (asked, vcpus, x2apic, quirk) => {
        // Without the wide format destinations have eight bits.
        const irq = x2apic ? asked : { ...asked, destination: asked.destination & 0xff };
        // With the quirk KVM knows no other broadcast than FFh: the wide one is nobody's.
        fc.pre(!quirk || irq.destination !== 0xffffffff);
        const { vm, delivered } = fakeVm({ vcpus, x2apic });
        vm.interrupts.broadcastQuirkDisabled = !quirk;
        kvmIrqDeliveryToApic(k, vm, null, irq);
        expect(delivered.map(({ vcpu }) => vcpu)).toEqual(inHardware(vcpus, x2apic, quirk, irq));
      },
    ),
  );
});

test("what is posted to a vCPU is what delivery would give to it", () => {
  const fields = fc.record({
    destination: fc.integer({ min: 0, max: 0xff }),
    vector: fc.integer({ min: 0x20, max: 0xfe }),
    deliveryMode: fc.constantFrom(0, 1),
    logical: fc.boolean(),
    hint: fc.boolean(),
  });
  fc.assert(
    fc.property(fields, fc.integer({ min: 1, max: 10 }), fc.boolean(), (asked, vcpus, x2apic) => {
      const { vm, delivered } = fakeVm({ vcpus, x2apic });
      const { vcpu, vector } = postingTarget(k, vm, { gsi: 1, ...message(asked) });
      kvmSendUserspaceMsi(k, vm, message(asked));
      // Where hashing falls on a processor that is not there, delivery loses what posting would not.
      if (vcpu !== null && delivered.length > 0) expect(delivered).toEqual([{ vcpu: vcpu.id, vector }]);
      // A broadcast that one of all is to take stays with the host, which chooses.
      if (vcpu === null && !asked.hint && asked.deliveryMode === 0) expect(delivered.length).not.toBe(1);
    }),
  );
});

describe("KVM_SIGNAL_MSI", () => {
  test("gives other modes to the APIC's events", () => {
    const { vm, delivered } = fakeVm();
    for (const deliveryMode of [smi, nmi, nmi, init]) {
      expect(kvmSendUserspaceMsi(k, vm, message({ destination: 1, deliveryMode }))).toBe(1);
    }
    expect(kvmSendUserspaceMsi(k, vm, message({ destination: 1, deliveryMode: extInt }))).toBe(0);
    expect(vm.vcpus[1]!.lapic.events).toEqual({ smi: 1, nmi: 2, init: 1 });
    expect(delivered).toEqual([]);
  });

  test("is refused without an interrupt controller, and in a format that the VM does not have", () => {
    const { vm } = fakeVm();
    vm.interrupts.x2apicFormat = true;
    expect(kvmSendUserspaceMsi(k, vm, { ...message({ destination: 1 }), addressHigh: 1 })).toBe(
      -errno.EINVAL,
    );
    vm.interrupts.irqchipInKernel = false;
    expect(kvmSendUserspaceMsi(k, vm, message({ destination: 1 }))).toBe(-errno.EINVAL);
  });

  test("passes an APIC by that is off", () => {
    const { vm, delivered } = fakeVm();
    vm.vcpus[1]!.lapic.write({ softwareEnabled: false });
    expect(kvmSendUserspaceMsi(k, vm, message({ destination: 1 }))).toBe(0);
    vm.vcpus[2]!.lapic.write({ enabled: false });
    expect(kvmSendUserspaceMsi(k, vm, message({ destination: 0xff }))).toBe(2);
    expect(delivered.map(({ vcpu }) => vcpu)).toEqual([0, 3]);
  });

  test("loses what hashing gives to a processor that is not there, and says so once", () => {
    const own = host().k;
    const { vm, delivered } = fakeVm({ vcpus: 1 });
    const two = message({ destination: 0b11, logical: true, hint: true });
    expect([0, 1].map(() => kvmSendUserspaceMsi(own, vm, two))).toEqual([0, 0]);
    expect(delivered).toEqual([]);
    expect(own.log.lines.map(({ text }) => text)).toEqual(["kvm: Disabled LAPIC found during irq injection"]);
  });

  test("makes a lowest-priority broadcast fixed", () => {
    const own = host().k;
    const { vm, delivered } = fakeVm({ x2apic: false });
    expect(kvmSendUserspaceMsi(own, vm, message({ destination: 0xff, deliveryMode: lowestPriority }))).toBe(
      4,
    );
    expect(delivered).toHaveLength(4);
    expect(own.log.lines.map(({ text }) => text)).toEqual(["kvm: apic: phys broadcast and lowest prio"]);
  });

  test("gives a broadcast with the hint to one", () => {
    const { vm, delivered } = fakeVm({ x2apic: false });
    expect(kvmSendUserspaceMsi(k, vm, message({ destination: 0xff, logical: true, hint: true }))).toBe(1);
    expect(delivered).toEqual([{ vcpu: 1, vector: 0x41 }]);
  });
});

test("without sleeping, only what the map tells can be delivered", () => {
  const { vm, delivered } = fakeVm();
  expect(kvmArchSetIrqInatomic(k, vm, message({ destination: 1 }))).toBe(1);
  expect(kvmArchSetIrqInatomic(k, vm, message({ destination: 0xff }))).toBe(-errno.EAGAIN);
  expect(kvmArchSetIrqInatomic(k, vm, null)).toBe(-errno.EAGAIN);
  vm.interrupts.x2apicFormat = true;
  expect(kvmArchSetIrqInatomic(k, vm, { ...message({ destination: 1 }), addressHigh: 1 })).toBe(
    -errno.EINVAL,
  );
  expect(delivered).toHaveLength(1);
});

test("the map follows the registers of the APICs, and the vCPUs that come and go", () => {
  const { vm, delivered } = fakeVm({ x2apic: false });
  const first = message({ destination: 1, logical: true });
  kvmSendUserspaceMsi(k, vm, first);
  vm.vcpus[0]!.lapic.write({ ldr: 0x80000000 | 0 });
  kvmSendUserspaceMsi(k, vm, first);
  kvmSendUserspaceMsi(k, vm, message({ destination: 0x80, logical: true }));
  vm.vcpus.shift();
  kvmSendUserspaceMsi(k, vm, message({ destination: 0x80, logical: true }));
  expect(delivered).toHaveLength(2);
});
