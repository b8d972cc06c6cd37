import type { Lesson } from "./lesson.ts";

/** The systems in the order in which an interrupt meets them, and at the end what all of it was about. */
export const lessons: readonly Lesson[] = [
  {
    name: "QEMU",
    title: "A disk read ends in a store",
    system: "QEMU's delivery path",
    text: [
      "Here QEMU plays the device. A read of the disk completes in its main loop, and the device's completion handler stores four bytes at an address: the one that the guest's driver put into the MSI-X table.",
      "The store finds the memory region of the local APIC, and the region's write is an ioctl: KVM makes an interrupt of the vCPU out of it. Read the stack from the bottom up.",
    ],
    run: { scenario: "virtio-blk-msi" },
    arrival: { calls: "kvm_irqchip_send_msi" },
    stacks: "kvm_irqchip_send_msi",
    changes: [
      { label: "read 8 sectors in place of 2", run: { scenario: "virtio-blk-msi", values: { sectors: 8 } } },
      {
        label: "give the guest a real device in QEMU's place",
        other: true,
        run: { scenario: "passthrough-posted", values: { vectors: 1, interrupts: 1 } },
      },
    ],
    links: [{ label: "The same run on a timeline", view: "timeline", query: { scenario: "virtio-blk-msi" } }],
    question: {
      text: "Which frame is the device's DMA write?",
      choices: ["aio_bh_poll", "address_space_stl_le", "kvm_irqchip_send_msi"],
      right: 1,
      why: "virtio_blk_rw_complete calls address_space_stl_le: a store to an address in the device's view of memory, as hardware would do it. All above it is QEMU finding out whose address that is. With a real device there is no such stack at all.",
    },
  },
  {
    name: "A hostile device",
    title: "An MSI is a DMA write",
    system: "A hostile device",
    text: [
      "An interrupt is a write to FEEx_xxxxh. The address says which CPU, the data says which vector and delivery mode, and the writer chooses both.",
      "This device writes every message that it can think of. First the unit stands between, which takes the message as an index into a table; then nothing does.",
    ],
    run: { scenario: "hostile-device" },
    arrival: { request: "1" },
    changes: [
      { label: "intremap=off", run: { scenario: "hostile-device", variant: "without-remapping" } },
      { label: "AMD-Vi in place of VT-d", run: { scenario: "hostile-device", variant: "on-amd" } },
      { label: "a device whose DMA reaches the table", other: true, run: { scenario: "dma-to-irt" } },
    ],
    links: [
      {
        label: "An MSI address, bit by bit",
        view: "bits",
        query: { layout: "msi-address", value: "fee02000" },
      },
    ],
    question: {
      text: "With remapping one of its messages is accepted. Whose entry did it use?",
      choices: ["that of the other device, nic", "none: it was in the old format", "its own"],
      right: 2,
      why: "One of its own, none past its entries: remapping does not silence a device, it holds it to what its entries say. Without it, thousands reach CPUs with vectors and delivery modes of the device's choosing. On AMD-Vi 260 SMIs get past the entries too: nothing but the SMI filter keeps them, and it is off. And all of this rests on DMA remapping: who can write the table is held to nothing.",
    },
  },
  {
    name: "The MSI-X table",
    title: "The guest's driver writes a table that is not the device's",
    system: "Passthrough and the MSI-X table",
    text: [
      "A device in a guest would take any message that the guest's driver gives it. So QEMU lays its emulation over the page of the MSI-X table: the write exits, and VFIO is asked for an interrupt instead.",
      "Since Linux 4.16 a VMM may map the page after all, because remapping makes it safe.",
    ],
    run: { scenario: "msix-table-trapped" },
    arrival: { calls: "vfio_msix_vector_do_use" },
    changes: [
      { label: "map the table", run: { scenario: "msix-table-trapped", variant: "mapped" } },
      {
        label: "intremap=off, with the table mapped",
        from: { label: "the table mapped", run: { scenario: "msix-table-trapped", variant: "mapped" } },
        run: { scenario: "msix-table-trapped", variant: "mapped-without-remapping" },
      },
    ],
    links: [],
    question: {
      text: "The table is mapped, and the guest writes a message for a CPU of the host into it. What does the unit answer when the device sends it?",
      choices: [
        "fault 25h: the message is in the old format",
        "fault 26h: the entry is another device's",
        "nothing: the message passes",
      ],
      right: 0,
      why: "The guest knows only compatibility format, and the unit takes none: 25h. Even a remappable message would gain nothing, since an entry serves its own device only. With intremap=off the same write hijacks a CPU of the host.",
    },
  },
  {
    name: "Intel's driver",
    title: "The entry decides",
    system: "Linux's Intel remapping driver",
    text: [
      "Linux turns the unit on once and gives each interrupt an entry: vector, destination, delivery mode, and whose requester id it must be. The device gets a message that is nothing but the entry's index.",
      "From then on only the entry is rewritten, and the unit told to forget what it holds of it.",
    ],
    run: { scenario: "affinity-change" },
    arrival: { request: "1" },
    changes: [
      { label: "eight vectors on one address (multi-MSI)", other: true, run: { scenario: "multi-msi" } },
      { label: "a bridge lends its requester id", other: true, run: { scenario: "bridge-alias" } },
      { label: "firmware resets a message on resume", other: true, run: { scenario: "hpet-after-resume" } },
    ],
    links: [
      {
        label: "An entry, bit by bit",
        view: "bits",
        query: { layout: "irte-remapped", value: "0000000000040100000000020020000d", eime: "1" },
      },
      {
        label: "What a forgotten invalidation leads to",
        view: "races",
        query: { without: "irte-invalidate", run: "1" },
      },
    ],
    question: {
      text: "The interrupt moves to another CPU, twice. What changes?",
      choices: ["the device's message", "the entry", "both"],
      right: 1,
      why: "The entry's destination changes, and its message stays as it is: the device does not hear of it. That is also why a mistake in an entry stays unseen until the unit refuses something.",
    },
  },
  {
    name: "AMD's driver",
    title: "The same with another vendor's means",
    system: "Linux's AMD remapping driver",
    text: [
      "On AMD-Vi each device has a table of its own, found through its device table entry: a requester cannot even name another one's entry. In guest mode an entry names the vCPU's backing page and tells whether the vCPU runs.",
      "Runs: the vector is set in the page and a doorbell rung. Sleeps: it is set, and the guest log gets an entry.",
    ],
    run: { scenario: "amd-avic" },
    arrival: { request: "11" },
    stacks: "amd_ir_set_vcpu_affinity",
    changes: [
      {
        label: "Linux 5.4, remapped through VFIO",
        other: true,
        run: { scenario: "amd-remapped" },
        stacks: "modify_irte_ga",
      },
      { label: "Intel's way of posting", other: true, run: { scenario: "passthrough-posted" } },
    ],
    links: [
      {
        label: "A vCPU that is preempted as it goes to sleep",
        view: "races",
        query: { vendor: "amd", without: "block-hold-cpu", run: "1" },
      },
    ],
    question: {
      text: "The guest executes HLT, and then the device sends. Who learns of it first?",
      choices: ["the vCPU, by a doorbell", "the host, by the guest log", "nobody, until the next exit"],
      right: 1,
      why: "The entry's IsRun is 0 by then: no doorbell, but an entry in the guest log and an interrupt of the host, which wakes the vCPU. One wake-up, no host interrupt for the device, nothing lost.",
    },
  },
  {
    name: "The irq core",
    title: "Who writes the message",
    system: "The irq core",
    text: [
      "Descriptors, domains and chips: a vector is taken from the matrix, the remapping domain above it takes an entry, and the MSI domain above that writes the message into the device.",
      "The stack is what bpftrace shows on a host: the chip INTEL-IR composes the message whenever the interrupt is activated.",
    ],
    run: { scenario: "vfio-msix-enable" },
    arrival: { calls: "__pci_write_msi_msg" },
    stacks: "intel_ir_compose_msi_msg",
    changes: [
      { label: "66 vectors in place of 7", run: { scenario: "vfio-msix-enable", values: { vectors: 66 } } },
      { label: "an interrupt that moves afterwards", other: true, run: { scenario: "affinity-change" } },
    ],
    links: [],
    question: {
      text: "How often is the message of a vector composed?",
      choices: [
        "once for the whole device",
        "twice: when it is allocated, and when its handler is requested",
        "each time that the interrupt moves",
      ],
      right: 1,
      why: "Two stacks, as often each as there are vectors: 7 and 7, or 66 and 66. The interrupt that moves has one of each: a move composes nothing.",
    },
  },
  {
    name: "Posting",
    title: "The entry points at a vCPU",
    system: "VFIO, irqbypass and KVM: posting",
    text: [
      "VFIO has an eventfd for each vector, and KVM an irqfd on the same one: irqbypass brings them together, and KVM points the entry at the vCPU's descriptor. From then on the unit sets a bit in memory and notifies the CPU that the descriptor names.",
      "The entry does not change again. As the vCPU runs, waits and sleeps, KVM changes the descriptor: NV, SN, NDST.",
    ],
    run: { scenario: "passthrough-posted" },
    arrival: { request: "1" },
    stacks: "intel_ir_set_vcpu_affinity",
    changes: [
      { label: "intremap=nopost", run: { scenario: "passthrough-remapped" } },
      { label: "preempt the vCPU", run: { scenario: "vcpu-preempted" } },
      { label: "let it halt", run: { scenario: "vcpu-halts-and-wakes" } },
    ],
    links: [
      { label: "Why nothing is lost, in any order", view: "races", query: { play: "base", run: "1" } },
      {
        label: "What was lost before Linux c112b5f50232",
        view: "races",
        query: { without: "recompute-on", run: "1" },
      },
    ],
    question: {
      text: "Forty interrupts, posted. What does the host's CPU have to do with them?",
      choices: [
        "it takes each and injects it",
        "it leaves the guest for each",
        "it stays in the guest: a notification each, no host interrupt",
      ],
      right: 2,
      why: "40 notifications, 0 host interrupts; all VM exits are of the driver setting up. With nopost the host takes all 40; the 30 notifications there are KVM's own, to a vCPU on another CPU. Preempted, SN is set: not even a notification, and six interrupts merge into two bits.",
    },
  },
  {
    name: "Posted MSI",
    title: "The host posts to itself",
    system: "Posted MSI",
    text: [
      "intremap=posted_msi points the host's own entries at a descriptor of the CPU. The device's interrupts gather in PIR while the handler works through them, and one EOI ends it.",
      "Eight vectors of an NVMe drive fire at once, burst after burst.",
    ],
    run: { scenario: "posted-msi-storm" },
    arrival: { request: "1" },
    changes: [
      { label: "without posted_msi", run: { scenario: "posted-msi-storm", variant: "remapped" } },
      { label: "10 bursts in place of 100", run: { scenario: "posted-msi-storm", values: { bursts: 10 } } },
    ],
    links: [{ label: "The storm on a timeline", view: "timeline", query: { scenario: "posted-msi-storm" } }],
    question: {
      text: "800 interrupts come in 100 bursts. How many notifications does the CPU get?",
      choices: ["100: one for a burst", "800: one for each", "8: one for each vector"],
      right: 0,
      why: "While ON is set nobody notifies again: what comes in the meantime waits in PIR, and the handler that has been called finds it. 800 handlers run all the same.",
    },
  },
  {
    name: "intremap=",
    title: "The command line",
    system: "intremap= and its kin",
    text: [
      "nosid leaves the requester id of every entry unverified. no_x2apic_optout takes no notice of a firmware that wants no x2APIC. nopost and posted_msi you have seen; off takes everything.",
      "Here two devices share a host, and one sends what belongs to the other.",
    ],
    run: { scenario: "nosid-spoof" },
    arrival: { request: "1" },
    changes: [
      { label: "without nosid", run: { scenario: "nosid-spoof", variant: "with-verification" } },
      {
        label: "no_x2apic_optout",
        from: { label: "a firmware that opts out of x2APIC", run: { scenario: "x2apic-optout" } },
        run: { scenario: "x2apic-optout", variant: "overridden" },
      },
      {
        label: "nosid, with a device for a guest",
        from: { label: "off, with a device for a guest", run: { scenario: "vfio-isolation" } },
        run: { scenario: "vfio-isolation", variant: "nosid" },
      },
    ],
    links: [],
    question: {
      text: "What does nosid take away?",
      choices: [
        "remapping as a whole",
        "that an entry serves its own device only",
        "the ban on messages in the old format",
      ],
      right: 1,
      why: "Two messages get through another device's entry; with verification each is refused with 26h. All else is refused as before: 22h, 25h. And VFIO does not mind: with off it gives no device away, with nosid it does, as if interrupts were isolated.",
    },
  },
  {
    name: "The question",
    title: "How do interrupt remapping and posted interrupts relate?",
    system: "The question",
    text: [
      "Nine stops led here. One passed-through device, three settings: everything on, intremap=nopost, intremap=off. Look at the last columns, then at who takes the interrupts.",
    ],
    run: { scenario: "passthrough-posted", values: { vectors: 2, interrupts: 1 } },
    arrival: { request: "1" },
    changes: [
      {
        label: "intremap=nopost",
        run: { scenario: "passthrough-remapped", values: { vectors: 2, interrupts: 1 } },
      },
      {
        label: "intremap=off, devices given away all the same",
        run: { scenario: "vfio-isolation", variant: "unsafe" },
      },
    ],
    links: [
      {
        label: "Both, step by step",
        view: "path",
        query: {
          scenario: "passthrough-posted",
          compare: "passthrough-remapped",
          vectors: "2",
          interrupts: "1",
          request: "1",
        },
      },
    ],
    question: {
      text: "So how do they relate?",
      choices: [
        "they are two ways to the same end, and a host uses one of them",
        "posting is one of two things that a remapping entry can say, and needs it",
        "posting is KVM's, and works without an IOMMU",
      ],
      right: 1,
      why: "Remapping puts a table between a message and the CPUs. An entry says either “this vector, to that CPU” or “this bit, in that descriptor”: the second is posting. Remapping does without posting: then the host takes each interrupt, and the notification that is left is KVM's own. Posting does not do without remapping: with intremap=off no entry is there that could post.",
    },
  },
];
