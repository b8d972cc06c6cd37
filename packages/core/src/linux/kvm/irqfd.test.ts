import { describe, expect, test } from "vitest";
import { errno } from "../errno.ts";
import { Eventfd, eventfdSignal } from "../eventfd.ts";
import type { Release } from "../kernel.ts";
import { stacksAt } from "../testbed.ts";
import { type File, close, ioctl } from "../syscall.ts";
import { settle } from "../testbed.ts";
import { eventfds, leftovers, nothingLeft, opened, passthrough, setMsix } from "../vfio/testbed.ts";
import { whyNotPosted } from "./bypass.ts";
import { type FakeVmOptions, fakeVm } from "./testbed.ts";
import { kvmVmFile } from "./file.ts";
import type { KvmRequest, MsiRoute } from "./requests.ts";

const fixed = 0;
const nmi = 0x400;

/** A route to the vCPU of an APIC id. */
function route(gsi: number, apicId: number, vector = 0x40 + gsi, mode = fixed): MsiRoute {
  return { gsi, addressLow: 0xfee00000 | (apicId << 12) | 0, addressHigh: 0, data: mode | vector };
}

type Boot = { release?: Release; vendor?: "intel" | "amd"; commandLine?: string; vectors?: number } & Omit<
  FakeVmOptions,
  "vendor"
>;

function boot({ release = "7.0", vendor = "intel", commandLine = "", vectors = 3, ...vm }: Boot = {}) {
  const machine = passthrough(vectors, { release, vendor, commandLine });
  const { k } = machine;
  // What AMD's chips take is not what this virtual machine gives them.
  const guest = fakeVm({ ...(vendor === "amd" && { update: () => 0 }), vendor, ...vm });
  const file: File = kvmVmFile(guest.vm);
  const request = (asked: KvmRequest) => ioctl(k, file, asked);
  return {
    ...machine,
    guest,
    file,
    request,
    irqfd: (eventfd: Eventfd, gsi: number, deassign = false) =>
      request({ request: "KVM_IRQFD", eventfd, gsi, deassign }),
    setRoutes: (...routes: MsiRoute[]) => request({ request: "KVM_SET_GSI_ROUTING", routes }),
    reasons: () => [...guest.vm.interrupts.irqfds].map((one) => whyNotPosted(k, one)),
  };
}

