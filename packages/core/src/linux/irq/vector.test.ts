import { array, assert, constantFrom, integer, property, record, subarray } from "fast-check";
import { describe, expect, test } from "vitest";
import { errno } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { pciAllocIrqVectors, pciFreeIrqVectors, pciIrqVector } from "../pci/msi.ts";
import { enableIrX2apic } from "../remapping.ts";
import { type HostOptions, host, settle, withMsix } from "../testbed.ts";
import { freeIrq, irqSetAffinity, requestIrq } from "./manage.ts";
import { fireTimers } from "./vector-cleanup.ts";
import { chipDataOf } from "./vector-state.ts";
import { apicDriver, vectorConfig, vectorCounts } from "./vector.ts";

const placeholder = 0xef;

/** A host with one function whose MSI-X vectors are all allocated; remapped where `vendor` is not `none`. */
function machine(vectors: number, options: HostOptions = {}) {
  const bed = host({ vendor: "none", ...options });
  if (options.vendor !== undefined) enableIrX2apic(bed.k);
  const { fn, device } = bed.plug(0x0100, withMsix(vectors));
  const before = vectorCounts(bed.k);
  expect(pciAllocIrqVectors(bed.k, device, vectors, vectors, "msix")).toBe(vectors);
  const taken: [irq: number, cpu: number][] = [];
  const irqs = Array.from({ length: vectors }, (_, i) => pciIrqVector(bed.k, device, i));
  const request = (irq: number): number =>
    requestIrq(
      bed.k,
      irq,
      (k, which) => {
        taken.push([which, k.cpu.number]);
        return "handled";
      },
      "test",
      device,
    );
  return { ...bed, fn, device, before, taken, irqs, request };
}

function configOf(k: Kernel, irq: number) {
  return vectorConfig(k.irqs.descriptors.get(irq)!.data);
}

function chipOf(k: Kernel, irq: number) {
  return chipDataOf(k.irqs.descriptors.get(irq)!.data);
}

describe("the VECTOR domain", () => {
  test("reserves for what is allocated, with the placeholder for a vector, and takes a vector when it is requested", () => {
    const { k, irqs, request, before } = machine(2);
    expect(vectorCounts(k)).toEqual({ ...before, reserved: 2 });
    expect(configOf(k, irqs[0]!)).toEqual({ vector: placeholder, destination: 0, cpu: 0 });
    expect(request(irqs[0]!)).toBe(0);
    expect(vectorCounts(k)).toEqual({ available: before.available - 1, reserved: 1, allocated: 1 });
    expect(configOf(k, irqs[0]!)).toEqual({ vector: 0x20, destination: 0, cpu: 0 });
  });

  test("spreads interrupts over the CPUs", () => {
    const { k, irqs, request } = machine(6);
    for (const irq of irqs) request(irq);
    expect(irqs.map((irq) => configOf(k, irq).cpu)).toEqual([0, 1, 2, 3, 0, 1]);
    expect(irqs.map((irq) => configOf(k, irq).vector)).toEqual([0x20, 0x20, 0x20, 0x20, 0x21, 0x21]);
  });

  test.each([
    ["5.4", 0x21],
    ["6.12", 0x20],
    ["7.0", 0x20],
  ] as const)("of %s gives %i first", (release, vector) => {
    const { k, irqs, request } = machine(1, { release });
    request(irqs[0]!);
    expect(configOf(k, irqs[0]!).vector).toBe(vector);
  });

  test.each([
    // 20h is the cleanup's, 80h the system call's, and from ech on all are the system's.
    ["5.4", 0xec - 0x21 - 1],
    ["6.12", 0xeb - 0x20 - 1],
  ] as const)("of %s has %i vectors a CPU, and then none", (release, most) => {
    const { k, irqs, request, device, before } = machine(most + 1, { release, cpus: 1 });
    const results = irqs.map(request);
    expect(results.slice(0, most).every((result) => result === 0)).toBe(true);
    expect(results[most]).toBe(-errno.ENOSPC);
    expect(vectorCounts(k)).toEqual({ available: 0, reserved: 1, allocated: most });
    for (const irq of irqs.slice(0, most)) freeIrq(k, irq, device);
    pciFreeIrqVectors(k, device);
    expect(vectorCounts(k)).toEqual(before);
  });

  test("breaks an affinity rather than refuse a vector", () => {
    const most = 0xeb - 0x20 - 1;
    const { k, irqs, request } = machine(most + 1, { cpus: 2 });
    for (const irq of irqs) {
      irqSetAffinity(k, irq, [0]);
      expect(request(irq)).toBe(0);
    }
    expect(configOf(k, irqs[most]!).cpu).toBe(1);
    expect(k.log.lines.map(({ text }) => text)).toEqual([
      `irq ${irqs[most]!}: Affinity broken due to vector space exhaustion.`,
    ]);
  });

  test("goes back to a reservation when the interrupt is given up", () => {
    const { k, irqs, request, device, before } = machine(1);
    request(irqs[0]!);
    freeIrq(k, irqs[0]!, device);
    expect(vectorCounts(k)).toEqual({ ...before, reserved: 1 });
    expect(configOf(k, irqs[0]!).vector).toBe(placeholder);
    expect(k.irqs.vectors!.table.flat().every((descriptor) => descriptor === null)).toBe(true);
  });
});

