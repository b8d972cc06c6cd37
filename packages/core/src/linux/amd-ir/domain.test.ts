import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FunctionSymbol } from "../../hardware/call-stack.ts";
import { Outcome } from "../../hardware/delivery.ts";
import { type AmdviProfile, amdviStrict } from "../../hardware/amdvi/profile.ts";
import { dte } from "../../spec/amdvi/dte.ts";
import { irte32, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { extendedFeature } from "../../spec/amdvi/registers.ts";
import { decode, encode, fromWords } from "../../spec/codec.ts";
import type { AllocInfo } from "../irq/domain.ts";
import { dataAt, irqDomainAllocIrqs, irqDomainFreeIrqs } from "../irq/hierarchy.ts";
import { freeIrq, irqSetAffinity, requestIrq } from "../irq/manage.ts";
import { fireTimers } from "../irq/vector-cleanup.ts";
import { vectorConfig, vectorCounts } from "../irq/vector.ts";
import type { Kernel, Release } from "../kernel.ts";
import { pciAllocIrqVectors, pciFreeIrqVectors, pciIrqVector } from "../pci/msi.ts";
import { enableIrX2apic } from "../remapping.ts";
import { type HostOptions, host, settle, withMsix } from "../testbed.ts";
import { irDataOf } from "./chip.ts";
import { amdRemapping } from "./remapping.ts";

const releases: readonly Release[] = ["5.4", "6.12", "7.0"];

/** Entries of 32 bits. */
const legacy: AmdviProfile = {
  ...amdviStrict,
  efr: encode(extendedFeature, { ...decode(extendedFeature, amdviStrict.efr), gasup: 0 }),
};

const nic = 0x0100;

function boot(options: HostOptions = {}) {
  const machine = host({ vendor: "amd", ...options });
  const { k } = machine;
  enableIrX2apic(k);
  const remapping = amdRemapping(k);
  const domain = remapping.iommus[0]!.domain!;
  const nicPlugged = machine.plug(nic, withMsix(16));
  const tableOf = (devid: number) => remapping.segments[0]!.irqTables.get(devid);
  return {
    ...machine,
    remapping,
    domain,
    nic: nicPlugged,
    tableOf,
    /** An entry as it stands in memory. */
    entry: (devid: number, index: number): bigint => {
      const table = tableOf(devid)!;
      const words = new Int32Array(table.entryBytes / 4);
      k.memory.readWords(table.addressOf(index), words);
      return fromWords(words, 0, 8 * table.entryBytes);
    },
    deviceEntry: (devid: number) => {
      const words = new Int32Array(8);
      k.memory.readWords(remapping.segments[0]!.deviceTable + 32 * devid, words);
      return decode(dte, fromWords(words, 0, 256));
    },
  };
}

/** What the unit and the CPUs make of an interrupt's message: the Linux irqs whose handlers ran. */
function arrive(machine: ReturnType<typeof boot>, irq: number, requester = nic): number[] {
  const { k, domain, amdvi, cpus } = machine;
  const ran: number[] = [];
  machine.k.log.onLine = ({ text }) => ran.push(text.startsWith("irq ") ? Number(text.slice(4)) : -1);
  const { message } = irDataOf(dataAt(k, irq, domain));
  amdvi.interrupt(message.addressLow, message.data, requester);
  settle(k, cpus);
  machine.k.log.onLine = null;
  return ran;
}

const handler = (k: Kernel, irq: number): "handled" => {
  k.log.info(`irq ${irq}`);
  return "handled";
};

describe("the domain", () => {
  test.each(releases)("of %s is AMD-IR-0, and its interrupts are isolated", (release) => {
    const { domain } = boot({ release });
    expect(domain).toMatchObject({
      name: "AMD-IR-0",
      token: 14,
      isolatedMsi: true,
      parent: { name: "VECTOR" },
    });
  });

  test("has the DeviceID and the place in the allocation as hwirq, and the index in the message", () => {
    const machine = boot();
    expect(pciAllocIrqVectors(machine.k, machine.nic.device, 3, 3, "msix")).toBe(3);
    const levels = [0, 1, 2].map((i) =>
      dataAt(machine.k, pciIrqVector(machine.k, machine.nic.device, i), machine.domain),
    );
    expect(levels.map(({ hwirq }) => hwirq)).toEqual([0x1000000, 0x1000000, 0x1000000]);
    expect(levels.map((data) => irDataOf(data).message)).toEqual(
      [0, 1, 2].map((data) => ({ addressLow: 0xfee00004 | 0, addressHigh: 0, data })),
    );
    expect(levels.map(({ chip }) => chip!.name)).toEqual(["AMD-IR", "AMD-IR", "AMD-IR"]);
  });

  test.each([
    ["5.4", 0xfee00000 | 0, 512],
    ["6.12", 0xfee00000 | 0, 512],
    ["7.0", 0xfee00004 | 0, 2048],
  ] as const)("of %s writes messages to %i, for tables of %i entries", (release, address, entries) => {
    const machine = boot({ release });
    pciAllocIrqVectors(machine.k, machine.nic.device, 1, 1, "msix");
    const irq = pciIrqVector(machine.k, machine.nic.device, 0);
    expect(irDataOf(dataAt(machine.k, irq, machine.domain)).message.addressLow).toBe(address);
    expect(machine.deviceEntry(nic)).toMatchObject({
      iv: 1,
      intctl: 2,
      inttablen: Math.log2(entries),
      inttableptr: machine.tableOf(nic)!.address,
    });
  });

  test("marks an entry while it is only allocated: FFh, or all bits but RemapEn", () => {
    const wide = boot();
    const info: AllocInfo = { kind: "msix", device: wide.nic.device, segment: 0, hwirq: 0 };
    irqDomainAllocIrqs(wide.k, wide.domain, 1, info);
    expect(wide.entry(nic, 0)).toBe(0xffn << 64n);
    const narrow = boot({ amdviProfile: legacy });
    irqDomainAllocIrqs(narrow.k, narrow.domain, 1, { ...info, device: narrow.nic.device });
    expect(narrow.entry(nic, 0)).toBe(0xffff_fffen);
  });

  test("gives an I/O APIC's pins the entries of their numbers, and nobody else the first 32", () => {
    const machine = boot();
    const irq = irqDomainAllocIrqs(machine.k, machine.domain, 1, {
      kind: "ioapic",
      id: 2,
      pin: 9,
      level: false,
    });
    const data = dataAt(machine.k, irq, machine.domain);
    expect([data.hwirq, irDataOf(data).index]).toEqual([0xa00000, 9]);
    expect(machine.tableOf(0x00a0)).toMatchObject({ minIndex: 32, entries: 512, allocated: 1 });
    const other = machine.plug(0x00a0, withMsix(1));
    pciAllocIrqVectors(machine.k, other.device, 1, 1, "msix");
    const next = dataAt(machine.k, pciIrqVector(machine.k, other.device, 0), machine.domain);
    expect(irDataOf(next).index).toBe(32);
  });

  test("refuses blocks of anything but MSI, and devices that no unit remaps", () => {
    const { k, domain, nic: plugged } = boot();
    const info: AllocInfo = { kind: "msix", device: plugged.device, segment: 0, hwirq: 0 };
    expect(irqDomainAllocIrqs(k, domain, 2, info)).toBe(-22);
    expect(irqDomainAllocIrqs(k, domain, 1, { ...info, segment: 1 })).toBe(-22);
    expect(irqDomainAllocIrqs(k, domain, 1, { kind: "hpet", id: 0, comparator: 0 })).toBe(-22);
    expect(vectorCounts(k).reserved).toBe(0);
  });

  test("says so when a table is full, and gives the vectors back", () => {
    const { k, domain, nic: plugged, remapping } = boot({ release: "6.12" });
    const info: AllocInfo = { kind: "msix", device: plugged.device, segment: 0, hwirq: 0 };
    const irqs = Array.from({ length: 512 }, () => irqDomainAllocIrqs(k, domain, 1, info));
    expect(Math.min(...irqs)).toBeGreaterThan(0);
    const reserved = vectorCounts(k).reserved;
    expect(irqDomainAllocIrqs(k, domain, 1, info)).toBe(-28);
    expect(k.log.lines.at(-1)).toEqual({ level: "warn", text: "AMD-Vi: Failed to allocate IRTE" });
    expect([vectorCounts(k).reserved, remapping.allocatedEntries]).toEqual([reserved, 512]);
  });
});

describe.each(releases)("an interrupt of %s", (release) => {
  describe.each([
    ["128", amdviStrict],
    ["32", legacy],
  ])("with entries of %s bits", (bits, amdviProfile) => {
    const layout = bits === "32" ? irte32 : irteRemapped128;

    function requested() {
      const machine = boot({ release, amdviProfile });
      pciAllocIrqVectors(machine.k, machine.nic.device, 1, 1, "msix");
      const irq = pciIrqVector(machine.k, machine.nic.device, 0);
      expect(requestIrq(machine.k, irq, handler, "nic", nic)).toBe(0);
      return { ...machine, irq };
    }

    test("comes to the CPU that VECTOR has chosen", () => {
      const machine = requested();
      const { vector, destination } = vectorConfig(dataAt(machine.k, machine.irq, machine.domain));
      expect(decode(layout, machine.entry(nic, 0))).toMatchObject({
        remapen: 1,
        supiopf: 0,
        inttype: 0,
        rqeoi: 0,
        dest: destination,
        vector,
      });
      expect(arrive(machine, machine.irq)).toEqual([machine.irq]);
    });

    test("comes to a new CPU after each move, although the unit keeps entries", () => {
      const machine = requested();
      for (const cpu of [3, 1, 2, 0]) {
        arrive(machine, machine.irq);
        fireTimers(machine.k);
        settle(machine.k, machine.cpus);
        expect(irqSetAffinity(machine.k, machine.irq, [cpu])).toBe(0);
        const before = machine.k.irqs.descriptors.get(machine.irq)!.counts[cpu] ?? 0;
        expect(arrive(machine, machine.irq)).toEqual([machine.irq]);
        expect(machine.k.irqs.descriptors.get(machine.irq)!.counts[cpu]).toBe(before + 1);
      }
    });

    test("is blocked from the moment it is given up, and its entry is zero once it is freed", () => {
      const machine = requested();
      const { message } = irDataOf(dataAt(machine.k, machine.irq, machine.domain));
      const send = () => machine.amdvi.interrupt(message.addressLow, message.data, nic);
      expect(send()).toBe(Outcome.remapped);
      settle(machine.k, machine.cpus);
      freeIrq(machine.k, machine.irq, nic);
      expect(decode(layout, machine.entry(nic, 0))).toMatchObject({ remapen: 0 });
      expect(send()).toBe(Outcome.blocked);
      pciFreeIrqVectors(machine.k, machine.nic.device);
      expect(machine.entry(nic, 0)).toBe(0n);
      expect(send()).toBe(Outcome.blocked);
      expect(machine.remapping.allocatedEntries).toBe(0);
      expect(machine.domain.mapped).toBe(0);
    });
  });
});

describe("allocation", () => {
  const step = fc.record({
    device: fc.integer({ min: 0, max: 3 }),
    log: fc.integer({ min: 0, max: 5 }),
    free: fc.boolean(),
  });

  test.each([
    ["7.0", amdviStrict],
    ["6.12", legacy],
  ] as const)(
    "in %s never gives an entry twice, aligns blocks, and leaves nothing behind",
    (release, amdviProfile) => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
          const machine = boot({ release, amdviProfile });
          const devices = [0x0100, 0x0101, 0x0200, 0x0208].map((requester) => machine.plug(requester).device);
          const held: { irq: number; count: number; devid: number; first: number }[] = [];
          for (const { device, log, free } of steps) {
            const victim = free ? held.shift() : undefined;
            if (victim !== undefined) irqDomainFreeIrqs(machine.k, victim.irq, victim.count);
            const one = devices[device]!;
            const count = 2 ** log;
            const info: AllocInfo = { kind: "msi", device: one, segment: 0, hwirq: 0 };
            const irq = irqDomainAllocIrqs(machine.k, machine.domain, count, info);
            expect(irq).toBeGreaterThan(0);
            const irs = Array.from({ length: count }, (_, i) =>
              irDataOf(dataAt(machine.k, irq + i, machine.domain)),
            );
            const first = irs[0]!.index;
            expect(first % count).toBe(0);
            expect(irs.map(({ index }) => index)).toEqual(irs.map((_, i) => first + i));
            for (const other of held) {
              if (other.devid !== one.requester) continue;
              expect(first + count <= other.first || other.first + other.count <= first).toBe(true);
            }
            held.push({ irq, count, devid: one.requester, first });
            expect(machine.remapping.allocatedEntries).toBe(held.reduce((sum, { count: n }) => sum + n, 0));
          }
          for (const { irq, count } of held) irqDomainFreeIrqs(machine.k, irq, count);
          expect(machine.remapping.allocatedEntries).toBe(0);
          expect([machine.domain.mapped, vectorCounts(machine.k).reserved]).toEqual([0, 0]);
        }),
        { numRuns: 15 },
      );
    },
  );
});