describe("a signalled irqfd", () => {
  test("becomes an interrupt of the vCPU that its route names", () => {
    const { k, irqfd, setRoutes, guest } = boot();
    const trigger = new Eventfd("trigger");
    setRoutes(route(5, 2));
    expect(irqfd(trigger, 5)).toBe(0);
    eventfdSignal(k, trigger);
    expect(guest.delivered).toEqual([{ vcpu: 2, vector: 0x45 }]);
    expect(trigger.count).toBe(0);
  });

  test("of a route that its GSI does not have becomes nothing", () => {
    const { k, irqfd, guest } = boot();
    const trigger = new Eventfd("trigger");
    irqfd(trigger, 5);
    eventfdSignal(k, trigger);
    expect(guest.delivered).toEqual([]);
  });

  test("of 5.4 is seen by userspace too", () => {
    const { k, irqfd, setRoutes, guest } = boot({ release: "5.4" });
    const trigger = new Eventfd("trigger");
    let seen = 0;
    trigger.onReadable = () => void seen++;
    setRoutes(route(5, 2));
    irqfd(trigger, 5);
    eventfdSignal(k, trigger);
    expect([guest.delivered.length, seen, trigger.count]).toEqual([1, 1, 1]);
  });

  test("that addresses all is delivered by a worker", () => {
    const { k, irqfd, setRoutes, guest } = boot();
    const trigger = new Eventfd("trigger");
    setRoutes(route(5, 0xff));
    irqfd(trigger, 5);
    const stacks = stacksAt(k, "kvm_set_msi", () => eventfdSignal(k, trigger));
    expect(stacks).toEqual([
      {
        frames:
          "kvm_set_msi kvm_set_irq irqfd_inject process_one_work worker_thread kthread ret_from_fork ret_from_fork_asm",
        count: 1,
      },
    ]);
    expect(guest.delivered.map(({ vcpu }) => vcpu)).toEqual([0, 1, 2, 3]);
  });

  test("that was signalled before it was one is made up for", () => {
    const { k, irqfd, setRoutes, guest } = boot();
    const trigger = new Eventfd("trigger");
    eventfdSignal(k, trigger);
    setRoutes(route(5, 1));
    irqfd(trigger, 5);
    expect(guest.delivered).toEqual([{ vcpu: 1, vector: 0x45 }]);
  });

  test("is one irqfd's only", () => {
    const { irqfd } = boot();
    const trigger = new Eventfd("trigger");
    expect([irqfd(trigger, 5), irqfd(trigger, 6)]).toEqual([0, -errno.EBUSY]);
    expect(irqfd(trigger, 6, true)).toBe(0);
    expect(irqfd(trigger, 6)).toBe(-errno.EBUSY);
    expect(irqfd(trigger, 5, true)).toBe(0);
    expect(irqfd(trigger, 6)).toBe(0);
  });

  test.each([
    ["7.0", -errno.EBUSY],
    ["6.12", 0],
  ] as const)("of two VMs is refused the second, by %s with %i", (release, expected) => {
    const first = boot({ release });
    const { k } = first;
    const second = kvmVmFile(fakeVm().vm);
    const eventfd = new Eventfd("trigger");
    first.irqfd(eventfd, 5);
    expect(ioctl(k, second, { request: "KVM_IRQFD", eventfd, gsi: 5 } as { request: string })).toBe(expected);
    const logged = k.log.lines.filter(({ text }) =>
      /^irq bypass consumer \(token [0-9a-f]{16}\) registration fails: -16$/.test(text),
    );
    expect(logged).toHaveLength(expected === 0 ? 1 : 0);
  });

  test("needs an interrupt controller in the kernel", () => {
    const { irqfd, guest } = boot();
    guest.vm.interrupts.irqchipInKernel = false;
    expect(irqfd(new Eventfd("trigger"), 5)).toBe(-errno.EINVAL);
  });
});

