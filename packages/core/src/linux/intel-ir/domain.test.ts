import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PostedDescriptor } from "../../hardware/posting/descriptor.ts";
import {
  type VtdProfile,
  vtdCachingMode,
  vtdLineCache,
  vtdNonCoherent,
  vtdStrict,
} from "../../hardware/vtd/profile.ts";
import { decode } from "../../spec/codec.ts";
import { msiRemappableAddress } from "../../spec/msi/message.ts";
import { irtePosted, irteRemapped } from "../../spec/vtd/irte.ts";
import type { IrqData } from "../irq/descriptor.ts";
import { fireTimers } from "../irq/vector-cleanup.ts";
import { freeIrq, irqSetAffinity, irqSetVcpuAffinity, requestIrq } from "../irq/manage.ts";
import { vectorConfig, vectorCounts } from "../irq/vector.ts";
import {
  getCachedMsiMsg,
  pciAllocIrqVectors,
  pciFreeIrqVectors,
  pciIrqVector,
  pciRemoveMsiDomain,
} from "../pci/msi.ts";
import { enableIrX2apic } from "../remapping.ts";
import { type HostOptions, host, settle, withMsix } from "../testbed.ts";
import { readEntry } from "./live-entry.ts";
import { irDataOf } from "./reconfigure.ts";
import { intelRemapping } from "./remapping-state.ts";

type Machine = ReturnType<typeof boot>;

const nic = 0x0300; // 03:00.0
const vcpu = { a: 0x3000_0000, b: 0x3000_0040 };

function ascending(one: number, other: number): number {
  return one - other;
}

function boot(options: HostOptions = {}) {
  const machine = host(options);
  enableIrX2apic(machine.k);
  return machine;
}

function levelOf({ k }: Machine, irq: number): IrqData {
  return k.irqs.descriptors.get(irq)!.data.parent!;
}

/** The entry of an interrupt in the table, as the CPU sees it. */
function entryOf(machine: Machine, irq: number): bigint {
  const { iommu, index, subHandle } = irDataOf(levelOf(machine, irq)).irq2iommu;
  return readEntry(machine.k, iommu, index + subHandle);
}

/** A function with MSI-X vectors, all requested; `taken` lists the CPU of every interrupt that a handler has seen. */
function nicWith(machine: Machine, vectors: number, requester = nic, more: { alias?: number } = {}) {
  const { k } = machine;
  const { fn, device } = machine.plug(requester, { ...withMsix(vectors), ...more });
  expect(pciAllocIrqVectors(k, device, vectors, vectors, "msix")).toBe(vectors);
  const irqs = Array.from({ length: vectors }, (_, i) => pciIrqVector(k, device, i));
  const taken: { vector: number; cpu: number }[] = [];
  for (const [vector, irq] of irqs.entries()) {
    const handler = (kernel: typeof k): "handled" => {
      taken.push({ vector, cpu: kernel.cpu.number });
      return "handled";
    };
    expect(requestIrq(k, irq, handler, `nic-${vector}`, fn)).toBe(0);
  }
  const remove = (): void => {
    for (const irq of irqs) freeIrq(k, irq, fn);
    pciFreeIrqVectors(k, device);
    pciRemoveMsiDomain(k, device);
  };
  return { fn, device, irqs, taken, remove };
}