describe("a device behind a bridge", () => {
  const bridge = 0x0300;
  const behind = 0x0308;

  function bridged(release: Release) {
    const machine = boot({ release });
    const device = machine.plug(behind, { ...withMsix(1), alias: bridge }).device;
    pciAllocIrqVectors(machine.k, device, 1, 1, "msix");
    const irq = pciIrqVector(machine.k, device, 0);
    requestIrq(machine.k, irq, handler, "old", machine);
    return { ...machine, device, irq };
  }

  test.each(releases)("shares its table with the id that its requests carry, in %s", (release) => {
    const machine = bridged(release);
    expect(machine.tableOf(bridge)).toBe(machine.tableOf(behind));
    expect(machine.deviceEntry(bridge)).toMatchObject({ iv: 1, intctl: 2 });
    expect(arrive(machine, machine.irq, bridge)).toEqual([machine.irq]);
    expect(arrive(machine, machine.irq, behind)).toEqual([machine.irq]);
  });

  test("shares it with its neighbours too, and their indexes", () => {
    const machine = bridged("7.0");
    const neighbour = machine.plug(0x0310, { ...withMsix(1), alias: bridge }).device;
    pciAllocIrqVectors(machine.k, neighbour, 1, 1, "msix");
    expect(machine.tableOf(0x0310)).toBe(machine.tableOf(bridge));
    const data = dataAt(machine.k, pciIrqVector(machine.k, neighbour, 0), machine.domain);
    expect(irDataOf(data).index).toBe(1);
  });

  test("in 7.0 is followed under its alias too, before it is not", () => {
    const newest = bridged("7.0");
    arrive(newest, newest.irq, bridge);
    irqSetAffinity(newest.k, newest.irq, [3]);
    arrive(newest, newest.irq, bridge);
    expect(newest.k.irqs.descriptors.get(newest.irq)!.counts[3]).toBe(1);
    const older = bridged("6.12");
    arrive(older, older.irq, bridge);
    irqSetAffinity(older.k, older.irq, [3]);
    arrive(older, older.irq, bridge);
    expect(older.k.irqs.descriptors.get(older.irq)!.counts[3]).toBeUndefined();
  });
});