describe("a move to another CPU", () => {
  const remapped = [
    ["intel", "6.12"],
    ["amd", "5.4"],
    ["none", "5.4"],
    ["none", "7.0"],
  ] as const;

  test.each(remapped)(
    "on %s with %s keeps the old vector until nothing can arrive there",
    (vendor, release) => {
      const { k, irqs, request, fn, cpus, taken } = machine(1, { vendor, release });
      const irq = irqs[0]!;
      request(irq);
      const { vector, cpu } = { ...configOf(k, irq) };
      const target = (cpu + 2) % 4;
      const { allocated } = vectorCounts(k);
      // Sent to the old place before the move, taken there after it.
      fn.signal(0);
      expect(irqSetAffinity(k, irq, [target])).toBe(0);
      expect(configOf(k, irq).cpu).toBe(target);
      expect(vectorCounts(k).allocated).toBe(allocated + 1);
      expect(chipOf(k, irq)).toMatchObject({ previousVector: vector, previousCpu: cpu });
      settle(k, cpus);
      fn.signal(0);
      settle(k, cpus);
      fireTimers(k);
      settle(k, cpus);
      expect(taken).toEqual([
        [irq, cpu],
        [irq, target],
      ]);
      expect(vectorCounts(k).allocated).toBe(allocated);
      expect(chipOf(k, irq)).toMatchObject({ previousVector: 0, moveInProgress: false, queued: false });
      expect(irqSetAffinity(k, irq, [cpu])).toBe(0);
      expect(k.log.lines.filter(({ text }) => text.includes("No irq handler"))).toEqual([]);
    },
  );

  test.each(remapped)(
    "on %s with %s is remembered while one before is not over, and made when the interrupt comes",
    (vendor, release) => {
      const { k, irqs, request, fn, cpus, taken } = machine(1, { vendor, release });
      const irq = irqs[0]!;
      request(irq);
      const { cpu } = { ...configOf(k, irq) };
      fn.signal(0);
      expect(irqSetAffinity(k, irq, [(cpu + 2) % 4])).toBe(0);
      expect(irqSetAffinity(k, irq, [(cpu + 1) % 4])).toBe(0);
      expect(configOf(k, irq).cpu).toBe((cpu + 2) % 4);
      for (let round = 0; round < 3; round++) {
        settle(k, cpus);
        fireTimers(k);
        settle(k, cpus);
        fn.signal(0);
      }
      settle(k, cpus);
      expect(configOf(k, irq).cpu).toBe((cpu + 1) % 4);
      expect(taken.at(-1)).toEqual([irq, (cpu + 1) % 4]);
      expect(taken).toHaveLength(4);
    },
  );

  test("leaves a vector alone whose interrupt still waits in IRR", () => {
    const { k, irqs, request, fn, cpus } = machine(1, { vendor: "intel" });
    request(irqs[0]!);
    const before = cpus[configOf(k, irqs[0]!).cpu]!.localApic;
    fn.signal(0);
    irqSetAffinity(k, irqs[0]!, [3]);
    const { allocated } = vectorCounts(k);
    expect(fireTimers(k)).toBe(1);
    // The timer's vector is higher: it is taken while the interrupt waits.
    expect(before.pending()).toBe(0xec);
    settle(k, cpus);
    expect(vectorCounts(k).allocated).toBe(allocated);
    expect(fireTimers(k)).toBe(1);
    settle(k, cpus);
    expect(vectorCounts(k).allocated).toBe(allocated - 1);
    expect(fireTimers(k)).toBe(0);
  });

  test("is no move where the CPU is among those that it may go to", () => {
    const { k, irqs, request } = machine(1);
    request(irqs[0]!);
    const before = { ...configOf(k, irqs[0]!) };
    expect(irqSetAffinity(k, irqs[0]!, [0, 3])).toBe(0);
    expect(configOf(k, irqs[0]!)).toEqual(before);
  });

  test("frees the vector of a CPU that is gone at once", () => {
    const { k, irqs, request, cpus } = machine(1, { vendor: "intel" });
    request(irqs[0]!);
    const { allocated } = vectorCounts(k);
    cpus[configOf(k, irqs[0]!).cpu]!.online = false;
    expect(irqSetAffinity(k, irqs[0]!, [3])).toBe(0);
    expect(vectorCounts(k).allocated).toBe(allocated);
    expect(chipOf(k, irqs[0]!).previousVector).toBe(0);
  });

  test("that is not over does not outlive the interrupt", () => {
    const { k, irqs, request, device, before } = machine(1, { vendor: "intel" });
    request(irqs[0]!);
    irqSetAffinity(k, irqs[0]!, [3]);
    freeIrq(k, irqs[0]!, device);
    pciFreeIrqVectors(k, device);
    expect(vectorCounts(k)).toEqual(before);
    expect(fireTimers(k)).toBe(0);
  });

  test("loses nothing and leaks nothing, whatever is requested, moved, raised and freed", () => {
    const action = constantFrom("request", "free", "move", "raise", "raise late", "time");
    const step = record({
      action,
      which: integer({ min: 0, max: 3 }),
      cpus: subarray([0, 1, 2, 3], { minLength: 1 }),
    });
    const hosts = constantFrom<HostOptions>(
      { vendor: "none", release: "5.4" },
      { vendor: "none", release: "7.0" },
      { vendor: "intel", release: "6.12" },
      { vendor: "amd", release: "5.4" },
    );
    assert(
      property(hosts, array(step, { maxLength: 30 }), (options, steps) => {
        const { k, irqs, request, fn, device, cpus, taken, before } = machine(4, options);
        const requested = new Set<number>();
        let raised = 0;
        for (const { action, which, cpus: mask } of steps) {
          const irq = irqs[which]!;
          if (action === "request" && !requested.has(irq)) {
            expect(request(irq)).toBe(0);
            requested.add(irq);
          } else if (action === "free" && requested.delete(irq)) {
            settle(k, cpus);
            freeIrq(k, irq, device);
          } else if (action === "move") {
            irqSetAffinity(k, irq, mask);
          } else if (action === "raise" && requested.has(irq)) {
            settle(k, cpus);
            fn.signal(which);
            raised++;
            settle(k, cpus);
          } else if (action === "raise late" && requested.has(irq)) {
            settle(k, cpus);
            fn.signal(which);
            raised++;
          } else if (action === "time") {
            fireTimers(k);
            settle(k, cpus);
          }
        }
        settle(k, cpus);
        expect(taken).toHaveLength(raised);
        for (const irq of requested) freeIrq(k, irq, device);
        pciFreeIrqVectors(k, device);
        expect(vectorCounts(k)).toEqual(before);
        expect(k.irqs.vectors!.cleanup.every((queue) => queue.size === 0)).toBe(true);
        expect(k.log.lines.filter(({ text }) => text.includes("handler for"))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe("the APIC driver", () => {
  test.each([
    [{ vendor: "intel" }, "cluster x2apic", true, 0x1_0002],
    [{ vendor: "intel", commandLine: "x2apic_phys" }, "physical x2apic", false, 17],
    [{ vendor: "none", firmware: { x2apic: false } }, "physical flat", false, 17],
    [{ vendor: "none", firmware: { hypervisor: true } }, "physical x2apic", false, 17],
  ] as const)("on %o is %s", (options, name, logical, destination) => {
    const { k } = host({ ...options, cpus: 18 });
    enableIrX2apic(k);
    const driver = apicDriver(k);
    expect([driver.name, driver.logical, driver.destinationOf(17)]).toEqual([name, logical, destination]);
  });
});