describe("an interrupt of a function behind remapping", () => {
  test("reaches its handler through its entry", () => {
    const machine = boot();
    const { fn, irqs, taken } = nicWith(machine, 3);
    for (const vector of [2, 0, 1]) fn.signal(vector);
    expect(settle(machine.k, machine.cpus)).toBe(3);
    expect(taken.map(({ vector }) => vector).toSorted(ascending)).toEqual([0, 1, 2]);
    expect(decode(irteRemapped, entryOf(machine, irqs[0]!))).toMatchObject({
      p: 1,
      fpd: 0,
      dm: 1,
      rh: 1,
      tm: 0,
      dlm: 0,
      im: 0,
      sid: nic,
      sq: 0,
      svt: 1,
    });
    expect(machine.vtd.fault).toBeUndefined();
  });

  test("has an entry only when it is activated, with the placeholder until it is requested", () => {
    const machine = boot();
    const { device } = machine.plug(nic, withMsix(1));
    pciAllocIrqVectors(machine.k, device, 1, 1, "msix");
    const irq = pciIrqVector(machine.k, device, 0);
    expect(decode(irteRemapped, entryOf(machine, irq))).toMatchObject({ p: 1, v: 0xef });
  });

  test("is written to the device as a handle with subhandle 0, once and for all", () => {
    const machine = boot();
    const { irqs } = nicWith(machine, 2);
    const before = { ...getCachedMsiMsg(machine.k, irqs[1]!)! };
    expect(decode(msiRemappableAddress, BigInt(before.addressLow >>> 0))).toMatchObject({
      prefix: 0xfee,
      format: 1,
      shv: 1,
      handle: 1,
    });
    expect(before).toMatchObject({ addressHigh: 0, data: 0 });
    irqSetAffinity(machine.k, irqs[1]!, [3]);
    expect(getCachedMsiMsg(machine.k, irqs[1]!)).toEqual(before);
  });

  test.each([
    ["7.0", "INTEL-IR-0", 13],
    ["6.12", "INTEL-IR-0", 13],
    ["5.4", "INTEL-IR-0", 0],
  ] as const)("has a level of its own in %s: %s, token %i", (release, name, token) => {
    const machine = boot({ release });
    const { irqs } = nicWith(machine, 2);
    const level = levelOf(machine, irqs[1]!);
    expect(level.domain).toMatchObject({ name, token, isolatedMsi: true });
    expect(level.chip!.name).toBe("INTEL-IR");
    expect(level.hwirq).toBe(1 << 16);
  });

  test("leaves nothing behind", () => {
    const machine = boot();
    const before = { vectors: vectorCounts(machine.k), irqs: machine.k.irqs.descriptors.size };
    const { fn, irqs, remove } = nicWith(machine, 9);
    const places = irqs.map((irq) => irDataOf(levelOf(machine, irq)).irq2iommu.index);
    fn.signal(4);
    settle(machine.k, machine.cpus);
    remove();
    const { iommu } = { iommu: intelRemapping(machine.k).units[0]! };
    expect(iommu.table!.allocated).toBe(0);
    for (const index of places) expect(readEntry(machine.k, iommu, index)).toBe(0n);
    expect(iommu.domain!.mapped).toBe(0);
    expect({ vectors: vectorCounts(machine.k), irqs: machine.k.irqs.descriptors.size }).toEqual(before);
  });

  test("is refused when the table is full, and nothing is kept of it", () => {
    const machine = boot();
    const { table } = intelRemapping(machine.k).units[0]!;
    const before = machine.k.irqs.descriptors.size;
    table!.take(16);
    const { device } = machine.plug(nic, withMsix(2));
    expect(pciAllocIrqVectors(machine.k, device, 2, 2, "msix")).toBeLessThan(0);
    expect(machine.k.irqs.descriptors.size).toBe(before);
    expect(machine.k.log.lines.map(({ text }) => text)).toContain("DMAR-IR: Failed to allocate IRTE");
  });
});

