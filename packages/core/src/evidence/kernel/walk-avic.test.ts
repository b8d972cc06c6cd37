import { describe, expect, test } from "vitest";
import { KvmHost, changed } from "./testing/kvm-host.ts";
import { layouts as v61 } from "./testing/layouts-6.1.ts";
import { layouts as v612 } from "./testing/layouts-6.12.ts";

const real = [v61, v612].map((layouts) => [layouts.release, layouts] as const);

/** What KVM knows of an entry of a remapping table. @returns the address of its struct amd_ir_data. */
function entry(host: KvmHost, requester: number, index: number, gaTag: number): bigint {
  const data = host.allocate("amd_ir_data");
  host.kernel.set("amd_ir_data", data, "irq_2_irte.devid", requester);
  host.kernel.set("amd_ir_data", data, "irq_2_irte.index", index);
  host.kernel.set("amd_ir_data", data, "ga_tag", gaTag);
  return data;
}

describe.each(real)("on kernel %s", (_release, layouts) => {
  test("a vCPU has its entry, its backing page, and what posts to it", () => {
    const host = new KvmHost(layouts, "amd");
    const vm = host.machine(host.process(5, "vmm"));
    host.kernel.set("kvm_svm", vm, "avic_vm_id", 0x12, "kvm_amd");
    const vcpu = host.vcpu(vm, 3);
    const table = host.space(4096);
    host.kernel.memory.put(table + 24n, 0xc000_0001_2345_6007n);
    host.kernel.set("vcpu_svm", vcpu, "avic_physical_id_cache", table + 24n, "kvm_amd");
    const head = vcpu + host.offset("vcpu_svm", "ir_list", "kvm_amd");
    host.kernel.memory.put(head, head);
    for (const [requester, index] of [
      [0x0100, 4],
      [0x0208, 0],
    ] as const) {
      const element = host.allocate("amd_svm_iommu_ir", "kvm_amd");
      host.kernel.set("amd_svm_iommu_ir", element, "data", entry(host, requester, index, 0x1203), "kvm_amd");
      host.link(head, element);
    }
    const { machines, descriptors, missing } = host.walk();
    expect(missing).toEqual([]);
    expect(descriptors).toEqual([]);
    expect(machines[0]).toMatchObject({ avicId: { value: 0x12 } });
    expect(machines[0]!.vcpus[0]).toMatchObject({
      avicEntry: { value: 0xc000_0001_2345_6007n },
      descriptor: { value: host.kernel.physical(host.registers(vcpu)) },
      avicPostings: {
        value: [
          { requester: 0x0100, index: 4, gaTag: 0x1203 },
          { requester: 0x0208, index: 0, gaTag: 0x1203 },
        ],
      },
    });
  });

  test("without AVIC there is an APIC and nothing of AVIC's", () => {
    const host = new KvmHost(layouts, "amd");
    host.vcpu(host.machine(host.process(5, "vmm")), 0);
    const { machines, missing } = host.walk();
    expect(missing).toEqual([]);
    expect(machines[0]!.avicId).toBeUndefined();
    const [vcpu] = machines[0]!.vcpus;
    expect(vcpu!.apicId!.value).toBe(0);
    expect([vcpu!.avicEntry, vcpu!.descriptor, vcpu!.avicPostings, vcpu!.waitsOn]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("a list of entries in a circle is one line of what is missing", () => {
    const host = new KvmHost(layouts, "amd");
    const vcpu = host.vcpu(host.machine(host.process(5, "vmm")), 0);
    host.kernel.set("vcpu_svm", vcpu, "avic_physical_id_cache", host.space(8), "kvm_amd");
    const element = host.allocate("amd_svm_iommu_ir", "kvm_amd");
    host.kernel.memory.put(vcpu + host.offset("vcpu_svm", "ir_list", "kvm_amd"), element);
    host.kernel.memory.put(element, element);
    const { machines, missing } = host.walk();
    expect(missing.map(({ what }) => what)).toEqual([
      "virtual machine 5: virtual processor 0: its AVIC state",
    ]);
    expect(machines[0]!.vcpus[0]!.avicEntry!.value).toBe(0n);
  });
});

test("since 6.17 the table is kept as numbers, and irqfds are what posts", () => {
  const layouts = changed(v612, "6.17.0", {
    amd_svm_iommu_ir: null,
    vcpu_svm: { avic_physical_id_cache: null, avic_physical_id_entry: "56192 0 8 1 - value" },
    kvm_svm: { avic_physical_id_table_page: null, avic_physical_id_table: "56832 0 8 1 - pointer" },
    kvm_kernel_irqfd: {
      vcpu_list: "1664 0 16 1 list_head value",
      irq_bypass_data: "1792 0 8 1 - pointer",
    },
  });
  const host = new KvmHost(layouts, "amd");
  const vm = host.machine(host.process(5, "vmm"));
  const table = host.space(4096);
  host.kernel.memory.put(table + 16n, 0x8000_0000_0000_5000n);
  host.kernel.set("kvm_svm", vm, "avic_physical_id_table", table, "kvm_amd");
  const vcpu = host.vcpu(vm, 2);
  const head = vcpu + host.offset("vcpu_svm", "ir_list", "kvm_amd");
  host.kernel.memory.put(head, head);
  const irqfd = host.irqfd(vm, 24);
  host.kernel.set("kvm_kernel_irqfd", irqfd, "irq_bypass_data", entry(host, 0x0300, 9, 0x5002), "kvm");
  host.link(head, irqfd + host.offset("kvm_kernel_irqfd", "vcpu_list", "kvm"));
  const { machines, missing } = host.walk();
  expect(missing).toEqual([]);
  expect(machines[0]!.vcpus[0]).toMatchObject({
    avicEntry: { value: 0x8000_0000_0000_5000n },
    avicPostings: { value: [{ requester: 0x0300, index: 9, gaTag: 0x5002 }] },
  });
});
