import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type RunResult, type Scenario, runScenario } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { ImageFile } from "./sources/image-file.ts";
import { builtInScenarios, openScenario } from "./sources/scenario-file.ts";
import { testIo } from "./testing/test-io.ts";

const scenarios = fileURLToPath(new URL("../../../scenarios", import.meta.url));

interface Choice {
  readonly values?: Readonly<Record<string, number>>;
  readonly variant?: string;
}

async function read(name: string, choice: Choice = {}): Promise<Scenario> {
  return (await openScenario(`${scenarios}/${name}.yaml`, testIo().stdin)).read(choice);
}

async function run(scenario: Scenario, ...stacks: string[]): Promise<RunResult> {
  const images: ImageFile[] = [];
  try {
    return await runScenario(scenario, {
      stacks,
      openImage: async (name) => {
        images.push(await ImageFile.open(scenarios, name));
        return images.at(-1)!;
      },
    });
  } finally {
    for (const image of images) await image.close();
  }
}

/** Every scenario and every variant of it. */
const all: { name: string; variant?: string }[] = [];
for (const name of builtInScenarios()) {
  all.push({ name });
  for (const variant of (await read(name)).variants) all.push({ name, variant });
}

type Amounts = Record<string, unknown>;

/** Expectations by which nothing is met any more, each amount off by one, and how many complaints they lead to. */
function spoiled(expectation: Scenario["expect"], result: RunResult): [Scenario["expect"], number] {
  let count = 0;
  const off = (wanted: unknown, found: number): unknown => {
    const up = count++ % 2 === 0;
    if (typeof wanted === "number") return up || wanted === 0 ? wanted + 1 : wanted - 1;
    return up || found === 0 ? { atLeast: found + 1 } : { atMost: found - 1 };
  };
  const changed: Amounts = {};
  for (const [key, wanted] of Object.entries(expectation)) {
    if (key === "faults") {
      const faults = Object.entries(wanted as Amounts);
      changed[key] = Object.fromEntries(
        faults.map(([fault, amount]) => [fault, off(amount, faultsOf(result, fault))]),
      );
    } else if (key === "log" || key === "logLacks") {
      count += (wanted as string[]).length;
      changed[key === "log" ? "logLacks" : "log"] = wanted;
    } else if (key === "fails") {
      // What is refused now, and what is not.
      count += 2;
      changed[key] = `${String(wanted)}X`;
    } else if (typeof wanted === "boolean") {
      count++;
      changed[key] = !wanted;
    } else changed[key] = off(wanted, result[key as "delivered"]);
  }
  return [changed, count];
}

function faultsOf({ faults }: RunResult, name: string): number {
  return faults.reduce((sum, { fault, count }) => (fault === name ? sum + count : sum), 0);
}

function imageSum(): string {
  return createHash("sha256")
    .update(readFileSync(`${scenarios}/disk.img`))
    .digest("hex");
}

describe("the built-in scenario", () => {
  test.each(all)(
    "$name $variant ends as it expects, and leaves nothing behind",
    async ({ name, variant }) => {
      const scenario = await read(name, { ...(variant !== undefined && { variant }) });
      const result = await run(scenario);
      expect({ unmet: result.unmet, leaks: result.leaks, findings: result.findings }).toEqual({
        unmet: [],
        leaks: [],
        findings: [],
      });
      expect(Object.keys(scenario.expect)).not.toEqual([]);
      const [changed, count] = spoiled(scenario.expect, result);
      const { unmet, findings } = await run({ ...scenario, expect: changed });
      expect(unmet).toHaveLength(count);
      expect(findings.slice(0, count)).toEqual(unmet);
    },
  );

  test("is there for each path that is to be shown", () => {
    expect(builtInScenarios()).toEqual(
      expect.arrayContaining([
        "affinity-change",
        "amd-avic",
        "amd-remapped",
        "bridge-alias",
        "device-unplugged-while-posted",
        "dma-to-irt",
        "hostile-device",
        "hpet-after-resume",
        "kdump",
        "multi-msi",
        "nosid-spoof",
        "passthrough-posted",
        "passthrough-remapped",
        "posted-msi-storm",
        "vcpu-halts-and-wakes",
        "vcpu-migrates",
        "vcpu-preempted",
        "vfio-msix-enable",
        "virtio-blk-msi",
        "x2apic-optout",
      ]),
    );
  });

  test("leaves its disk image as it was", async () => {
    const before = imageSum();
    await run(await read("virtio-blk-msi"));
    expect(imageSum()).toBe(before);
  });
});