describe("a device's interrupt", () => {
  test("is posted to the vCPU of its route, whoever registers first", () => {
    for (const irqfdFirst of [true, false]) {
      const { k, device, irqfd, setRoutes, guest, reasons } = boot();
      const [trigger] = eventfds(1) as [Eventfd];
      setRoutes(route(0, 3));
      const file = opened(k, device);
      const steps = [() => irqfd(trigger, 0), () => setMsix(k, file, 0, [trigger])];
      for (const step of irqfdFirst ? steps : steps.reverse()) expect(step()).toBe(0);
      expect([...guest.targets.values()]).toEqual([{ vcpu: 3, vector: 0x40 }]);
      expect(reasons()).toEqual([null]);
      expect(guest.vm.possibleBypassIrqs).toBe(1);
    }
  });

  test("wakes the vCPUs with the first of a VM only", () => {
    const { k, device, irqfd, setRoutes, guest } = boot();
    const triggers = eventfds(3);
    setRoutes(route(0, 0), route(1, 1), route(2, 2));
    for (const [gsi, trigger] of triggers.entries()) irqfd(trigger, gsi);
    setMsix(k, opened(k, device), 0, triggers);
    expect([guest.starts, guest.vm.possibleBypassIrqs]).toEqual([1, 3]);
  });

  test.each<[Release, string, number]>([
    ["7.0", "vmx_pi_update_irte kvm_pi_update_irte kvm_arch_irq_bypass_add_producer", 66],
    ["6.12", "vmx_pi_update_irte kvm_arch_irq_bypass_add_producer", 5],
  ])("of %s is posted with the stack of a real one", (release, update, vectors) => {
    const { k, device, irqfd, setRoutes } = boot({ release, vectors });
    const triggers = eventfds(vectors);
    setRoutes(...triggers.map((_, gsi) => route(gsi, gsi % 4)));
    for (const [gsi, trigger] of triggers.entries()) irqfd(trigger, gsi);
    const file = opened(k, device);
    setMsix(k, file, 0, [null]);
    const stacks = stacksAt(k, "intel_ir_set_vcpu_affinity", () => setMsix(k, file, 0, triggers));
    expect(stacks).toEqual([
      {
        frames: `intel_ir_set_vcpu_affinity irq_set_vcpu_affinity ${update} __connect irq_bypass_register_producer vfio_msi_set_vector_signal vfio_msi_set_block vfio_pci_core_ioctl vfio_device_fops_unl_ioctl __x64_sys_ioctl do_syscall_64 entry_SYSCALL_64_after_hwframe`,
        count: vectors,
      },
    ]);
  });

  test("that is not posted goes through the host, with the stack of a real one", () => {
    const { k, device, fn, cpus, irqfd, setRoutes, guest } = boot({ commandLine: "intremap=nopost" });
    const [trigger] = eventfds(1) as [Eventfd];
    setRoutes(route(0, 1));
    irqfd(trigger, 0);
    setMsix(k, opened(k, device), 0, [trigger]);
    fn.signal(0);
    expect(stacksAt(k, "__apic_accept_irq", () => void settle(k, cpus))).toEqual([
      {
        frames:
          "__apic_accept_irq kvm_irq_delivery_to_apic_fast kvm_arch_set_irq_inatomic irqfd_wakeup __wake_up_common eventfd_signal_mask vfio_msihandler __handle_irq_event_percpu handle_irq_event handle_edge_irq __common_interrupt common_interrupt asm_common_interrupt",
        count: 1,
      },
    ]);
    expect(guest.delivered).toEqual([{ vcpu: 1, vector: 0x40 }]);
  });

  test("goes back to the host when the irqfd goes, by way of the worker that takes it apart", () => {
    const { k, device, irqfd, setRoutes, guest } = boot();
    const [trigger] = eventfds(1) as [Eventfd];
    setRoutes(route(0, 1));
    irqfd(trigger, 0);
    setMsix(k, opened(k, device), 0, [trigger]);
    const [stack] = stacksAt(k, "kvm_pi_update_irte", () => irqfd(trigger, 0, true));
    expect(stack!.frames).toBe(
      "kvm_pi_update_irte kvm_arch_irq_bypass_del_producer __disconnect irq_bypass_unregister_consumer irqfd_shutdown process_one_work worker_thread kthread ret_from_fork ret_from_fork_asm",
    );
    expect([...guest.targets.values()]).toEqual([null]);
    expect(guest.vm.possibleBypassIrqs).toBe(0);
  });

  test("is not the worse for a refusal of its chips, which is remembered", () => {
    const { k, device, irqfd, setRoutes, guest, reasons } = boot({ update: () => -errno.ENOSYS });
    const [trigger] = eventfds(1) as [Eventfd];
    setRoutes(route(0, 1));
    irqfd(trigger, 0);
    expect(setMsix(k, opened(k, device), 0, [trigger])).toBe(0);
    expect(k.log.lines.at(-1)!.text).toMatch(/registration fails: -38$/);
    expect([guest.vm.possibleBypassIrqs, k.irqBypass.producers.size]).toEqual([0, 0]);
    expect(reasons()).toEqual(["no-producer"]);
  });

  test.each(["7.0", "6.12"] as const)("of %s that cannot be given back is logged", (release) => {
    let result = 0;
    const { k, device, irqfd, setRoutes } = boot({ release, update: () => result });
    const [trigger] = eventfds(1) as [Eventfd];
    setRoutes(route(0, 1));
    irqfd(trigger, 0);
    const file = opened(k, device);
    setMsix(k, file, 0, [trigger]);
    result = -errno.EINVAL;
    close(k, file);
    expect(k.log.lines.at(-1)!.text).toMatch(
      /^kvm: irq bypass consumer \((eventfd|token) [0-9a-f]{16}\) unregistration fails: -22$/,
    );
    expect(leftovers(k)).toEqual({ ...nothingLeft, consumers: 1 });
  });
});

