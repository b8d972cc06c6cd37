import { describe, expect, test } from "vitest";
import { Thread } from "../../../hardware/call-stack.ts";
import { EventRing } from "../../../hardware/event-ring.ts";
import { PostedDescriptor } from "../../../hardware/posting/descriptor.ts";
import { bootKernel } from "../../boot.ts";
import { requestIrq } from "../../irq/manage.ts";
import { Kernel } from "../../kernel.ts";
import { pciAllocIrqVectors, pciIrqVector } from "../../pci/msi.ts";
import { type HostOptions, host, withMsix } from "../../testbed.ts";
import { type VmOptions, kvmCreateVcpu, kvmCreateVm, kvmDestroyVm } from "../create.ts";
import { vcpuHalt, vcpuRun, vcpuSchedIn, vcpuSetInterruptible, vcpuTakesInterrupt } from "../run.ts";
import { piIrteUpdateLine } from "../trace.ts";
import type { Vcpu } from "../vcpu.ts";
import { vmxX86Ops } from "./ops.ts";
import { vmxProtocol } from "./protocol.ts";

function created(k: Kernel, options: Partial<VmOptions> = {}) {
  const vm = kvmCreateVm(k, { name: "vm", ops: vmxX86Ops, ...options })!;
  const vcpu = kvmCreateVcpu(k, vm, 0, new Thread("CPU 0/KVM")) as Vcpu;
  const taken: number[] = [];
  vcpu.guest = {
    interrupt(vector) {
      taken.push(vector);
      vcpu.processor!.apic.eoi();
    },
  };
  const descriptor = new PostedDescriptor(k.memory, vmxProtocol(k).descriptorOf(vcpu.slot));
  return { vm, vcpu, taken, descriptor };
}

/** A booted host that tells its events, and a device interrupt of it. */
function booted(options: HostOptions = {}) {
  const machine = host(options);
  const ring = new EventRing(64);
  const { memory, calls, cpus, firmware } = machine.k;
  const k = new Kernel({
    release: "7.0",
    memory,
    ram: { from: 0x100_0000, to: 0x4000_0000 },
    calls,
    cpus,
    firmware,
    commandLine: options.commandLine ?? "",
    observer: ring,
  });
  bootKernel(k);
  const { fn, device } = machine.plug(0x0300, withMsix(1));
  expect(pciAllocIrqVectors(k, device, 1, 1, "msix")).toBe(1);
  const irq = pciIrqVector(k, device, 0);
  let handled = 0;
  expect(requestIrq(k, irq, () => (handled++, "handled"), "test", null)).toBe(0);
  return { ...machine, k, fn, irq, ring, handled: () => handled };
}

describe("vmx_pi_update_irte", () => {
  test("points a device's interrupt at a vCPU that takes it without an exit, and back at the host", () => {
    const { k, fn, irq, cpus, ring, handled } = booted();
    const { vm, vcpu, taken } = created(k);
    vcpuRun(k, vcpu, cpus[1]!);
    vm.possibleBypassIrqs = 1;
    expect(vm.ops.piUpdateIrte(k, vm, irq, 5, vcpu, 0x41)).toBe(0);
    fn.signal(0);
    vcpuTakesInterrupt(k, vcpu, cpus[1]!);
    expect([taken, vcpu.counts.allExits, handled()]).toEqual([[0x41], 0, 0]);

    expect(vm.ops.piUpdateIrte(k, vm, irq, 5, null, 0)).toBe(0);
    fn.signal(0);
    vcpuTakesInterrupt(
      k,
      vcpu,
      cpus.find(({ localApic }) => localApic.pending() >= 0)!,
    );
    expect([taken, handled()]).toEqual([[0x41], 1]);
    const lines = ring
      .events()
      .flatMap((event) => (event.kind === "routed" ? [piIrteUpdateLine(event)] : []));
    expect(lines).toEqual([
      `PI is enabled and being updated for irq ${irq}, vcpu 0, gsi: 0x5, gvec: 0x41`,
      `PI is disabled for irq ${irq}, vcpu -1, gsi: 0x5, gvec: 0x0`,
    ]);
    expect(ring.events().map(({ kind }) => kind)).toEqual([
      "vmEntry",
      "routed",
      "virtual",
      "routed",
      "vmExit",
      "vmEntry",
    ]);
  });

  test.each<[string, HostOptions, Partial<VmOptions>]>([
    ["the host may not post", { commandLine: "intremap=nopost" }, {}],
    ["the VM has no APIC virtualization", {}, { apicv: false }],
  ])("leaves the interrupt alone where %s", (_, options, vmOptions) => {
    const { k, irq, ring } = booted(options);
    const { vm, vcpu } = created(k, vmOptions);
    expect(vm.ops.piUpdateIrte(k, vm, irq, 5, vcpu, 0x41)).toBe(0);
    expect(ring.events()).toEqual([]);
  });
});

