import { describe, expect, test } from "vitest";
import { pciAllocIrqVectors, pciIrqVector } from "../pci/msi.ts";
import { enableIrX2apic } from "../remapping.ts";
import { type HostOptions, host, withMsix } from "../testbed.ts";
import { cpuList, irqDebugShow } from "./debugfs.ts";
import { irqDomainAllocIrqs, irqDomainAdd, irqDomainAllocIrqsParent } from "./hierarchy.ts";
import { irqSetAffinity, requestIrq } from "./manage.ts";
import { vectorDomain } from "./vector.ts";

function machine(options: HostOptions, requester = 0x4100) {
  const bed = host(options);
  enableIrX2apic(bed.k);
  const { device } = bed.plug(requester, withMsix(9));
  pciAllocIrqVectors(bed.k, device, 9, 9, "msix");
  return { ...bed, device, irqs: Array.from({ length: 9 }, (_, i) => pciIrqVector(bed.k, device, i)) };
}

/** A line of the text by how it begins. */
function lines(text: string | undefined, start: string): string[] {
  return (text ?? "").split("\n").filter((line) => line.trim().startsWith(start));
}

function word(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, "0")}`;
}

describe("debugfs of an interrupt", () => {
  test("shows the whole hierarchy of AMD's remapping, as in the kernel's documentation", () => {
    const { k, irqs, device } = machine({ vendor: "amd", release: "7.0" });
    const irq = irqs[8]!;
    requestIrq(k, irq, () => "handled", "test", 0);
    irqSetAffinity(k, irq, [3]);
    const { message } = device.msi!.descriptors[8]!;
    // samples/04, with this interrupt's own numbers; not managed, so that it can reserve and has moved.
    expect(irqDebugShow(k, irq)).toBe(`handler:  handle_edge_irq
device:   0000:41:00.0
status:   0x00000000
istate:   0x00000000
ddepth:   0
wdepth:   0
dstate:   0x1d401200
            IRQD_ACTIVATED
            IRQD_IRQ_STARTED
            IRQD_SINGLE_TARGET
            IRQD_AFFINITY_SET
            IRQD_AFFINITY_ON_ACTIVATE
            IRQD_CAN_RESERVE
            IRQD_HANDLE_ENFORCE_IRQCTX
node:     0
affinity: 3
effectiv: 3
pending:  
domain:  IR-PCI-MSIX-0000:41:00.0-12
 hwirq:   0x8
 chip:    IR-PCI-MSIX-0000:41:00.0
  flags:   0x430
             IRQCHIP_SKIP_SET_WAKE
             IRQCHIP_ONESHOT_SAFE

  address_hi: ${word(message.addressHigh)}
  address_lo: ${word(message.addressLow)}
  msg_data:   ${word(message.data)}
 parent:
    domain:  AMD-IR-0-14
     hwirq:   0x41000000
     chip:    AMD-IR
      flags:   0x0
     parent:
        domain:  VECTOR
         hwirq:   0x${irq.toString(16)}
         chip:    APIC
          flags:   0x0
         Vector:    32
         Target:     3
         Previous vector:    32
         Previous target:     2
         move_in_progress: 0
         is_managed:       0
         can_reserve:      1
         has_reserved:     0
         cleanup_pending:  1
`);
  });

  test("of 5.4 has the old names, the hwirq with the device in it, and no message", () => {
    const { k, irqs } = machine({ vendor: "intel", release: "5.4" }, 0xd800);
    const text = irqDebugShow(k, irqs[0]!);
    expect(lines(text, "domain:")).toEqual([
      "domain:  INTEL-IR-MSI-0-3",
      "    domain:  INTEL-IR-0",
      "        domain:  VECTOR",
    ]);
    expect(lines(text, "hwirq:")[0]).toBe(" hwirq:   0x6c00000");
    expect(lines(text, "chip:")).toEqual([
      " chip:    IR-PCI-MSI",
      "     chip:    INTEL-IR",
      "         chip:    APIC",
    ]);
    expect(lines(text, "flags:")[0]).toBe("  flags:   0x30");
    expect(lines(text, "status:")).toEqual(["status:   0x00004000"]);
    expect(lines(text, "IRQD_MOVE_PCNTXT")).toHaveLength(1);
    expect(lines(text, "msg_data")).toEqual([]);
  });

  test("of 6.12 has per-device names, and no message yet", () => {
    const { k, irqs } = machine({ vendor: "intel", release: "6.12" });
    requestIrq(k, irqs[1]!, () => "handled", "test", 0);
    const text = irqDebugShow(k, irqs[1]!);
    expect(lines(text, "domain:").map((line) => line.trim())).toEqual([
      "domain:  IR-PCI-MSIX-0000:41:00.0-12",
      "domain:  INTEL-IR-0-13",
      "domain:  VECTOR",
    ]);
    // As in samples/06, but for what is managed there.
    expect(lines(text, "dstate:")).toEqual(["dstate:   0x35408200"]);
    expect(lines(text, "msg_data")).toEqual([]);
  });

  test("shows no vector of what is allocated and not requested", () => {
    const { k, irqs } = machine({ vendor: "none" });
    const text = irqDebugShow(k, irqs[0]!);
    expect(lines(text, "Vector:")).toEqual(["     Vector:     0"]);
    expect(lines(text, "has_reserved:")).toEqual(["     has_reserved:     1"]);
    expect(lines(text, "IRQD_IRQ_DISABLED").concat(lines(text, "IRQD_IRQ_MASKED"))).toHaveLength(2);
    expect(lines(text, "IRQCHIP_MOVE_DEFERRED")).toHaveLength(1);
  });

  test("of one that nobody has set up says so, and of none is nothing", () => {
    const { k } = host({ vendor: "none" });
    const domain = irqDomainAdd(k, {
      name: "EMPTY",
      parent: vectorDomain(k),
      ops: { alloc: irqDomainAllocIrqsParent, free() {} },
    });
    const irq = irqDomainAllocIrqs(k, domain, 1, { kind: "vector" });
    const text = irqDebugShow(k, irq);
    expect(lines(text, "handler:")).toEqual(["handler:  handle_bad_irq"]);
    expect(lines(text, "device:")).toEqual(["device:   (null)"]);
    expect(lines(text, "chip:")[0]).toBe(" chip:    None");
    expect(irqDebugShow(k, 99)).toBeUndefined();
  });

  test.each([
    [[], ""],
    [[3], "3"],
    [[0, 1, 2, 3], "0-3"],
    [[8, 0, 1, 6, 5], "0-1,5-6,8"],
  ])("lists CPUs %j as %j", (cpus, text) => {
    expect(cpuList(cpus)).toBe(text);
  });
});
