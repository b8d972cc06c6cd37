import { describe, expect, test } from "vitest";
import type { Width } from "../../hardware/pci/config-space.ts";
import type { PciFunction, PciFunctionOptions } from "../../hardware/pci/function.ts";
import { Signal } from "../../hardware/pci/signal.ts";
import { errno } from "../errno.ts";
import { irqSetAffinity, freeIrq, requestIrq } from "../irq/manage.ts";
import { irqDomainAdd, irqDomainAllocIrqsParent, irqDomainFreeIrqsCommon } from "../irq/hierarchy.ts";
import { vectorConfig, vectorCounts, vectorDomain } from "../irq/vector.ts";
import type { Kernel } from "../kernel.ts";
import { enableIrX2apic } from "../remapping.ts";
import { type HostOptions, host, settle, withMsix } from "../testbed.ts";
import type { PciDevice } from "./device.ts";
import {
  getCachedMsiMsg,
  pciAllocIrqVectors,
  pciFreeIrqVectors,
  pciIrqVector,
  pciMsiVecCount,
  pciMsixAllocIrqAt,
  pciMsixVecCount,
  pciRemoveMsiDomain,
  pciRestoreMsiState,
  pciWriteMsiMsg,
} from "./msi.ts";

function machine(more: Partial<PciFunctionOptions>, options: HostOptions = {}) {
  const bed = host({ vendor: "none", ...options });
  if (options.vendor !== undefined) enableIrX2apic(bed.k);
  const taken: [irq: number, cpu: number][] = [];
  const request = (irq: number): number =>
    requestIrq(
      bed.k,
      irq,
      (k, which) => {
        taken.push([which, k.cpu.number]);
        return "handled";
      },
      "test",
      0,
    );
  return { ...bed, ...bed.plug(0x0100, more), taken, request, before: footprint(bed.k) };
}

/** All that an interrupt could leave behind. */
function footprint(k: Kernel) {
  return {
    vectors: vectorCounts(k),
    irqs: k.irqs.descriptors.size,
    mapped: k.irqs.domains.map(({ mapped }) => mapped).filter((mapped) => mapped > 0),
    // AMD-Vi's drivers keep a device's table for its next interrupts.
    pages: k.remapping?.vendor === "amd" ? 0 : k.pages.allocations,
  };
}

function config(fn: PciFunction): number[] {
  return Array.from(fn.config.words);
}

/** Words of a table entry. */
function entry(fn: PciFunction, index: number): number[] {
  return [0, 4, 8, 12].map((offset) => fn.readBar(0, 16 * index + offset, 4));
}

function irqsOf(k: Kernel, device: PciDevice, count: number): number[] {
  return Array.from({ length: count }, (_, i) => pciIrqVector(k, device, i));
}

