import { describe, expect, test } from "vitest";
import type { FunctionSymbol } from "../../hardware/call-stack.ts";
import type { Kernel } from "../kernel.ts";
import { pciAllocIrqVectors, pciFreeIrqVectors, pciIrqVector } from "../pci/msi.ts";
import { enableIrX2apic } from "../remapping.ts";
import { type HostOptions, host, settle, withMsix } from "../testbed.ts";
import { freeIrq, irqSetAffinity, irqSetVcpuAffinity, requestIrq } from "./manage.ts";
import { writeAffinity } from "./proc.ts";

/** The stacks, innermost first, in which a function was entered while something was done, with their number. */
function stacksOf(k: Kernel, name: string, action: () => void): [stack: string, count: number][] {
  const stacks = new Map<string, number>();
  k.calls.listener = {
    entered(symbol: FunctionSymbol) {
      if (symbol.name !== name) return;
      const stack = k.calls.frames("kernel").join(" ");
      stacks.set(stack, (stacks.get(stack) ?? 0) + 1);
    },
    left() {},
  };
  action();
  k.calls.listener = null;
  return [...stacks];
}

function machine(options: HostOptions, vectors = 7) {
  const bed = host(options);
  enableIrX2apic(bed.k);
  return { ...bed, ...bed.plug(0x0100, withMsix(vectors)), vectors };
}

function allocated(options: HostOptions, vectors = 7) {
  const bed = machine(options, vectors);
  pciAllocIrqVectors(bed.k, bed.device, 1, vectors, "msix");
  const irqs = Array.from({ length: vectors }, (_, i) => pciIrqVector(bed.k, bed.device, i));
  return { ...bed, irqs };
}

/** The stacks in which a vector is freed that its interrupt has moved away from. */
function freeing(release: "5.4" | "6.12"): string[] {
  const { k, irqs, cpus } = allocated({ vendor: "amd", release }, 1);
  requestIrq(k, irqs[0]!, () => "handled", "test", 0);
  const stacks = stacksOf(k, "free_moved_vector", () => {
    irqSetAffinity(k, irqs[0]!, [3]);
    for (const { apicId, apic } of cpus) apic.sendIpi(apicId, 0xec);
    settle(k, cpus);
  });
  return stacks.map(([stack]) => stack);
}