/** Frames as the issue has them, on lines. */
function frames(text: string): string[] {
  return text.trim().split(/\s+/);
}

describe("the call stack of", () => {
  test.each([7, 1, 40])("%d MSI-X vectors that VFIO enables on Linux 6.12", async (vectors) => {
    const { stacks, kernel } = await run(
      await read("vfio-msix-enable", { values: { vectors } }),
      "intel_ir_compose_msi_msg",
    );
    expect(kernel).toBe("6.12");
    // Each message is composed once more when its interrupt is requested, and gets a vector in place of the placeholder.
    expect(stacks[0]).toEqual({
      frames: frames(`
          intel_ir_compose_msi_msg irq_chip_compose_msi_msg msi_domain_activate __irq_domain_activate_irq
          irq_domain_activate_irq __msi_domain_alloc_irqs msi_domain_alloc_irqs_all_locked
          __pci_enable_msix_range pci_alloc_irq_vectors_affinity vfio_pci_set_msi_trigger
          vfio_pci_core_ioctl vfio_device_fops_unl_ioctl __x64_sys_ioctl do_syscall_64
          entry_SYSCALL_64_after_hwframe
        `),
      count: vectors,
    });
    expect(stacks).toHaveLength(2);
  });

  test.each([66, 1])("%d vectors that are posted to a vCPU on Linux 7.0", async (vectors) => {
    const { stacks, kernel } = await run(
      await read("passthrough-posted", { values: { vectors } }),
      "intel_ir_set_vcpu_affinity",
    );
    expect(kernel).toBe("7.0");
    // The first is the path by which they are set up; others take the entries back.
    expect(stacks[0]).toEqual({
      frames: frames(`
        intel_ir_set_vcpu_affinity irq_set_vcpu_affinity vmx_pi_update_irte kvm_pi_update_irte
        kvm_arch_irq_bypass_add_producer __connect irq_bypass_register_producer vfio_msi_set_vector_signal
        vfio_msi_set_block vfio_pci_core_ioctl vfio_device_fops_unl_ioctl __x64_sys_ioctl do_syscall_64
        entry_SYSCALL_64_after_hwframe
      `),
      count: vectors,
    });
  });

  test("an entry that request_irq activates on AMD, Linux 5.4", async () => {
    const { stacks, kernel } = await run(await read("amd-remapped"), "modify_irte_ga");
    expect(kernel).toBe("5.4");
    const wanted = frames(`
      modify_irte_ga irq_remapping_activate __irq_domain_activate_irq __irq_domain_activate_irq
      irq_domain_activate_irq __setup_irq request_threaded_irq vfio_msi_set_vector_signal vfio_msi_set_block
      vfio_pci_set_msi_trigger vfio_pci_ioctl do_vfs_ioctl ksys_ioctl __x64_sys_ioctl do_syscall_64
      entry_SYSCALL_64_after_hwframe [unknown]
    `);
    expect(stacks.map((stack) => stack.frames)).toContainEqual(wanted);
  });

  test("a disk read that completes in QEMU", async () => {
    const { stacks } = await run(await read("virtio-blk-msi"), "kvm_irqchip_send_msi");
    expect(stacks.map(({ frames: inner, count }) => ({ frames: inner.toReversed(), count }))).toEqual([
      {
        frames: frames(`
          main qemu_default_main qemu_main_loop main_loop_wait os_host_main_loop_wait glib_pollfds_poll
          g_main_context_dispatch g_main_context_dispatch_unlocked aio_ctx_dispatch aio_dispatch aio_bh_poll
          blk_aio_complete_bh blk_aio_complete blk_aio_complete virtio_blk_rw_complete address_space_stl_le
          address_space_stl_internal memory_region_dispatch_write access_with_adjusted_size
          memory_region_write_accessor kvm_apic_mem_write kvm_send_msi kvm_irqchip_send_msi
        `),
        count: 1,
      },
    ]);
  });
});