describe("multi-MSI", () => {
  test("has one aligned block, to whose handle the function adds its vector", () => {
    const machine = boot();
    const { k } = machine;
    nicWith(machine, 1);
    const { fn, device } = machine.plug(0x0400, { msi: { vectors: 8 } });
    expect(pciAllocIrqVectors(k, device, 5, 5, "msi")).toBe(5);
    const seen: number[] = [];
    for (let i = 0; i < 5; i++) {
      const handler = (): "handled" => (seen.push(i), "handled");
      requestIrq(k, pciIrqVector(k, device, i), handler, `msi-${i}`, fn);
    }
    const { index, mask } = irDataOf(levelOf(machine, pciIrqVector(k, device, 0))).irq2iommu;
    expect([index % 8, mask]).toEqual([0, 3]);
    for (const vector of [4, 1, 3]) fn.signal(vector);
    settle(k, machine.cpus);
    expect(seen.toSorted(ascending)).toEqual([1, 3, 4]);
    for (let i = 0; i < 5; i++) freeIrq(k, pciIrqVector(k, device, i), fn);
    pciFreeIrqVectors(k, device);
    expect(intelRemapping(k).entries).toBe(1);
  });
});

describe("the source id of an entry", () => {
  test.each<[string, object, { requester?: number; aliases?: number[]; bridgeOwnId?: boolean }]>([
    ["is the function's own", { svt: 1, sq: 0, sid: nic }, {}],
    [
      "is a range of buses behind a bridge that speaks for its bus",
      { svt: 2, sq: 0, sid: 0x0203 },
      { aliases: [0x0200] },
    ],
    [
      "is a bus where ids of one bus stand for the function",
      { svt: 2, sq: 0, sid: 0x0303 },
      { aliases: [0x0301] },
    ],
    [
      "is the bridge's where the bridge puts its own",
      { svt: 1, sq: 0, sid: 0x001c },
      { aliases: [0x001c], bridgeOwnId: true },
    ],
  ])("%s", (_, expected, { aliases = [], bridgeOwnId = false }) => {
    const machine = boot();
    const { device } = machine.plug(nic, withMsix(1));
    Object.assign(device, { aliases: [nic, ...aliases], bridgeOwnId });
    pciAllocIrqVectors(machine.k, device, 1, 1, "msix");
    expect(decode(irteRemapped, entryOf(machine, pciIrqVector(machine.k, device, 0)))).toMatchObject(
      expected,
    );
  });

  test("lets interrupts under a bridge's alias through", () => {
    const machine = boot();
    const { fn, taken } = nicWith(machine, 1, nic, { alias: 0x0200 });
    fn.signal(0);
    settle(machine.k, machine.cpus);
    expect(taken).toHaveLength(1);
  });

  test("is not verified with intremap=nosid: a spoofed interrupt gets through", () => {
    for (const [commandLine, arrived] of [
      ["", 0],
      ["intremap=nosid", 1],
    ] as const) {
      const machine = boot({ commandLine });
      const { irqs, taken } = nicWith(machine, 1);
      const { addressLow, data } = getCachedMsiMsg(machine.k, irqs[0]!)!;
      machine.root.writeDword(0x0500, addressLow, 0, data);
      settle(machine.k, machine.cpus);
      expect(taken).toHaveLength(arrived);
      expect(decode(irteRemapped, entryOf(machine, irqs[0]!))).toMatchObject({
        sid: nic,
        svt: arrived === 1 ? 0 : 1,
      });
    }
  });
});