describe("call stacks", () => {
  test.each(["6.12", "7.0"] as const)("of enabling MSI-X under Intel remapping, in %s", (release) => {
    const { k, device, vectors } = machine({ vendor: "intel", release });
    const stacks = stacksOf(k, "intel_ir_compose_msi_msg", () => {
      pciAllocIrqVectors(k, device, 1, vectors, "msix");
    });
    expect(stacks).toEqual([
      [
        "intel_ir_compose_msi_msg irq_chip_compose_msi_msg msi_domain_activate __irq_domain_activate_irq " +
          "irq_domain_activate_irq __msi_domain_alloc_irqs msi_domain_alloc_irqs_all_locked " +
          "__pci_enable_msix_range pci_alloc_irq_vectors_affinity",
        7,
      ],
    ]);
  });

  test("of requesting an interrupt under AMD remapping, in 5.4", () => {
    const { k, irqs } = allocated({ vendor: "amd", release: "5.4" }, 1);
    const stacks = stacksOf(k, "irq_remapping_activate", () => {
      requestIrq(k, irqs[0]!, () => "handled", "test", 0);
    });
    expect(stacks).toEqual([
      [
        "irq_remapping_activate __irq_domain_activate_irq __irq_domain_activate_irq " +
          "irq_domain_activate_irq __setup_irq request_threaded_irq",
        1,
      ],
    ]);
  });

  test("of enabling MSI-X in 5.4, before there was a function for each vector", () => {
    const { k, device, vectors } = machine({ vendor: "amd", release: "5.4" });
    const stacks = stacksOf(k, "irq_remapping_activate", () => {
      pciAllocIrqVectors(k, device, 1, vectors, "msix");
    });
    expect(stacks).toEqual([
      [
        "irq_remapping_activate __irq_domain_activate_irq __irq_domain_activate_irq " +
          "irq_domain_activate_irq msi_domain_alloc_irqs __pci_enable_msix_range " +
          "pci_alloc_irq_vectors_affinity",
        7,
      ],
    ]);
  });

  test.each([
    ["5.4", "amd_ir_set_vcpu_affinity"],
    ["7.0", "amd_ir_set_vcpu_affinity"],
  ] as const)("of posting to a vCPU go straight to the remapping level, in %s", (release, name) => {
    const { k, irqs } = allocated({ vendor: "amd", release }, 1);
    const stacks = stacksOf(k, name, () => {
      irqSetVcpuAffinity(k, irqs[0]!, null);
    });
    expect(stacks).toEqual([[`${name} irq_set_vcpu_affinity`, 1]]);
  });

  test("of a write to smp_affinity", () => {
    const { k, irqs } = allocated({ vendor: "amd", release: "6.12" }, 1);
    requestIrq(k, irqs[0]!, () => "handled", "test", 0);
    const stacks = stacksOf(k, "amd_ir_set_affinity", () => {
      expect(writeAffinity(k, irqs[0]!, [3])).toBe(0);
      expect(writeAffinity(k, irqs[0]!, [])).toBeLessThan(0);
    });
    expect(stacks).toEqual([
      [
        "amd_ir_set_affinity msi_domain_set_affinity irq_do_set_affinity irq_set_affinity_locked " +
          "__irq_set_affinity write_irq_affinity proc_reg_write vfs_write ksys_write do_syscall_64 " +
          "entry_SYSCALL_64_after_hwframe",
        1,
      ],
    ]);
  });

  const older = "handle_irq_event_percpu handle_irq_event handle_edge_irq do_IRQ common_interrupt";
  const newer = "handle_irq_event handle_edge_irq __common_interrupt common_interrupt asm_common_interrupt";

  test.each([
    ["5.4", older],
    ["6.12", newer],
    ["7.0", newer],
  ] as const)("of an interrupt, in %s", (release, stack) => {
    const { k, irqs, fn, cpus } = allocated({ vendor: "amd", release }, 1);
    requestIrq(k, irqs[0]!, () => "handled", "test", 0);
    const stacks = stacksOf(k, "__handle_irq_event_percpu", () => {
      fn.signal(0);
      settle(k, cpus);
    });
    expect(stacks).toEqual([[`__handle_irq_event_percpu ${stack}`, 1]]);
  });

  test("of its end, level by level down to where the remapping acknowledges", () => {
    const { k, irqs, fn, cpus } = allocated({ vendor: "intel", release: "6.12" }, 1);
    requestIrq(k, irqs[0]!, () => "handled", "test", 0);
    const stacks = stacksOf(k, "apic_ack_irq", () => {
      fn.signal(0);
      settle(k, cpus);
    });
    expect(stacks.map(([stack]) => stack.split(" ").slice(0, 3))).toEqual([
      ["apic_ack_irq", "irq_chip_ack_parent", "handle_edge_irq"],
    ]);
  });

  test("of giving an interrupt up deactivate each level once, without a frame for those above", () => {
    const { k, irqs, device } = allocated({ vendor: "intel", release: "6.12" }, 1);
    requestIrq(k, irqs[0]!, () => "handled", "test", 0);
    const stacks = stacksOf(k, "x86_vector_deactivate", () => {
      freeIrq(k, irqs[0]!, 0);
      pciFreeIrqVectors(k, device);
    });
    expect(stacks).toEqual([
      ["x86_vector_deactivate __irq_domain_deactivate_irq irq_domain_deactivate_irq free_irq", 1],
    ]);
  });

  test("of the cleanup behind a move, by release", () => {
    expect(freeing("5.4")).toEqual([
      "free_moved_vector smp_irq_move_cleanup_interrupt irq_move_cleanup_interrupt",
    ]);
    expect(freeing("6.12")).toEqual([
      "free_moved_vector vector_cleanup_callback call_timer_fn run_timer_softirq handle_softirqs " +
        "__irq_exit_rcu sysvec_apic_timer_interrupt asm_sysvec_apic_timer_interrupt",
    ]);
  });
});
