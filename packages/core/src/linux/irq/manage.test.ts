import { describe, expect, test } from "vitest";
import { Outcome } from "../../hardware/delivery.ts";
import { errno } from "../errno.ts";
import { pciAllocIrqVectors, pciIrqVector } from "../pci/msi.ts";
import { enableIrX2apic } from "../remapping.ts";
import { type HostOptions, host, settle, withMsix } from "../testbed.ts";
import type { IrqHandler } from "./descriptor.ts";
import {
  disableIrq,
  enableIrq,
  freeIrq,
  irqRetrigger,
  irqSetAffinity,
  irqSetVcpuAffinity,
  requestIrq,
} from "./manage.ts";
import { vectorConfig } from "./vector.ts";

function machine(options: HostOptions = {}) {
  const bed = host({ vendor: "none", ...options });
  if (options.vendor !== undefined) enableIrX2apic(bed.k);
  const { fn, device } = bed.plug(0x0100, withMsix(2));
  pciAllocIrqVectors(bed.k, device, 2, 2, "msix");
  const irq = pciIrqVector(bed.k, device, 0);
  const seen: [irq: number, cpu: number, cookie: unknown][] = [];
  const handler: IrqHandler = (k, which, cookie) => {
    seen.push([which, k.cpu.number, cookie]);
    return "handled";
  };
  return { ...bed, fn, device, irq, seen, handler };
}

describe("requesting an interrupt", () => {
  test("brings it to the handler with its cookie, on the CPU that it is sent to", () => {
    const { k, irq, handler, fn, cpus, seen } = machine();
    const cookie = { name: "mine" };
    expect(requestIrq(k, irq, handler, "test", cookie)).toBe(0);
    fn.signal(0);
    settle(k, cpus);
    expect(seen).toEqual([[irq, 0, cookie]]);
    expect(k.irqs.descriptors.get(irq)!.counts).toEqual([1]);
    expect(k.cpu).toBe(cpus[0]);
  });

  test("is refused where there is none, or it is somebody's already", () => {
    const { k, irq, handler } = machine();
    expect(requestIrq(k, 99, handler, "test", 1)).toBe(-errno.EINVAL);
    expect(requestIrq(k, irq, handler, "test", 1)).toBe(0);
    expect(requestIrq(k, irq, handler, "test", 2)).toBe(-errno.EBUSY);
  });

  test("sends nothing to a handler before it, nor after the interrupt is freed", () => {
    const { k, irq, handler, fn, cpus, seen } = machine();
    fn.signal(0);
    settle(k, cpus);
    expect(seen).toEqual([]);
    requestIrq(k, irq, handler, "test", 1);
    settle(k, cpus);
    // What the device had pending is sent when its vector is unmasked.
    expect(seen).toHaveLength(1);
    expect(freeIrq(k, irq, 1)).toBe("test");
    fn.signal(0);
    settle(k, cpus);
    expect(seen).toHaveLength(1);
    expect(requestIrq(k, irq, handler, "again", 1)).toBe(0);
    settle(k, cpus);
    expect(seen).toHaveLength(2);
  });

  test("cannot be undone with another's cookie", () => {
    const { k, irq, handler } = machine();
    requestIrq(k, irq, handler, "test", 1);
    expect(freeIrq(k, irq, 2)).toBeNull();
    expect(freeIrq(k, 99, 2)).toBeNull();
    expect(k.log.lines.map(({ text }) => text)).toEqual([
      `Trying to free already-free IRQ ${irq}`,
      "Trying to free already-free IRQ 99",
    ]);
    expect(freeIrq(k, irq, 1)).toBe("test");
  });
});

describe("disabling an interrupt", () => {
  test("holds it back at the device, and enabling it lets it through", () => {
    const { k, irq, handler, fn, cpus, seen } = machine();
    requestIrq(k, irq, handler, "test", 1);
    disableIrq(k, irq);
    fn.signal(0);
    settle(k, cpus);
    expect(seen).toEqual([]);
    enableIrq(k, irq);
    settle(k, cpus);
    expect(seen).toHaveLength(1);
  });

  test("remembers what was on its way", () => {
    const { k, irq, handler, fn, cpus, seen } = machine();
    requestIrq(k, irq, handler, "test", 1);
    fn.signal(0);
    disableIrq(k, irq);
    settle(k, cpus);
    expect(seen).toEqual([]);
    enableIrq(k, irq);
    settle(k, cpus);
    expect(seen).toHaveLength(1);
  });

  test("of none does nothing", () => {
    const { k } = machine();
    disableIrq(k, 99);
    enableIrq(k, 99);
    expect(k.log.lines).toEqual([]);
  });
});