describe("a new route", () => {
  function posted(options: Boot = {}) {
    const machine = boot(options);
    const { k, device, irqfd, setRoutes } = machine;
    const [trigger] = eventfds(1) as [Eventfd];
    setRoutes(route(0, 1), route(7, 7));
    irqfd(trigger, 0);
    const vfio = opened(k, device);
    setMsix(k, vfio, 0, [trigger]);
    return { ...machine, trigger, vfio, target: () => [...machine.guest.targets.values()][0] };
  }

  test("moves what is posted to another vCPU, with the stack of a real one", () => {
    const { k, setRoutes, target } = posted();
    const [stack] = stacksAt(k, "irqfd_update", () => setRoutes(route(0, 2, 0x51)));
    expect(stack!.frames).toMatch(/^irqfd_update kvm_irq_routing_update kvm_set_irq_routing kvm_vm_ioctl /);
    expect(target()).toEqual({ vcpu: 2, vector: 0x51 });
  });

  test.each([
    ["an NMI", route(0, 1, 0x40, nmi), "delivery-mode"],
    ["a broadcast", route(0, 0xff), "several-vcpus"],
    ["an absent vCPU", route(0, 9), "no-vcpu"],
  ] as const)("to %s gives it back to the host, and it returns", (_name, other, reason) => {
    const { setRoutes, target, reasons } = posted();
    setRoutes(other);
    expect([target(), reasons()]).toEqual([null, [reason]]);
    setRoutes(route(0, 1));
    expect([target(), reasons()]).toEqual([{ vcpu: 1, vector: 0x40 }, [null]]);
  });

  test("that is none gives it back, as far back as 7.0", () => {
    const { setRoutes, target, reasons } = posted();
    setRoutes();
    expect([target(), reasons()]).toEqual([null, ["no-msi-route"]]);
  });

  test.each([
    ["6.12", "intel", "kvm_intel: no route for guest_irq 0/8 (broken user space?)"],
    ["6.12", "amd", "kvm_amd: no route for guest_irq 0/8 (broken user space?)"],
  ] as const)("that is none leaves the entry of %s on %s where it was", (release, vendor, text) => {
    const { k, setRoutes, target, reasons } = posted({ release, vendor });
    setRoutes(route(7, 7));
    expect(k.log.lines.at(-1)!.text).toBe(text);
    expect([target(), reasons()]).toEqual([{ vcpu: 1, vector: 0x40 }, [null]]);
  });

  test.each<[Release, number]>([
    ["7.0", 0],
    ["6.12", 0],
    ["5.4", 1],
  ])("that is the old one has %s update the entry %i times", (release, expected) => {
    const { guest, setRoutes } = posted({ release });
    const before = guest.updates;
    setRoutes(route(0, 1), route(7, 6));
    expect(guest.updates - before).toBe(expected);
  });

  test.each<[Release, number]>([
    ["7.0", 0],
    ["6.12", 1],
  ])("from one that cannot be posted to another has %s update the entry %i times", (release, expected) => {
    const { guest, setRoutes } = posted({ release });
    setRoutes(route(0, 0xff));
    const before = guest.updates;
    setRoutes(route(0, 1, 0x40, nmi));
    expect(guest.updates - before).toBe(expected);
  });

  test("among too many, twice for one GSI, or of a wrong format changes nothing", () => {
    const { guest, setRoutes } = posted();
    const many = Array.from({ length: 4097 }, (_, gsi) => route(gsi, 0));
    expect(setRoutes(...many)).toBe(-errno.EINVAL);
    expect(setRoutes(route(0, 1), route(0, 2))).toBe(-errno.EINVAL);
    guest.vm.interrupts.x2apicFormat = true;
    expect(setRoutes({ ...route(0, 1), addressHigh: 0x01 })).toBe(-errno.EINVAL);
    expect([...guest.vm.interrupts.routing.keys()]).toEqual([0, 7]);
  });
});