describe("descriptors", () => {
  test("have NDST as the host's APICs want it", () => {
    for (const [x2apic, ndst] of [
      [true, 2],
      [false, 0x200],
    ] as const) {
      const { k, cpus } = host();
      k.x2apic = x2apic;
      const { vcpu, descriptor } = created(k);
      expect(descriptor.read()).toMatchObject({ nv: 0xf2, sn: 1 });
      vcpuRun(k, vcpu, cpus[2]!);
      expect(descriptor.ndst).toBe(ndst);
    }
  });

  test("of all VMs lie apart in one mebibyte, and are used again", () => {
    const { k } = host();
    const machines = Array.from({ length: 40 }, () => created(k));
    const addresses = machines.map(({ descriptor }) => descriptor.address);
    expect(new Set(addresses).size).toBe(40);
    expect(new Set(addresses.map((address) => address >>> 20)).size).toBe(1);
    const { vm, descriptor } = machines[7]!;
    descriptor.testAndSetPir(0x41);
    kvmDestroyVm(k, vm);
    const next = created(k);
    expect([next.descriptor.address, next.descriptor.pending]).toEqual([descriptor.address, false]);
  });

  test("tell what was posted and not looked at: ON, or PIR under SN", () => {
    const { k } = host();
    const { vm, vcpu, descriptor } = created(k);
    const pending = (): boolean => vm.ops.hasPendingInterrupt(k, vcpu);
    expect(pending()).toBe(false);
    descriptor.testAndSetPir(0x41);
    expect(pending()).toBe(true);
    descriptor.setNotification(0, 0xf2, 0);
    expect(pending()).toBe(false);
    descriptor.testAndSetOn();
    expect(pending()).toBe(true);
  });
});

describe("a guest's APIC", () => {
  test("goes to x2APIC mode once, with what it holds", () => {
    for (const apicv of [true, false]) {
      const { k, cpus } = host();
      const { vm, vcpu, taken } = created(k, { x2apic: false, apicv });
      vcpuRun(k, vcpu, cpus[0]!);
      vcpuSetInterruptible(k, vcpu, false);
      vm.ops.deliverInterrupt(k, vcpu, 0x41);
      const { apic } = vcpu.processor!;
      apic.enableX2apic();
      apic.enableX2apic();
      expect([vcpu.lapic.x2apic, vcpu.counts.exits.msrWrite, apic.requested(0x41)]).toEqual([true, 1, true]);
      vcpuSetInterruptible(k, vcpu, true);
      expect(taken).toEqual([0x41]);
    }
  });

  test("sends IPIs in xAPIC mode through KVM, itself included", () => {
    for (const apicv of [true, false]) {
      const { k, cpus } = host();
      const { vcpu, taken } = created(k, { x2apic: false, apicv });
      vcpuRun(k, vcpu, cpus[0]!);
      vcpu.processor!.apic.sendIpi(0, 0x41);
      vcpuSetInterruptible(k, vcpu, true);
      expect([taken, vcpu.counts.exits.apicWrite]).toEqual([[0x41], apicv ? 1 : 2]);
    }
  });
});

function ipiv(release: "5.4" | "7.0", options: Partial<VmOptions>): boolean {
  return created(host({ release }).k, { ipiVirtualization: true, ...options }).vm.ipiVirtualization;
}

describe("KVM", () => {
  test("refuses an APIC id twice, and a VM more than there is room for", () => {
    const { k } = host();
    const { vm } = created(k);
    expect(kvmCreateVcpu(k, vm, 0, new Thread("again"))).toBe(-17);
    const more = Array.from({ length: 128 }, () => kvmCreateVm(k, { name: "more", ops: vmxX86Ops }));
    expect(more.filter((each) => each === null).length).toBe(1);
  });

  test("has IPI virtualization since 5.19, with APICv and in x2APIC mode only", () => {
    expect([
      ipiv("7.0", {}),
      ipiv("5.4", {}),
      ipiv("7.0", { apicv: false }),
      ipiv("7.0", { x2apic: false }),
    ]).toEqual([true, false, false, false]);
  });

  test("blocks under the names that the release has", () => {
    for (const [release, symbol] of [
      ["5.4", "vcpu_block"],
      ["7.0", "kvm_vcpu_halt"],
    ] as const) {
      const { k, cpus } = host({ release });
      const { vcpu } = created(k);
      vcpuRun(k, vcpu, cpus[0]!);
      const callers: string[] = [];
      k.calls.listener = {
        entered: ({ name }) => name === "kvm_vcpu_block" && callers.push(k.calls.frames("kernel")[1]!),
        left: () => {},
      };
      vcpuHalt(k, vcpu);
      vcpuSchedIn(k, vcpu, cpus[1]!);
      // The thread was not woken: it moves, and sleeps again.
      expect([callers, vcpu.asleep, vcpu.cpu]).toEqual([[symbol, symbol], true, cpus[1]]);
    }
  });
});