describe("MSI-X", () => {
  test("gives as many vectors as the table has, and no fewer than the driver needs", () => {
    const { k, device } = machine(withMsix(5));
    expect(pciMsixVecCount(k, device)).toBe(5);
    expect(pciAllocIrqVectors(k, device, 6, 9, "msix")).toBe(-errno.ENOSPC);
    expect(pciAllocIrqVectors(k, device, 1, 9, "msix")).toBe(5);
    expect(irqsOf(k, device, 6)).toEqual([24, 25, 26, 27, 28, -errno.EINVAL]);
    expect(pciAllocIrqVectors(k, device, 1, 1, "msix")).toBe(-errno.EINVAL);
  });

  test("needs the capability, and a sane wish", () => {
    const { k, device, before } = machine({ msi: {} });
    expect(pciAllocIrqVectors(k, device, 1, 1, "msix")).toBe(-errno.EINVAL);
    expect(pciMsixVecCount(k, device)).toBe(-errno.EINVAL);
    expect(pciIrqVector(k, device, 0)).toBe(-errno.EINVAL);
    expect(pciAllocIrqVectors(k, device, 2, 1, "msi")).toBe(-errno.EINVAL);
    expect(pciAllocIrqVectors(k, device, 0, 0, "msi")).toBe(-errno.EINVAL);
    expect(footprint(k)).toEqual(before);
  });

  test("is on, with INTx off and every entry masked, until interrupts are requested", () => {
    const { k, device, fn, request } = machine(withMsix(3));
    pciAllocIrqVectors(k, device, 2, 2, "msix");
    expect(fn.msix!.enabled).toBe(true);
    expect(fn.readConfig(4, 2) & 0x400).toBe(0x400);
    expect([0, 1, 2].map((index) => entry(fn, index)[3])).toEqual([1, 1, 1]);
    // The placeholder stands in the message of what is not requested.
    expect(entry(fn, 1)).toEqual([0xfee0_0000, 0, 0xef, 1]);
    request(pciIrqVector(k, device, 1));
    expect(entry(fn, 1)).toEqual([0xfee0_0000, 0, 0x20, 0]);
    expect(fn.signal(0)).toBe(Signal.pending);
    expect(fn.signal(1)).toBe(Signal.sent);
  });

  test("masks a live entry while its message changes", () => {
    const bed = machine(withMsix(1));
    const { k, device, request, fn } = bed;
    pciAllocIrqVectors(k, device, 1, 1, "msix");
    request(24);
    const writes: string[] = [];
    const watched: PciDevice["access"] = {
      readConfig: (offset, width) => fn.readConfig(offset, width),
      writeConfig: (offset, width, value) => fn.writeConfig(offset, width, value),
      readBar: (bar, offset, width) => fn.readBar(bar, offset, width),
      writeBar(bar: number, offset: number, width: Width, value: number) {
        writes.push(`${offset}=${value.toString(16)}`);
        fn.writeBar(bar, offset, width, value);
      },
    };
    Object.assign(device, { access: watched });
    irqSetAffinity(k, 24, [2]);
    expect(writes).toEqual(["12=1", "0=fee02000", "4=0", "8=20", "12=0"]);
  });

  test("leaves nothing behind, in the kernel or in the device", () => {
    const { k, device, fn, request, before } = machine(withMsix(3), { vendor: "intel" });
    const configBefore = config(fn);
    pciAllocIrqVectors(k, device, 1, 3, "msix");
    request(25);
    freeIrq(k, 25, 0);
    pciFreeIrqVectors(k, device);
    expect(footprint(k)).toEqual(before);
    expect(config(fn)).toEqual(configBefore);
    expect([0, 1, 2].map((index) => entry(fn, index)[3])).toEqual([1, 1, 1]);
    expect(device.msi).toBeNull();
    pciFreeIrqVectors(k, device);
    expect(footprint(k)).toEqual(before);
  });

  test("takes one more vector at a place of its own while others are in use", () => {
    const { k, device, fn, cpus, request, taken, before } = machine(withMsix(4));
    pciAllocIrqVectors(k, device, 1, 1, "msix");
    const irq = pciMsixAllocIrqAt(k, device, 3);
    expect(irq).toBe(25);
    expect(pciIrqVector(k, device, 3)).toBe(25);
    expect(pciIrqVector(k, device, 2)).toBe(-errno.EINVAL);
    expect(pciMsixAllocIrqAt(k, device, 3)).toBe(-errno.EEXIST);
    expect(pciMsixAllocIrqAt(k, device, 4)).toBe(-errno.EINVAL);
    request(irq);
    fn.signal(3);
    settle(k, cpus);
    expect(taken).toEqual([[25, 0]]);
    freeIrq(k, irq, 0);
    pciFreeIrqVectors(k, device);
    expect(footprint(k)).toEqual(before);
    expect(pciMsixAllocIrqAt(k, device, 3)).toBe(-errno.EINVAL);
  });

  test("is written again after a reset", () => {
    const { k, device, fn, cpus, request, taken } = machine(withMsix(2));
    pciAllocIrqVectors(k, device, 2, 2, "msix");
    request(25);
    const before = { config: config(fn), entries: [entry(fn, 0), entry(fn, 1)] };
    for (let offset = 0; offset < 32; offset += 4) fn.writeBar(0, offset, 4, offset % 16 === 12 ? 1 : 0);
    fn.writeConfig(fn.readConfig(0x34, 1) + 2, 2, 0);
    pciRestoreMsiState(k, device);
    expect({ config: config(fn), entries: [entry(fn, 0), entry(fn, 1)] }).toEqual(before);
    fn.signal(1);
    settle(k, cpus);
    expect(taken).toHaveLength(1);
    pciFreeIrqVectors(k, machine(withMsix(1)).device);
  });
});