function stacksOf(release: Release, symbol: string): string[][] {
  const machine = boot({ release });
  pciAllocIrqVectors(machine.k, machine.nic.device, 1, 1, "msix");
  const irq = pciIrqVector(machine.k, machine.nic.device, 0);
  const stacks: string[][] = [];
  machine.k.calls.listener = {
    entered: ({ name }: FunctionSymbol) => {
      if (name === symbol) stacks.push(machine.k.calls.frames("kernel"));
    },
    left: () => {},
  };
  requestIrq(machine.k, irq, handler, "nic", nic);
  irqSetAffinity(machine.k, irq, [3]);
  machine.k.calls.listener = null;
  return stacks;
}

describe("the stack", () => {
  test("of 5.4 is the one that was seen", () => {
    const [activate, update] = stacksOf("5.4", "modify_irte_ga");
    expect(activate).toEqual([
      "modify_irte_ga",
      "irq_remapping_activate",
      "__irq_domain_activate_irq",
      "__irq_domain_activate_irq",
      "irq_domain_activate_irq",
      "__setup_irq",
      "request_threaded_irq",
    ]);
    expect(update).toEqual(activate);
  });

  test("of 6.12 has the update apart, as it was seen when an interrupt moved", () => {
    const moved = stacksOf("6.12", "__modify_irte_ga").at(-1)!;
    expect(moved.slice(0, 4)).toEqual([
      "__modify_irte_ga",
      "irte_ga_set_affinity",
      "amd_ir_set_affinity",
      "msi_domain_set_affinity",
    ]);
  });
});
