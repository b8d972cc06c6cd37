// Writes what the tests of KVM's walk and of the kernel log need of a real kernel's structures: sizes, and where members
// lie, out of its BTF. Nobody can load KVM for VT-x under an emulator; its structures are real all the same.
//
//   tsx --conditions=intremap-src tools/kernel-layouts.ts RELEASE VMLINUX MODULE.ko… > packages/core/src/evidence/kernel/testing/layouts-6.1.ts
//
// VMLINUX and the modules are the ELF files with their section .BTF: the kernel as it comes out of vmlinuz, the modules
// irqbypass, kvm, kvm-intel and kvm-amd unpacked.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { Btf } from "../packages/core/src/evidence/kernel/btf.ts";
import type { KernelMember } from "../packages/core/src/evidence/kernel/kernel.ts";

/** Every structure and member that is read in some release. */
const wanted: Readonly<Record<string, string>> = {
  list_head: "next prev",
  xarray: "xa_head",
  xa_node: "shift slots",
  cpumask: "bits",
  cpuinfo_x86: "x86_vendor",
  mm_struct: "owner",
  task_struct: "tgid comm",
  pid: "numbers",
  upid: "nr",
  kvm:
    "mm userspace_pid vm_list vcpus vcpu_array vcpu_array.xa_head online_vcpus online_vcpus.counter irqfds irqfds.items " +
    "arch.apicv_inhibit_reasons arch.irqchip_mode arch.assigned_device_count.counter arch.nr_possible_bypass_irqs " +
    "arch.nr_possible_bypass_irqs.counter arch.vm_type",
  kvm_vcpu: "kvm vcpu_id cpu mode pid blocked_vcpu_list arch.apic arch.apic_base arch.apicv_active",
  kvm_lapic: "apicv_active regs",
  kvm_kernel_irqfd:
    "gsi producer list vcpu_list irq_bypass_vcpu irq_bypass_data irq_entry.type irq_entry.msi.address_lo " +
    "irq_entry.msi.address_hi irq_entry.msi.data",
  irq_bypass_producer: "node token eventfd irq consumer",
  irq_bypass_consumer: "node token eventfd",
  vcpu_vmx: "vcpu pi_desc pi_wakeup_list vt.pi_desc vt.pi_wakeup_list vcpu.blocked_vcpu_list",
  vcpu_tdx: "vcpu vt.pi_desc vt.pi_wakeup_list",
  vcpu_svm: "vcpu avic_physical_id_cache avic_physical_id_entry ir_list",
  kvm_svm: "kvm avic_vm_id avic_physical_id_table avic_physical_id_table_page",
  amd_svm_iommu_ir: "node data",
  amd_ir_data: "irq_2_irte irq_2_irte.devid irq_2_irte.index ga_tag",
  printk_ringbuffer:
    "desc_ring.count_bits desc_ring.descs desc_ring.infos desc_ring.head_id desc_ring.head_id.counter desc_ring.tail_id " +
    "desc_ring.tail_id.counter text_data_ring.size_bits text_data_ring.data",
  prb_desc: "state_var state_var.counter text_blk_lpos.begin text_blk_lpos.next",
  printk_info: "ts_nsec text_len",
};

const [release, vmlinux, ...modules] = process.argv.slice(2);
const base = new Btf(btfOf(vmlinux!));
const opened = modules.map((file) => {
  const name = basename(file)
    .replace(/[.-]\d.*$|\.ko$/, "")
    .replaceAll("-", "_");
  return { name, btf: new Btf(btfOf(file), base) };
});
const types: Record<string, unknown> = {};
for (const [name, members] of Object.entries(wanted)) {
  const inKernel = base.type(name);
  const holders = inKernel ? [] : opened.filter(({ btf }) => btf.type(name) !== undefined);
  const type = inKernel ?? holders[0]?.btf.type(name);
  if (type === undefined) continue;
  const found = members.split(" ").flatMap((path) => {
    const member = type.member(path);
    return member === undefined ? [] : [[path, row(member)] as const];
  });
  types[name] = {
    size: type.size,
    modules: inKernel ? null : holders.map(({ name }) => name),
    members: Object.fromEntries(found),
  };
}
process.stdout.write(
  `import type { Layouts } from "./layout-kernel.ts";

/** Written by tools/kernel-layouts.ts. */
export const layouts: Layouts = ${JSON.stringify({ release, types }, null, 2)};
`,
);

/** Bit offset, bit width, bytes, elements, name of the type, whether it is a pointer. */
function row({ bitOffset, bitWidth, size, type, count, pointer }: KernelMember): string {
  return [bitOffset, bitWidth, size, count, type ?? "-", pointer ? "pointer" : "value"].join(" ");
}

/** The section .BTF of an ELF64 file. */
function btfOf(file: string): Uint8Array {
  const bytes = readFileSync(file);
  const [table, size, count, names] = [
    Number(bytes.readBigUInt64LE(40)),
    bytes.readUInt16LE(58),
    bytes.readUInt16LE(60),
    bytes.readUInt16LE(62),
  ];
  const section = (i: number) => {
    const at = table + i * size;
    const start = Number(bytes.readBigUInt64LE(at + 24));
    return { name: bytes.readUInt32LE(at), start, end: start + Number(bytes.readBigUInt64LE(at + 32)) };
  };
  const { start } = section(names);
  for (let i = 0; i < count; i++) {
    const { name, ...part } = section(i);
    if (bytes.toString("latin1", start + name, start + name + 5) === ".BTF\0")
      return bytes.subarray(part.start, part.end);
  }
  throw new Error(`${file}: expected a section .BTF`);
}