describe("MSI", () => {
  test("without remapping is one vector, whatever the device asks for", () => {
    const { k, device } = machine({ msi: { vectors: 8 } });
    expect(pciMsiVecCount(k, device)).toBe(8);
    expect(pciAllocIrqVectors(k, device, 2, 8, "msi")).toBe(-errno.ENOSPC);
    expect(pciAllocIrqVectors(k, device, 1, 8, "msi")).toBe(1);
    expect(pciMsiVecCount(k, machine(withMsix(1)).device)).toBe(-errno.EINVAL);
    expect(pciAllocIrqVectors(k, machine(withMsix(1)).device, 1, 1, "msi")).toBe(-errno.EINVAL);
  });

  test.each([
    ["intel", "7.0"],
    ["amd", "7.0"],
    ["amd", "5.4"],
  ] as const)("on %s with %s is a block of vectors, each with its own handler", (vendor, release) => {
    const { k, device, fn, cpus, request, taken, before } = machine(
      { msi: { vectors: 8 } },
      { vendor, release },
    );
    expect(pciAllocIrqVectors(k, device, 1, 6, "msi")).toBe(6);
    // A block of eight is enabled for six.
    expect(fn.msi!.allocated).toBe(8);
    const irqs = irqsOf(k, device, 6);
    expect(pciIrqVector(k, device, 6)).toBe(-errno.EINVAL);
    for (const irq of irqs) expect(request(irq)).toBe(0);
    for (const vector of irqs.keys()) fn.signal(vector);
    settle(k, cpus);
    expect(taken.map(([irq]) => irq).sort((a, b) => a - b)).toEqual(irqs);
    for (const irq of irqs) freeIrq(k, irq, 0);
    pciFreeIrqVectors(k, device);
    expect(footprint(k)).toEqual(before);
    expect(fn.msi!.enabled).toBe(false);
  });

  test("without mask bits has its vector from the start, and keeps it until it is freed", () => {
    const { k, device, request, before } = machine({ msi: {} });
    pciAllocIrqVectors(k, device, 1, 1, "msi");
    expect(vectorCounts(k)).toEqual({
      ...before.vectors,
      available: before.vectors.available - 1,
      allocated: 1,
    });
    request(24);
    freeIrq(k, 24, 0);
    expect(vectorCounts(k).allocated).toBe(1);
    pciFreeIrqVectors(k, device);
    expect(footprint(k)).toEqual(before);
  });

  test("with mask bits waits for its vector, masked, and is unmasked when it is off", () => {
    const { k, device, fn, cpus, request, taken } = machine({ msi: { masking: true, wide: false } });
    const configBefore = config(fn);
    pciAllocIrqVectors(k, device, 1, 1, "msi");
    expect(vectorCounts(k)).toMatchObject({ reserved: 1, allocated: 0 });
    expect(fn.signal(0)).toBe(Signal.pending);
    request(24);
    settle(k, cpus);
    expect(taken).toEqual([[24, 0]]);
    freeIrq(k, 24, 0);
    expect(fn.signal(0)).toBe(Signal.pending);
    fn.withdraw(0);
    pciFreeIrqVectors(k, device);
    expect(config(fn)).toEqual(configBefore);
  });

  test("moves by way of the old CPU where it cannot be masked, so that no message is torn", () => {
    const { k, device, fn, cpus, request, taken } = machine({ msi: {} });
    pciAllocIrqVectors(k, device, 1, 1, "msi");
    request(24);
    const config = vectorConfig(k.irqs.descriptors.get(24)!.data);
    // Another interrupt has the vector on the new CPU that this one has on the old.
    k.irqs.vectors!.matrix.allocate([3], false);
    const arrived: number[] = [];
    Object.assign(device, {
      access: {
        ...device.access,
        readConfig: (offset: number, width: Width) => fn.readConfig(offset, width),
        writeConfig(offset: number, width: Width, value: number) {
          fn.writeConfig(offset, width, value);
          // The device raises its interrupt after every single write.
          fn.signal(0);
          arrived.push(offset);
        },
      },
    });
    expect(irqSetAffinity(k, 24, [3])).toBe(0);
    expect(config).toMatchObject({ cpu: 3, vector: 0x21 });
    settle(k, cpus);
    expect(arrived.length).toBeGreaterThan(4);
    expect(taken.some(([, cpu]) => cpu === 3)).toBe(true);
    expect(k.log.lines).toEqual([]);
  });

  test("is written again after a reset", () => {
    const { k, device, fn, request, cpus, taken } = machine(
      { msi: { vectors: 2, masking: true } },
      { vendor: "intel" },
    );
    pciAllocIrqVectors(k, device, 2, 2, "msi");
    for (const irq of irqsOf(k, device, 2)) request(irq);
    const before = config(fn);
    const at = fn.readConfig(0x34, 1);
    fn.writeConfig(at + 2, 2, 0);
    for (const offset of [4, 8, 12, 16]) fn.writeConfig(at + offset, 4, 0);
    pciRestoreMsiState(k, device);
    expect(config(fn)).toEqual(before);
    fn.signal(1);
    settle(k, cpus);
    expect(taken).toHaveLength(1);
  });
});

