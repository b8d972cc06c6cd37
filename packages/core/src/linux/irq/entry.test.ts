import { describe, expect, test } from "vitest";
import { pciAllocIrqVectors, pciIrqVector } from "../pci/msi.ts";
import { type HostOptions, host, settle, withMsix } from "../testbed.ts";
import type { IrqChip } from "./chip.ts";
import type { IrqDomainOps } from "./domain.ts";
import { interrupt, setSystemVector } from "./entry.ts";
import { handleFasteoiIrq } from "./flow.ts";
import {
  irqDomainAdd,
  irqDomainAllocIrqs,
  irqDomainAllocIrqsParent,
  irqDomainFreeIrqsCommon,
  irqDomainSetInfo,
} from "./hierarchy.ts";
import { freeIrq, irqSetAffinity, requestIrq } from "./manage.ts";
import { fireTimers } from "./vector-cleanup.ts";
import { vectorConfig, vectorDomain } from "./vector.ts";

function machine(options: HostOptions = {}) {
  const bed = host({ vendor: "none", ...options });
  vectorDomain(bed.k);
  const { fn, device } = bed.plug(0x0100, withMsix(1));
  pciAllocIrqVectors(bed.k, device, 1, 1, "msix");
  const irq = pciIrqVector(bed.k, device, 0);
  /** Takes a vector as a CPU would that was sent it. */
  const take = (cpu: number, vector: number): void => {
    const { localApic } = bed.cpus[cpu]!;
    bed.fabric.sendTo(cpu, 0, 0, vector);
    interrupt(bed.k, bed.cpus[cpu]!, localApic.acknowledge());
  };
  const texts = (): string[] => bed.k.log.lines.map(({ text }) => text);
  return { ...bed, fn, device, irq, take, texts };
}

describe("a device's vector", () => {
  test("is acknowledged before its handler runs, so that the next edge is not lost", () => {
    const { k, fn, irq, cpus } = machine();
    let runs = 0;
    const pending: number[] = [];
    requestIrq(
      k,
      irq,
      () => {
        if (runs++ === 0) fn.signal(0);
        pending.push(cpus[0]!.localApic.pending());
        return "handled";
      },
      "test",
      0,
    );
    fn.signal(0);
    expect(settle(k, cpus)).toBe(2);
    expect(pending).toEqual([0x20, -1]);
  });

  test("that comes while its handler runs on another CPU is handled when that is through", () => {
    const { k, fn, irq, cpus } = machine();
    let depth = 0;
    let runs = 0;
    requestIrq(
      k,
      irq,
      () => {
        expect(++depth).toBe(1);
        if (runs++ === 0) interrupt(k, cpus[1]!, 0x20);
        depth--;
        return "handled";
      },
      "test",
      0,
    );
    // CPU 1 has the same interrupt at the same vector, as after a move.
    k.irqs.vectors!.table[1]![0x20] = k.irqs.descriptors.get(irq)!;
    fn.signal(0);
    settle(k, cpus);
    expect(runs).toBe(2);
    // It was masked for as long as it could not run.
    expect(k.irqs.descriptors.get(irq)!.common.masked).toBe(false);
    expect(fn.readBar(0, 12, 4)).toBe(0);
  });

  test("runs on its CPU, and gives the kernel back to the one before, even when the handler throws", () => {
    const { k, irq, cpus } = machine();
    requestIrq(
      k,
      irq,
      () => {
        expect(k.cpu).toBe(cpus[0]);
        throw new Error("in the handler");
      },
      "test",
      0,
    );
    k.cpu = cpus[3]!;
    expect(() => interrupt(k, cpus[0]!, 0x20)).toThrow("in the handler");
    expect(k.cpu).toBe(cpus[3]);
  });

  test.each([
    ["5.4", "do_IRQ: 2.65 No irq handler for vector"],
    ["6.12", "call_irq_handler: 2.65 No irq handler for vector"],
    ["7.0", "No irq handler for 2.65"],
  ] as const)("that nobody has is reported by %s and ended", (release, text) => {
    const { take, texts, cpus } = machine({ release });
    take(2, 65);
    expect(texts()).toEqual([text]);
    expect(cpus[2]!.localApic.eoi()).toBe(-1);
  });

  test("that was given up is excused once", () => {
    const { k, irq, take, texts } = machine();
    requestIrq(k, irq, () => "handled", "test", 0);
    const { vector } = { ...vectorConfig(k.irqs.descriptors.get(irq)!.data) };
    freeIrq(k, irq, 0);
    take(0, vector);
    expect(texts()).toEqual([]);
    take(0, vector);
    expect(texts()).toEqual([`No irq handler for 0.${vector}`]);
  });

  test("that was moved away from is not excused by having been given up before", () => {
    const { k, irq, fn, cpus, take, texts } = machine();
    requestIrq(k, irq, () => "handled", "test", 0);
    freeIrq(k, irq, 0);
    requestIrq(k, irq, () => "handled", "test", 0);
    irqSetAffinity(k, irq, [2]);
    fn.signal(0);
    settle(k, cpus);
    fireTimers(k);
    settle(k, cpus);
    take(0, 0x20);
    expect(texts()).toEqual(["No irq handler for 0.32"]);
  });

  test("of an exception is left alone", () => {
    const { take, texts, cpus } = machine();
    take(0, 0x12);
    expect(texts()).toEqual([]);
    expect(cpus[0]!.localApic.eoi()).toBe(0x12);
  });
});