describe("retriggering", () => {
  test("sends an interrupt to where it would have arrived", () => {
    const { k, irq, handler, cpus, seen } = machine();
    requestIrq(k, irq, handler, "test", 1);
    irqSetAffinity(k, irq, [2]);
    expect(irqRetrigger(k, irq)).toBe(true);
    settle(k, cpus);
    expect(seen).toEqual([[irq, 2, 1]]);
    expect(irqRetrigger(k, 99)).toBe(false);
  });
});

describe("an affinity", () => {
  test("that is set before the interrupt is requested is kept for then", () => {
    const { k, irq, handler, fn, cpus, seen } = machine();
    expect(irqSetAffinity(k, irq, [3])).toBe(0);
    requestIrq(k, irq, handler, "test", 1);
    fn.signal(0);
    settle(k, cpus);
    expect(seen).toEqual([[irq, 3, 1]]);
    expect(k.irqs.descriptors.get(irq)!.common).toMatchObject({ affinity: [3], effective: [3] });
  });

  test("has to name a CPU that is there, of an interrupt that is", () => {
    const { k, irq, handler, cpus } = machine();
    requestIrq(k, irq, handler, "test", 1);
    cpus[2]!.online = false;
    for (const mask of [[], [2], [9]]) expect(irqSetAffinity(k, irq, mask)).toBe(-errno.EINVAL);
    expect(irqSetAffinity(k, 99, [0])).toBe(-errno.EINVAL);
    expect(irqSetAffinity(k, irq, [2, 3])).toBe(0);
    expect(vectorConfig(k.irqs.descriptors.get(irq)!.data).cpu).toBe(3);
  });

  test.each(["none", "intel", "amd"] as const)(
    "rewrites the device's message only without remapping: %s",
    (vendor) => {
      const { k, irq, handler, fn, cpus, seen } = machine({ vendor });
      requestIrq(k, irq, handler, "test", 1);
      const entry = (): number[] => [0, 4, 8].map((offset) => fn.readBar(0, offset, 4));
      const before = entry();
      const { cpu } = vectorConfig(k.irqs.descriptors.get(irq)!.data);
      irqSetAffinity(k, irq, [(cpu + 1) % 4]);
      if (vendor === "none") expect(entry()).not.toEqual(before);
      else expect(entry()).toEqual(before);
      fn.signal(0);
      settle(k, cpus);
      expect(seen.map(([, on]) => on)).toEqual([(cpu + 1) % 4]);
    },
  );
});

describe("posting to a vCPU", () => {
  test("is not possible where no level can", () => {
    const { k, irq } = machine();
    expect(irqSetVcpuAffinity(k, irq, null)).toBe(-errno.ENOSYS);
    expect(irqSetVcpuAffinity(k, 99, null)).toBe(-errno.ENOSYS);
  });

  test("reaches the remapping level", () => {
    const { k, irq, handler, fn, memory, vtd } = machine({ vendor: "intel" });
    requestIrq(k, irq, handler, "test", 1);
    const descriptor = 0x2000_0000;
    expect(irqSetVcpuAffinity(k, irq, { vendor: "intel", descriptor, vector: 0x41 })).toBe(0);
    const [low, high, data] = [0, 4, 8].map((offset) => fn.readBar(0, offset, 4) | 0);
    expect(vtd.interrupt(low!, data!, 0x0100)).toBe(Outcome.posted);
    expect(high).toBe(0);
    expect(memory.read32(descriptor + 8)).toBe(1 << (0x41 & 31));
    expect(irqSetVcpuAffinity(k, irq, null)).toBe(0);
    expect(vtd.interrupt(low!, data!, 0x0100)).toBe(Outcome.remapped);
  });
});