describe("a message", () => {
  test("is remembered as it was written, and can be written again", () => {
    const { k, device, fn } = machine(withMsix(1));
    pciAllocIrqVectors(k, device, 1, 1, "msix");
    const cached = getCachedMsiMsg(k, 24)!;
    expect(cached).toEqual({ addressLow: 0xfee0_0000 | 0, addressHigh: 0, data: 0xef });
    expect(pciWriteMsiMsg(k, 24, { ...cached, data: 0x77 })).toBe(0);
    expect(entry(fn, 0)[2]).toBe(0x77);
    expect(cached.data).toBe(0xef);
    expect(getCachedMsiMsg(k, 24)!.data).toBe(0x77);
    expect(getCachedMsiMsg(k, 99)).toBeUndefined();
    expect(pciWriteMsiMsg(k, 99, cached)).toBe(-errno.EINVAL);
  });
});

function names(k: Kernel): string[] {
  return k.irqs.domains.map(({ name, token }) => `${name}|${token}`);
}

describe("domains of messages", () => {
  test("are the device's own since 6.2, one kind at a time, until it goes away", () => {
    const { k, device } = machine({ ...withMsix(1), msi: {} });
    pciAllocIrqVectors(k, device, 1, 1, "msix");
    const first = device.msiDomain;
    pciFreeIrqVectors(k, device);
    pciAllocIrqVectors(k, device, 1, 1, "msix");
    expect(device.msiDomain).toBe(first);
    pciFreeIrqVectors(k, device);
    pciAllocIrqVectors(k, device, 1, 1, "msi");
    expect(names(k)).toEqual(["VECTOR|0", "PCI-MSI-0000:01:00.0|11"]);
    pciFreeIrqVectors(k, device);
    pciRemoveMsiDomain(k, device);
    pciRemoveMsiDomain(k, device);
    expect(names(k)).toEqual(["VECTOR|0"]);
  });

  test("are shared above a remapping unit until 6.2, and name the device in their hwirq", () => {
    const { k, device, plug } = machine({ ...withMsix(2), msi: {} }, { vendor: "intel", release: "5.4" });
    const other = plug(0x2d00, withMsix(1)).device;
    pciAllocIrqVectors(k, device, 2, 2, "msix");
    pciAllocIrqVectors(k, other, 1, 1, "msix");
    expect(device.msi!.domain).toBe(other.msi!.domain);
    expect(names(k).filter((name) => name.includes("MSI-"))).toContain("INTEL-IR-MSI-0|3");
    const irq = pciIrqVector(k, other, 0);
    // 2d:00.0, as a pasted /proc/interrupts has it.
    expect(k.irqs.descriptors.get(irq)!.data).toMatchObject({
      hwirq: 23_592_960,
      chip: { name: "IR-PCI-MSI" },
    });
  });
});

