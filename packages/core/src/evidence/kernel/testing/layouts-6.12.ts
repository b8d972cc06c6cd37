import type { Layouts } from "./layout-kernel.ts";

/** Written by tools/kernel-layouts.ts. */
export const layouts: Layouts = {
  release: "6.12.117+deb12-amd64",
  types: {
    list_head: {
      size: 16,
      modules: null,
      members: {
        next: "0 0 8 1 list_head pointer",
        prev: "64 0 8 1 list_head pointer",
      },
    },
    xarray: {
      size: 16,
      modules: null,
      members: {
        xa_head: "64 0 8 1 - pointer",
      },
    },
    xa_node: {
      size: 576,
      modules: null,
      members: {
        shift: "0 0 1 1 - value",
        slots: "320 0 512 64 - pointer",
      },
    },
    cpumask: {
      size: 1024,
      modules: null,
      members: {
        bits: "0 0 1024 128 - value",
      },
    },
    cpuinfo_x86: {
      size: 328,
      modules: null,
      members: {
        x86_vendor: "16 0 1 1 - value",
      },
    },
    mm_struct: {
      size: 1344,
      modules: null,
      members: {
        owner: "9216 0 8 1 task_struct pointer",
      },
    },
    task_struct: {
      size: 9792,
      modules: null,
      members: {
        tgid: "19488 0 4 1 - value",
        comm: "23808 0 16 16 - value",
      },
    },
    pid: {
      size: 112,
      modules: null,
      members: {
        numbers: "896 0 0 0 upid value",
      },
    },
    upid: {
      size: 16,
      modules: null,
      members: {
        nr: "0 0 4 1 - value",
      },
    },
    kvm: {
      size: 7088,
      modules: null,
      members: {
        mm: "576 0 8 1 mm_struct pointer",
        userspace_pid: "55808 0 4 1 - value",
        vm_list: "35776 0 16 1 list_head value",
        vcpu_array: "35136 0 16 1 xarray value",
        "vcpu_array.xa_head": "35200 0 8 1 - pointer",
        online_vcpus: "35648 0 4 1 atomic_t value",
        "online_vcpus.counter": "35648 0 4 1 - value",
        irqfds: "36416 0 72 1 - value",
        "irqfds.items": "36480 0 16 1 list_head value",
        "arch.apicv_inhibit_reasons": "40384 0 8 1 - value",
        "arch.irqchip_mode": "51328 0 4 1 - value",
        "arch.assigned_device_count.counter": "39360 0 4 1 - value",
        "arch.vm_type": "38312 0 1 1 - value",
      },
    },
    kvm_vcpu: {
      size: 6480,
      modules: null,
      members: {
        kvm: "0 0 8 1 kvm pointer",
        vcpu_id: "288 0 4 1 - value",
        cpu: "256 0 4 1 - value",
        mode: "384 0 4 1 - value",
        pid: "960 0 8 1 pid pointer",
        "arch.apic": "4352 0 8 1 kvm_lapic pointer",
        "arch.apic_base": "4288 0 8 1 - value",
      },
    },
    kvm_lapic: {
      size: 240,
      modules: ["kvm", "kvm_intel", "kvm_amd"],
      members: {
        apicv_active: "1216 0 1 1 - value",
        regs: "1344 0 8 1 - pointer",
      },
    },
    kvm_kernel_irqfd: {
      size: 320,
      modules: ["kvm"],
      members: {
        gsi: "928 0 4 1 - value",
        producer: "2496 0 8 1 irq_bypass_producer pointer",
        list: "1536 0 16 1 list_head value",
        "irq_entry.type": "416 0 4 1 - value",
        "irq_entry.msi.address_lo": "512 0 4 1 - value",
        "irq_entry.msi.address_hi": "544 0 4 1 - value",
        "irq_entry.msi.data": "576 0 4 1 - value",
      },
    },
    irq_bypass_producer: {
      size: 64,
      modules: ["irqbypass", "kvm"],
      members: {
        node: "0 0 16 1 list_head value",
        token: "128 0 8 1 - pointer",
        irq: "192 0 4 1 - value",
      },
    },
    irq_bypass_consumer: {
      size: 56,
      modules: ["irqbypass", "kvm"],
      members: {
        node: "0 0 16 1 list_head value",
        token: "128 0 8 1 - pointer",
      },
    },
    vcpu_vmx: {
      size: 9024,
      modules: ["kvm_intel"],
      members: {
        vcpu: "0 0 6480 1 kvm_vcpu value",
        pi_desc: "62464 0 64 1 pi_desc value",
        pi_wakeup_list: "62976 0 16 1 list_head value",
      },
    },
    vcpu_svm: {
      size: 7248,
      modules: ["kvm_amd"],
      members: {
        vcpu: "0 0 6480 1 kvm_vcpu value",
        avic_physical_id_cache: "56192 0 8 1 - pointer",
        ir_list: "56256 0 16 1 list_head value",
      },
    },
    kvm_svm: {
      size: 7304,
      modules: ["kvm_amd"],
      members: {
        kvm: "0 0 7088 1 kvm value",
        avic_vm_id: "56704 0 4 1 - value",
        avic_physical_id_table_page: "56832 0 8 1 page pointer",
      },
    },
    amd_svm_iommu_ir: {
      size: 24,
      modules: ["kvm_amd"],
      members: {
        node: "0 0 16 1 list_head value",
        data: "128 0 8 1 - pointer",
      },
    },
    amd_ir_data: {
      size: 72,
      modules: null,
      members: {
        irq_2_irte: "128 0 4 1 irq_2_irte value",
        "irq_2_irte.devid": "128 0 2 1 - value",
        "irq_2_irte.index": "144 0 2 1 - value",
        ga_tag: "512 0 4 1 - value",
      },
    },
    printk_ringbuffer: {
      size: 88,
      modules: null,
      members: {
        "desc_ring.count_bits": "0 0 4 1 - value",
        "desc_ring.descs": "64 0 8 1 prb_desc pointer",
        "desc_ring.infos": "128 0 8 1 printk_info pointer",
        "desc_ring.head_id": "192 0 8 1 atomic64_t value",
        "desc_ring.head_id.counter": "192 0 8 1 - value",
        "desc_ring.tail_id": "256 0 8 1 atomic64_t value",
        "desc_ring.tail_id.counter": "256 0 8 1 - value",
        "text_data_ring.size_bits": "384 0 4 1 - value",
        "text_data_ring.data": "448 0 8 1 - pointer",
      },
    },
    prb_desc: {
      size: 24,
      modules: null,
      members: {
        state_var: "0 0 8 1 atomic64_t value",
        "state_var.counter": "0 0 8 1 - value",
        "text_blk_lpos.begin": "64 0 8 1 - value",
        "text_blk_lpos.next": "128 0 8 1 - value",
      },
    },
    printk_info: {
      size: 88,
      modules: null,
      members: {
        ts_nsec: "64 0 8 1 - value",
        text_len: "128 0 2 1 - value",
      },
    },
  },
};
