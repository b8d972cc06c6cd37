import { describe, expect, test } from "vitest";
import { pciAllocIrqVectors, pciIrqVector } from "../pci/msi.ts";
import { enableIrX2apic } from "../remapping.ts";
import { type HostOptions, host, settle, withMsix } from "../testbed.ts";
import { setSystemVector } from "./entry.ts";
import { procInterrupts } from "./interrupts.ts";
import { freeIrq, requestIrq } from "./manage.ts";

function machine(options: HostOptions, requester = 0x0018) {
  const bed = host(options);
  enableIrX2apic(bed.k);
  const { fn, device } = bed.plug(requester, withMsix(2));
  pciAllocIrqVectors(bed.k, device, 2, 2, "msix");
  const irq = pciIrqVector(bed.k, device, 1);
  requestIrq(bed.k, irq, () => "handled", "virtio0-req.0", 0);
  const row = (): string | undefined =>
    procInterrupts(bed.k)
      .split("\n")
      .find((line) => line.includes("virtio0"));
  return { ...bed, fn, irq, row };
}

describe("/proc/interrupts", () => {
  test("has the columns of a real one of the old naming", () => {
    const { k, irq, row } = machine({ vendor: "intel", release: "5.4" });
    // The line of irq 28 in the capture of a 6.1 kernel, whose layout is the same.
    expect(row()!.replace(`${irq}:`, "28:")).toBe(
      " 28:          0          0          0          0  IR-PCI-MSI 49153-edge      virtio0-req.0",
    );
    expect(procInterrupts(k).split("\n")[0]).toBe("           CPU0       CPU1       CPU2       CPU3       ");
  });

  test("since 6.2 names the device with its chip, and counts by CPU", () => {
    const { k, fn, cpus, row, irq } = machine({ vendor: "none", release: "6.12" });
    for (let i = 0; i < 3; i++) {
      fn.signal(1);
      settle(k, cpus);
    }
    expect(row()).toBe(
      ` ${irq}:          3          0          0          0 PCI-MSIX-0000:00:03.0   1-edge      virtio0-req.0`,
    );
  });

  test("keeps a row that has counted when nobody has the interrupt any more", () => {
    const { k, fn, cpus, irq } = machine({ vendor: "none" });
    expect(procInterrupts(k)).not.toContain(` ${irq - 1}:`);
    fn.signal(1);
    settle(k, cpus);
    freeIrq(k, irq, 0);
    expect(procInterrupts(k)).toContain(
      ` ${irq}:          1          0          0          0 PCI-MSIX-0000:00:03.0   1-edge    \n`,
    );
  });

  test("widens for large machines and leaves out CPUs that are off", () => {
    const { k, cpus, row, irq } = machine({ vendor: "none", cpus: 80 });
    expect(row()!.startsWith(`  ${irq}:`)).toBe(true);
    for (const cpu of cpus.slice(2)) cpu.online = false;
    expect(procInterrupts(k).split("\n")[0]).toBe("            CPU0       CPU1       ");
  });

  test.each([
    ["5.4", false],
    ["7.0", true],
  ] as const)("of %s ends with the system's own vectors", (release, postedMsi) => {
    const { k, cpus } = machine({ vendor: "none", release });
    setSystemVector(k, 0xf2, "sysvec_kvm_posted_intr_ipi", () => {});
    cpus[0]!.apic.sendIpi(2, 0xf2);
    settle(k, cpus);
    const text = procInterrupts(k);
    expect(text).toContain(
      "PIN:          0          0          1          0   Posted-interrupt notification event\n",
    );
    expect(text).toContain("ERR:          0\n");
    expect(text.includes("PMN:")).toBe(postedMsi);
  });
});