/** A remapping unit with so many entries; `refuse` makes it fail when interrupts are activated. */
function tight(k: Kernel, entries: number, refuse: { from: number } = { from: Infinity }): void {
  let used = 0;
  irqDomainAdd(k, {
    name: "INTEL-IR-0",
    parent: vectorDomain(k),
    ops: {
      select: () => true,
      alloc(kernel, domain, virq, count, info) {
        if (used + count > entries) return -errno.ENOMEM;
        used += count;
        return irqDomainAllocIrqsParent(kernel, domain, virq, count, info);
      },
      free(kernel, domain, virq, count) {
        used -= count;
        irqDomainFreeIrqsCommon(kernel, domain, virq, count);
      },
      activate: (_k, _domain, data) => (data.irq < refuse.from ? 0 : -errno.EBUSY),
    },
  });
}

describe("when entries or vectors run out", () => {
  test("MSI-X settles for what there is", () => {
    const { k, device, plug, request, before } = machine(withMsix(2048), { cpus: 1 });
    // Reservations are not limited: it is the request that fails.
    expect(pciAllocIrqVectors(k, device, 1, 2048, "msix")).toBe(2048);
    const results = irqsOf(k, device, 2048).map(request);
    expect(results.filter((result) => result === 0)).toHaveLength(202);
    expect(new Set(results)).toEqual(new Set([0, -errno.ENOSPC]));
    const unmaskable = plug(0x0200, { msi: {} }).device;
    // What cannot wait for a vector is not even allocated.
    expect(pciAllocIrqVectors(k, unmaskable, 1, 1, "msi")).toBe(-errno.ENOSPC);
    expect(unmaskable.msi).toBeNull();
    for (const irq of irqsOf(k, device, 202)) freeIrq(k, irq, 0);
    pciFreeIrqVectors(k, device);
    expect(footprint(k)).toEqual(before);
  });

  test.each(["5.4", "6.12"] as const)("MSI-X of %s tries again with as many as there were", (release) => {
    const { k, device, before } = machine(withMsix(40), { release });
    tight(k, 30);
    expect(pciAllocIrqVectors(k, device, 31, 40, "msix")).toBe(-errno.ENOSPC);
    expect(device.msi).toBeNull();
    expect(footprint(k)).toEqual(before);
    expect(pciAllocIrqVectors(k, device, 1, 40, "msix")).toBe(30);
    pciFreeIrqVectors(k, device);
    expect(footprint(k)).toEqual(before);
  });

  test("a block of MSI comes down to one vector", () => {
    const { k, device } = machine({ msi: { vectors: 4 } });
    tight(k, 3);
    expect(pciAllocIrqVectors(k, device, 1, 4, "msi")).toBe(1);
  });

  test.each(["5.4", "6.12"] as const)("%s takes all back when one cannot be activated", (release) => {
    const { k, device, fn, before } = machine(withMsix(4), { release });
    tight(k, 4, { from: 26 });
    expect(pciAllocIrqVectors(k, device, 4, 4, "msix")).toBe(-errno.EBUSY);
    expect(footprint(k)).toEqual(before);
    expect(fn.msix!.enabled).toBe(false);
  });
});

describe("a device that is pulled", () => {
  test("is taken apart without a touch", () => {
    const { k, device, fn, request, before } = machine(withMsix(2), { vendor: "intel" });
    pciAllocIrqVectors(k, device, 2, 2, "msix");
    const irqs = irqsOf(k, device, 2);
    for (const irq of irqs) request(irq);
    device.removed = true;
    const left = { config: config(fn), entries: [entry(fn, 0), entry(fn, 1)] };
    for (const irq of irqs) freeIrq(k, irq, 0);
    pciFreeIrqVectors(k, device);
    pciRemoveMsiDomain(k, device);
    expect({ config: config(fn), entries: [entry(fn, 0), entry(fn, 1)] }).toEqual(left);
    expect(footprint(k)).toEqual(before);
    expect(pciAllocIrqVectors(k, device, 1, 1, "msix")).toBe(-errno.EINVAL);
  });
});
