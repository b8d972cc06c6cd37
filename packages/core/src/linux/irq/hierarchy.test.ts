import { describe, expect, test } from "vitest";
import { errno } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { host } from "../testbed.ts";
import type { IrqChip } from "./chip.ts";
import type { AllocInfo, IrqDomain, IrqDomainOps } from "./domain.ts";
import {
  dataAt,
  firstDynamicIrq,
  irqDomainActivateIrq,
  irqDomainAdd,
  irqDomainAllocIrqs,
  irqDomainAllocIrqsParent,
  irqDomainDeactivateIrq,
  irqDomainFreeIrqs,
  irqDomainFreeIrqsCommon,
  irqDomainRemove,
  irqDomainSetHwirqAndChip,
} from "./hierarchy.ts";
import { vectorCounts, vectorDomain } from "./vector.ts";

const info: AllocInfo = { kind: "vector" };
const chip: IrqChip = { name: "TEST" };

/** A level that notes what it is asked to do; `fail` makes it refuse. */
function level(name: string, seen: string[], fail: { alloc?: number; activate?: number } = {}): IrqDomainOps {
  return {
    alloc(k, domain, virq, count, info) {
      if (fail.alloc !== undefined) return fail.alloc;
      const result = irqDomainAllocIrqsParent(k, domain, virq, count, info);
      for (let i = 0; i < count; i++) irqDomainSetHwirqAndChip(k, domain, virq + i, i, chip);
      seen.push(`${name} alloc`);
      return result;
    },
    free(k, domain, virq, count) {
      seen.push(`${name} free`);
      irqDomainFreeIrqsCommon(k, domain, virq, count);
    },
    activate(_k, _domain, _data, reserve) {
      seen.push(`${name} activate${reserve ? " reserved" : ""}`);
      return fail.activate ?? 0;
    },
    deactivate() {
      seen.push(`${name} deactivate`);
    },
  };
}

function stack(options: { middle?: { alloc?: number }; top?: { activate?: number } } = {}) {
  const { k } = host({ vendor: "none" });
  const seen: string[] = [];
  const middle = irqDomainAdd(k, {
    name: "MIDDLE",
    ops: level("middle", seen, options.middle),
    parent: vectorDomain(k),
  });
  const top = irqDomainAdd(k, { name: "TOP", ops: level("top", seen, options.top), parent: middle });
  return { k, seen, middle, top };
}

function mapped(k: Kernel): number[] {
  return k.irqs.domains.map((domain) => domain.mapped);
}

function allocate(k: Kernel, domain: IrqDomain, count = 1): number {
  const irq = irqDomainAllocIrqs(k, domain, count, info);
  expect(irq).toBeGreaterThan(0);
  return irq;
}

describe("the domain hierarchy", () => {
  test("numbers interrupts from behind the I/O APIC's pins, the first that are free in a row", () => {
    const { k, top } = stack();
    expect(allocate(k, top, 2)).toBe(firstDynamicIrq);
    expect(allocate(k, top)).toBe(firstDynamicIrq + 2);
    irqDomainFreeIrqs(k, firstDynamicIrq, 2);
    expect(allocate(k, top, 3)).toBe(firstDynamicIrq + 3);
    expect(allocate(k, top, 2)).toBe(firstDynamicIrq);
  });

  test("gives a number that is asked for, unless it is taken", () => {
    const { k, top } = stack();
    expect(irqDomainAllocIrqs(k, top, 1, info, 9)).toBe(9);
    expect(irqDomainAllocIrqs(k, top, 1, info, 9)).toBe(-errno.EEXIST);
    expect(mapped(k)).toEqual([1, 1, 1]);
  });

  test("has a level for every domain, each with its own hwirq, and VECTOR's is the Linux number", () => {
    const { k, top, middle } = stack();
    const irq = allocate(k, top, 2) + 1;
    expect(dataAt(k, irq, top).parent).toBe(dataAt(k, irq, middle));
    expect(dataAt(k, irq, middle).hwirq).toBe(1);
    expect(dataAt(k, irq, vectorDomain(k))).toMatchObject({
      hwirq: irq,
      parent: null,
      chip: { name: "APIC" },
    });
    expect(() => dataAt(k, irq + 1, top)).toThrow(`irq ${irq + 1}: not mapped in domain TOP`);
  });

  test("allocates from the bottom, frees from the top, and activates parents first", () => {
    const { k, seen, top } = stack();
    const irq = allocate(k, top);
    const { data } = k.irqs.descriptors.get(irq)!;
    expect(irqDomainActivateIrq(k, data, true)).toBe(0);
    expect(irqDomainActivateIrq(k, data, false)).toBe(0);
    irqDomainDeactivateIrq(k, data);
    irqDomainDeactivateIrq(k, data);
    irqDomainFreeIrqs(k, irq, 1);
    expect(seen).toEqual([
      "middle alloc",
      "top alloc",
      "middle activate reserved",
      "top activate reserved",
      "top deactivate",
      "middle deactivate",
      "top free",
      "middle free",
    ]);
  });

  test("undoes the levels below when one cannot be activated", () => {
    const { k, seen, top } = stack({ top: { activate: -errno.EBUSY } });
    const { data, common } = k.irqs.descriptors.get(allocate(k, top))!;
    expect(irqDomainActivateIrq(k, data, false)).toBe(-errno.EBUSY);
    expect(common.activated).toBe(false);
    expect(seen.slice(2)).toEqual(["middle activate", "top activate", "middle deactivate"]);
    expect(vectorCounts(k)).toMatchObject({ allocated: 0, reserved: 1 });
  });

  test("leaves nothing behind when a level cannot allocate", () => {
    const { k, top } = stack({ middle: { alloc: -errno.ENOSPC } });
    expect(irqDomainAllocIrqs(k, top, 4, info)).toBe(-errno.ENOSPC);
    expect(mapped(k)).toEqual([0, 0, 0]);
    expect(k.irqs.descriptors.size).toBe(0);
    expect(vectorCounts(k).reserved).toBe(0);
  });

  test("counts what is mapped at every level, and keeps a domain that is in use", () => {
    const { k, top } = stack();
    const irq = allocate(k, top, 3);
    expect(mapped(k)).toEqual([3, 3, 3]);
    expect(() => irqDomainRemove(k, top)).toThrow("domain TOP: 3 interrupts are mapped");
    irqDomainFreeIrqs(k, irq, 3);
    irqDomainFreeIrqs(k, irq, 3);
    irqDomainRemove(k, top);
    irqDomainRemove(k, top);
    expect(k.irqs.domains.map(({ name }) => name)).toEqual(["VECTOR", "MIDDLE"]);
  });

  test("cannot allocate below the root", () => {
    const { k } = stack();
    expect(irqDomainAllocIrqsParent(k, vectorDomain(k), 24, 1, info)).toBe(-errno.ENOSYS);
  });

  test("takes an interrupt that nobody has set up for a bad one", () => {
    const { k, top } = stack();
    const descriptor = k.irqs.descriptors.get(allocate(k, top))!;
    descriptor.flow(k, descriptor);
    expect(k.log.lines.at(-1)?.text).toBe("unexpected IRQ trap at vector 18");
  });
});