describe("an interrupt that is posted to a vCPU", () => {
  test("sets the guest's vector in the descriptor, and keeps the source id", () => {
    const machine = boot();
    const { fn, irqs, taken } = nicWith(machine, 1);
    expect(
      irqSetVcpuAffinity(machine.k, irqs[0]!, { vendor: "intel", descriptor: vcpu.a, vector: 0x51 }),
    ).toBe(0);
    fn.signal(0);
    expect(new PostedDescriptor(machine.memory, vcpu.a).read().pir).toBe(1n << 0x51n);
    expect(taken).toEqual([]);
    const entry = entryOf(machine, irqs[0]!);
    expect(decode(irtePosted, entry)).toEqual({
      p: 1,
      fpd: 0,
      avail: 0,
      urg: 0,
      im: 1,
      vv: 0x51,
      pda: vcpu.a,
      sid: nic,
      sq: 0,
      svt: 1,
    });
  });

  test.each(["5.4", "6.12", "7.0"] as const)(
    "of %s stays there when the host moves it, and comes back to where the host wants it",
    (release) => {
      const machine = boot({ release });
      const { k, cpus } = machine;
      const { fn, irqs, taken } = nicWith(machine, 1);
      irqSetVcpuAffinity(k, irqs[0]!, { vendor: "intel", descriptor: vcpu.a, vector: 0x51 });
      const posted = entryOf(machine, irqs[0]!);
      expect(irqSetAffinity(k, irqs[0]!, [2])).toBe(0);
      expect(entryOf(machine, irqs[0]!)).toBe(posted);
      irqSetVcpuAffinity(k, irqs[0]!, null);
      fn.signal(0);
      settle(k, cpus);
      expect(taken).toEqual([{ vector: 0, cpu: 2 }]);
    },
  );

  test("is not anybody's but Intel's", () => {
    const machine = boot();
    const { irqs } = nicWith(machine, 1);
    const info = { vendor: "amd", vapic: 0, gaTag: 0, vector: 1, apicId: 0, gaLogInterrupt: false } as const;
    expect(irqSetVcpuAffinity(machine.k, irqs[0]!, info)).toBeLessThan(0);
  });
});

type Change =
  | { to: "host"; cpu: number }
  | { to: "vcpu"; descriptor: number; vector: number }
  | { to: "back" };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ to: fc.constant("host" as const), cpu: fc.nat({ max: 3 }) }),
  fc.record({
    to: fc.constant("vcpu" as const),
    descriptor: fc.constantFrom(vcpu.a, vcpu.b),
    vector: fc.integer({ min: 0x20, max: 0xff }),
  }),
  fc.record({ to: fc.constant("back" as const) }),
);

describe.each<VtdProfile>([vtdStrict, vtdLineCache, vtdCachingMode, vtdNonCoherent])(
  "under $name",
  (profile) => {
    test("the unit always acts upon the entry as it was changed last", () => {
      const changes = fc.array(fc.tuple(fc.nat({ max: 4 }), change), { maxLength: 25 });
      fc.assert(
        fc.property(changes, (list) => {
          const machine = boot({ profile });
          const { k, cpus, memory } = machine;
          const { fn, irqs, taken, remove } = nicWith(machine, 5);
          const posted = new Map<number, { descriptor: number; vector: number }>();
          for (let vector = 0; vector < 5; vector++) fn.signal(vector);
          settle(k, cpus);
          for (const [vector, one] of list) {
            const irq = irqs[vector]!;
            if (one.to === "host") expect(irqSetAffinity(k, irq, [one.cpu])).toBe(0);
            else if (one.to === "back") {
              expect(irqSetVcpuAffinity(k, irq, null)).toBe(0);
              posted.delete(vector);
            } else {
              expect(irqSetVcpuAffinity(k, irq, { vendor: "intel", ...one })).toBe(0);
              posted.set(vector, one);
            }
            fireTimers(k);
            settle(k, cpus);
            taken.length = 0;
            const target = posted.get(vector);
            const descriptor = new PostedDescriptor(memory, target?.descriptor ?? vcpu.a);
            for (let part = 0; part < 8; part++) descriptor.exchangePir(part);
            descriptor.clearOn();
            fn.signal(vector);
            settle(k, cpus);
            const { cpu } = vectorConfig(levelOf(machine, irq));
            expect(taken).toEqual(target === undefined ? [{ vector, cpu }] : []);
            expect(descriptor.read().pir).toBe(target === undefined ? 0n : 1n << BigInt(target.vector));
          }
          expect(machine.vtd.fault).toBeUndefined();
          for (const irq of irqs) irqSetVcpuAffinity(k, irq, null);
          fireTimers(k);
          settle(k, cpus);
          remove();
          expect(intelRemapping(k).entries).toBe(0);
          expect(machine.violations).toEqual([]);
        }),
        { numRuns: 25 },
      );
    });
  },
);