describe("a system vector", () => {
  test("is ended before its handler runs, and counted by CPU", () => {
    const { k, take, cpus } = machine();
    const inService: number[] = [];
    setSystemVector(k, 0xf2, "sysvec_kvm_posted_intr_ipi", (_k, cpu) => {
      inService.push(cpu.number, cpus[cpu.number]!.localApic.eoi());
    });
    take(1, 0xf2);
    take(1, 0xf2);
    take(3, 0xf2);
    expect(inService).toEqual([1, -1, 1, -1, 3, -1]);
    const { counts } = k.irqs.systemVectors[0xf2]!;
    expect([0, 1, 2, 3].map((cpu) => counts[cpu] ?? 0)).toEqual([0, 2, 0, 1]);
  });

  test("can be ended by its handler", () => {
    const { k, take, cpus } = machine();
    setSystemVector(k, 0xeb, "sysvec_posted_msi_notification", () => {}, { ownEoi: true });
    take(1, 0xeb);
    expect(cpus[1]!.localApic.eoi()).toBe(0xeb);
  });

  test.each([
    ["5.4", ["smp_kvm_posted_intr_ipi", "kvm_posted_intr_ipi"]],
    ["7.0", ["sysvec_kvm_posted_intr_ipi", "asm_sysvec_kvm_posted_intr_ipi"]],
  ] as const)("enters through the functions of %s", (release, frames) => {
    const { k, take } = machine({ release });
    let seen: string[] = [];
    setSystemVector(k, 0xf2, "sysvec_kvm_posted_intr_ipi", () => {
      seen = k.calls.frames("kernel");
    });
    k.calls.listener = { entered() {}, left() {} };
    take(0, 0xf2);
    expect(seen).toEqual(frames);
  });

  test.each(["5.4", "7.0"] as const)("that nobody has is spurious in %s", (release) => {
    const { take, texts, cpus } = machine({ release });
    take(1, 0xf5);
    expect(texts()).toEqual(["Spurious interrupt (vector 0xf5) on CPU#1. Acked"]);
    expect(cpus[1]!.localApic.eoi()).toBe(-1);
    take(1, 0xff);
    expect(texts()[1]).toBe("Spurious APIC interrupt (vector 0xFF) on CPU#1, should never happen.");
  });
});

function pin(chip: Partial<IrqChip>) {
  const bed = machine();
  const { k } = bed;
  const order: string[] = [];
  const pinChip: IrqChip = {
    name: "IO-APIC",
    ack: () => order.push("ack"),
    mask: () => order.push("mask"),
    ...chip,
  };
  const ops: IrqDomainOps = {
    alloc(k, domain, virq, count, info) {
      irqDomainSetInfo(k, domain, virq, 9, pinChip, null, handleFasteoiIrq);
      return irqDomainAllocIrqsParent(k, domain, virq, count, info);
    },
    free: irqDomainFreeIrqsCommon,
  };
  const domain = irqDomainAdd(k, { name: "IO-APIC-0", ops, parent: vectorDomain(k) });
  const irq = irqDomainAllocIrqs(k, domain, 1, { kind: "ioapic", id: 0, pin: 9, level: true }, 9);
  requestIrq(k, irq, () => (order.push("handler"), "handled"), "acpi", 0);
  return { ...bed, irq, order };
}

describe("a level-triggered pin", () => {
  test("is ended when its handler is through", () => {
    const { k, irq, order, take } = pin({});
    take(0, vectorConfig(k.irqs.descriptors.get(irq)!.data).vector);
    expect(order).toEqual(["handler", "ack"]);
  });

  test("is ended by what its chip has for that", () => {
    const order: string[] = [];
    const { k, irq, take } = pin({ eoi: () => order.push("eoi") });
    take(0, vectorConfig(k.irqs.descriptors.get(irq)!.data).vector);
    expect(order).toEqual(["eoi"]);
  });
});