describe("why an interrupt is not posted", () => {
  test.each([
    ["intremap=nopost", "posting-off"],
    ["intremap=off vfio_iommu_type1.allow_unsafe_interrupts=1", "remapping-off"],
    ["kvm_intel.enable_apicv=0", "apicv-off"],
    ["kvm_intel.enable_device_posted_irqs=0", "device-posting-off"],
    ["", null],
  ] as const)("on a host with %o", (commandLine, expected) => {
    const { k, device, irqfd, setRoutes, reasons, guest } = boot({ commandLine });
    const [trigger] = eventfds(1) as [Eventfd];
    setRoutes(route(0, 1));
    irqfd(trigger, 0);
    setMsix(k, opened(k, device), 0, [trigger]);
    expect(reasons()).toEqual([expected]);
    expect(guest.targets.size).toBe(expected === null ? 1 : 0);
  });

  test("where a unit cannot post", () => {
    const { k, irqfd, reasons } = boot();
    k.remapping!.postingCapable = false;
    irqfd(new Eventfd("trigger"), 0);
    expect(reasons()).toEqual(["posting-not-capable"]);
  });

  test("in a VM without APIC virtualization, or with its APICs in the VMM", () => {
    const { k, device, irqfd, reasons, guest, setRoutes } = boot();
    const [trigger] = eventfds(1) as [Eventfd];
    guest.vm.apicv = false;
    setRoutes(route(0, 1));
    irqfd(trigger, 0);
    setMsix(k, opened(k, device), 0, [trigger]);
    expect([reasons(), guest.targets.size]).toEqual([["apicv-off"], 0]);
    guest.vm.interrupts.irqchipInKernel = false;
    expect(reasons()).toEqual(["irqchip-in-userspace"]);
  });

  test("while something is missing", () => {
    const { k, device, irqfd, reasons } = boot();
    const [trigger] = eventfds(1) as [Eventfd];
    irqfd(trigger, 0);
    expect(reasons()).toEqual(["no-producer"]);
    setMsix(k, opened(k, device), 0, [trigger]);
    expect(reasons()).toEqual(["no-msi-route"]);
  });

  test("when another VM of an old kernel was first", () => {
    const { k, irqfd } = boot({ release: "6.12" });
    const eventfd = new Eventfd("trigger");
    irqfd(eventfd, 0);
    const { vm } = fakeVm();
    ioctl(k, kvmVmFile(vm), { request: "KVM_IRQFD", eventfd, gsi: 0 } as { request: string });
    expect([...vm.interrupts.irqfds].map((one) => whyNotPosted(k, one))).toEqual(["no-consumer"]);
  });
});

test("closing a VM takes its irqfds and routes along", () => {
  const { k, irqfd, setRoutes, guest, file } = boot();
  setRoutes(route(0, 1));
  for (const [gsi, trigger] of eventfds(3).entries()) irqfd(trigger, gsi);
  close(k, file);
  expect([guest.vm.interrupts.irqfds.size, guest.vm.interrupts.routing.size]).toEqual([0, 0]);
  expect(leftovers(k)).toEqual(nothingLeft);
});

test("other requests are not a VM's", () => {
  const { k, file } = boot();
  expect(ioctl(k, file, { request: "VFIO_DEVICE_RESET" })).toBe(-errno.ENOTTY);
});
